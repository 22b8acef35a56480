#!/usr/bin/env python3
"""Measure what docs/benchmarks.md claims; every figure there comes from a run of this script.

    python scripts/benchmark.py demo --seeds 10 -o bench/demo        # the demonstration, seed after seed
    python scripts/benchmark.py long --seeds 3 -o bench/long         # a longer run, each with five draws of 100,000
    python scripts/benchmark.py cost MODEL                           # one reweighted sample in energy evaluations
    python scripts/benchmark.py free-energy run|table|plot           # beside metadynamics and umbrella sampling

Each run directory resumes; a summary is printed and written to ``OUTPUT/summary.json``. Seeds are 1, 2, 3 …
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import free_energy

SYSTEM = "alanine-dipeptide"
RARE = "alpha_l"


def molgen(*arguments: str) -> dict[str, Any]:
    """Run ``molgen`` with ``--json``; a refused verdict (exit 4) is a result, any other failure ends the benchmark."""
    start = time.monotonic()
    command = [sys.executable, "-m", "molgen_cli", *arguments, "--json", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 4):
        raise SystemExit(f"{' '.join(arguments)} failed ({done.returncode}): {done.stderr.strip()}")
    record: dict[str, Any] = json.loads(done.stdout)
    return record | {"seconds": round(time.monotonic() - start, 1)}


def figures(record: dict[str, Any], reference: dict[str, Any] | None) -> dict[str, Any]:
    """What a table row needs of one reweighting; the reference is that of reference.json, errors are relative.

    A system without a reference has neither a difference nor an agreement.
    """
    rare = record["populations"][RARE]
    # The intervals are 95 %: half their width on the log scale is 1.96 standard errors of ln p.
    error = (math.log(rare["high"]) - math.log(rare["low"])) / (2.0 * 1.96) if rare["low"] > 0 else math.inf
    difference = agrees = None
    if reference is not None:
        known = reference["populations"][RARE]
        known_error = known["standard_error"] / known["value"]
        difference = math.log(rare["value"] / known["value"]) if rare["value"] > 0 else math.inf
        agrees = abs(difference) <= 1.96 * math.hypot(error, known_error)
    return {
        "ess_raw": record["ess_raw"],
        "ess_winsorised": record["ess_winsorised"],
        "ess_trimmed": record["ess_trimmed"],
        "ess_forward": record["ess_forward"],
        "pareto_k": record["pareto_k"],
        "verdict": record["verdict"],
        "reasons": record["reasons"],
        "populations": {name: entry["value"] for name, entry in record["populations"].items()},
        "rare_log_error": error,
        "rare_difference": difference,
        "agrees": agrees,
        "distances": record.get("distances"),
        "evaluations": record["evaluations"],
        "seconds": record.get("seconds"),
    }


def reference_populations(system: str) -> dict[str, Any] | None:
    """The shipped reference's populations with their standard errors, if the system has one."""
    from molgen.systems.loading import data_root

    path = data_root() / "systems" / system / "reference.json"
    return dict(json.loads(path.read_text())) if path.exists() else None


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Median and range over runs."""

    def spread(key: str) -> dict[str, float]:
        values = [row[key] for row in rows if row[key] is not None]
        if not values:
            return {}
        return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}

    return {
        "runs": len(rows),
        **{key: spread(key) for key in ("ess_raw", "ess_winsorised", "ess_forward", "pareto_k", "rare_log_error")},
        "agree": sum(bool(row["agrees"]) for row in rows) if all(row["agrees"] is not None for row in rows) else None,
        "verdicts": {word: sum(row["verdict"] == word for row in rows) for word in ("reliable", "caution", "refused")},
    }


def finish(output: Path, rows: list[dict[str, Any]]) -> None:
    """Write and print the rows and their summary."""
    record = {"command": " ".join(sys.argv), "summary": summary(rows), "rows": rows}
    output.mkdir(parents=True, exist_ok=True)
    (output / "summary.json").write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record["summary"], indent=1))


def run_demo(options: argparse.Namespace) -> None:
    """``molgen demo`` for each seed, ``--jobs`` at a time."""

    def one(seed: int) -> dict[str, Any]:
        arguments = ["demo", "-o", str(options.output / f"seed-{seed}"), "--seed", str(seed)]
        record = molgen(*arguments, "--workers", str(options.workers), "--platform", "Reference")
        print(f"seed {seed}: raw ESS {record['ess_raw']:.3f}, {record['verdict']}", file=sys.stderr, flush=True)
        return record

    with ThreadPoolExecutor(options.jobs) as pool:
        records = list(pool.map(one, range(1, options.seeds + 1)))
    reference = reference_populations(SYSTEM)
    finish(options.output, [{"seed": k + 1, **figures(r, reference)} for k, r in enumerate(records)])


def run_long(options: argparse.Namespace) -> None:
    """Simulate, train, then five draws of 100,000 for each training seed, ``--jobs`` seeds at a time."""

    def one(seed: int) -> list[dict[str, Any]]:
        root = options.output / f"seed-{seed}"
        shared = ["--seed", str(seed), "--workers", str(options.workers), "--platform", options.platform]
        md = molgen("simulate", options.system, "--explore", "--time", options.time, "-o", str(root / "md"), *shared)
        overrides = [part for item in options.set for part in ("--set", item)]
        model = molgen("train", options.system, str(root / "md"), "-o", str(root / "model"), *shared, *overrides)
        rows = []
        for draw in range(1, options.draws + 1):
            target = str(root / f"ensemble-{draw}")
            sampled = molgen("sample", str(root / "model"), "-n", "100000", "-o", target, "--seed", str(draw))
            record = molgen(
                "reweight", target, "-o", str(root / f"result-{draw}"), "--seed", str(draw),
                "--workers", str(options.workers), "--platform", options.platform,
            )  # fmt: skip
            spent = {"simulate": md["seconds"], "train": model["seconds"], "sample": sampled["seconds"]}
            rows.append({"training_seed": seed, "draw_seed": draw, "spent": spent, **record})
            print(f"seed {seed}, draw {draw}: raw ESS {record['ess_raw']:.3f}, {record['verdict']}", file=sys.stderr)
        return rows

    with ThreadPoolExecutor(options.jobs) as pool:
        records = [row for rows in pool.map(one, range(options.first, options.first + options.seeds)) for row in rows]
    reference = reference_populations(options.system)
    kept = ("training_seed", "draw_seed", "spent")
    finish(options.output, [{**{k: r[k] for k in kept}, **figures(r, reference)} for r in records])


def run_cost(options: argparse.Namespace) -> None:
    """Drawing with log q, and energies, per frame on one core; the ratio does not depend on the machine's speed."""
    import numpy as np
    import torch

    from molgen.energies.factory import open_energy
    from molgen.models.artifact import load_model

    torch.set_num_threads(1)
    loaded = load_model(options.model)
    energy = open_energy(loaded.system, platform="Reference")
    generator = torch.Generator().manual_seed(1)
    n = options.frames
    loaded.model.sample(n, generator)
    rows = []
    for _ in range(options.repeats):
        marks = [time.process_time()]
        z_t, z_r = loaded.model.draw_latent(n, generator)
        with torch.no_grad():
            t, r, _ = loaded.model.push(z_t, z_r)
        marks.append(time.process_time())
        loaded.model.place(t, r)
        marks.append(time.process_time())
        draws = loaded.model.sample(n, generator)
        marks.append(time.process_time())
        energy.reduced(np.ascontiguousarray(draws.positions.numpy()), purpose="reweighting")
        marks.append(time.process_time())
        rows.append(np.diff(marks) / n * 1e6)
    flow, place, sample, evaluation = np.median(np.array(rows), axis=0)
    record = {
        "frames": n,
        "energy_us": evaluation,
        "flow_us": flow,
        "placement_us": place,
        "symmetry_domain_us": sample - flow - place,
        "sample_us": sample,
        "reweighted_sample_in_evaluations": (sample + evaluation) / evaluation,
    }
    print(json.dumps({key: round(float(value), 3) for key, value in record.items()}, indent=1))


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    demo = commands.add_parser("demo")
    long = commands.add_parser("long")
    for command, count in ((demo, 10), (long, 3)):
        command.add_argument("--seeds", type=int, default=count)
        command.add_argument("--jobs", type=int, default=1)
        command.add_argument("--workers", type=int, default=2)
        command.add_argument("-o", "--output", type=Path, required=True)
    demo.set_defaults(run=run_demo)
    long.add_argument("--system", default=SYSTEM)
    long.add_argument("--first", type=int, default=1, help="the first training seed")
    long.add_argument("--time", default="8ns")
    long.add_argument("--draws", type=int, default=5)
    long.add_argument("--platform", default="Reference", help="CPU is faster where a force is given by an expression")
    long.add_argument("--set", action="append", default=[])
    long.set_defaults(run=run_long)
    cost = commands.add_parser("cost")
    cost.add_argument("model", type=Path)
    cost.add_argument("--frames", type=int, default=4000)
    cost.add_argument("--repeats", type=int, default=7)
    cost.set_defaults(run=run_cost)
    free_energy.arguments(commands.add_parser("free-energy"))
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
