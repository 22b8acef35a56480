#!/usr/bin/env python3
"""Cartesian models from dynamics to weights: clusters of identical particles, and molecules; docs/benchmarks/clusters.

    python scripts/benchmark_clusters.py run dw4 -o bench/clusters --seeds 1 2 3 --time 20ns --train 10m
    python scripts/benchmark_clusters.py run lj13 -o bench/clusters --seeds 1 2 3 --time 4ns --train 25m
    python scripts/benchmark_clusters.py run lj55 -o bench/clusters --seeds 1 --time 2ns --train 35m --draws 1000
    python scripts/benchmark_clusters.py run alanine-dipeptide -o bench/clusters --seeds 1 --dynamics explore
    python scripts/benchmark_clusters.py table

Every seed repeats everything: dynamics, training, ``--draws`` draws, reweighting. All settings are the defaults, unless
``--set`` says otherwise. Finished stages are kept, so that the same command continues.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROWS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "clusters"
FIGURES = ("n", "n_out_of_domain", "ess_raw", "ess_raw_interval", "ess_winsorised", "ess_trimmed", "pareto_k")
FIGURES += ("largest_weight_share", "log_z", "verdict", "reasons", "distances", "evaluations")


def molgen(*arguments: str) -> dict[str, Any]:
    """Run ``molgen --json`` on one core; a refused verdict (exit 4) is a result."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    start = time.monotonic()
    command = [sys.executable, "-m", "molgen_cli", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode not in (0, 4):
        raise SystemExit(f"{arguments[0]}: {done.stderr}")
    record: dict[str, Any] = json.loads(done.stdout)
    return record | {"seconds": {"wall": round(time.monotonic() - start, 1)} | dict(record.get("seconds") or {})}


def kept(path: Path, *arguments: str) -> dict[str, Any]:
    """What a command said, from ``path`` if an earlier run of this script has it."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        record = molgen(*arguments)
        path.write_text(json.dumps(record, indent=1) + "\n")
        print(f"{path}: {record['seconds']['wall']} s", file=sys.stderr, flush=True)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def run(name: str, root: Path, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """All stages for one seed, as a row."""
    chosen = [part for item in options.set for part in ("--set", item)]
    seeded = ["--seed", str(seed)]
    md, model, ensemble = str(root / "md"), str(root / "model"), str(root / "ensemble")
    made = kept(root / "md.json", "simulate", name, f"--{options.dynamics}", "--time", options.time, "-o", md, *seeded)
    learn = ["train", name, md, "-o", model, "--model", options.model, "--max-time", options.train, *chosen]
    trained = kept(root / "model.json", *learn, *seeded)
    drawn = kept(root / "ensemble.json", "sample", model, "-n", str(options.draws), "-o", ensemble, *seeded)
    weighed = kept(root / "result.json", "reweight", ensemble, "-o", str(root / "result"), *seeded)
    stages = {"simulate": made, "train": trained, "sample": drawn, "reweight": weighed}
    return {
        "system": Path(name).parent.name or name,
        "model": options.model,
        "seed": seed,
        "settings": options.set,
        "dynamics": options.dynamics,
        "time": options.time,
        "train": options.train,
        "frames": made["frames"],
        "rejected": drawn["not_finite"],
        "seconds": {stage: record["seconds"] for stage, record in stages.items()},
    } | {key: weighed[key] for key in FIGURES}


def table() -> str:
    """The rows kept in the repository as Markdown: median and range over seeds of each system and model."""
    rows = [json.loads(path.read_text()) for path in sorted(ROWS.glob("*-seed*.json"))]
    lines = [
        "| system | model | seeds | raw ESS, median (range) | winsorised | k̂ | rejected | minutes in all | verdicts |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for key in dict.fromkeys((row["system"], row["model"]) for row in rows):
        some = [row for row in rows if (row["system"], row["model"]) == key]
        ess = [100 * row["ess_raw"] for row in some]
        minutes = [sum(stage["wall"] for stage in row["seconds"].values()) / 60 for row in some]
        lines.append(
            f"| {key[0]} | {key[1]} | {len(some)} | {statistics.median(ess):.1f} % ({min(ess):.1f}–{max(ess):.1f}) | "
            f"{100 * statistics.median(row['ess_winsorised'] for row in some):.1f} % | "
            f"{statistics.median(row['pareto_k'] for row in some):.2f} | {sum(row['rejected'] for row in some)} | "
            f"{min(minutes):.0f}–{max(minutes):.0f} | {', '.join(sorted({row['verdict'] for row in some}))} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Parse the command line and run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    runner = parts.add_parser("run", help="simulate, train, sample and reweight for each seed")
    runner.add_argument("name", help="system, or its system.toml")
    runner.add_argument("-o", "--output", type=Path, required=True)
    runner.add_argument("--model", default="flow-matching")
    runner.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    runner.add_argument("--dynamics", choices=("plain", "explore"), default="plain")
    runner.add_argument("--draws", type=int, default=10_000)
    runner.add_argument("--time", default="4ns")
    runner.add_argument("--train", default="10m")
    runner.add_argument("--set", action="append", default=[])
    parts.add_parser("table", help="what is kept, as Markdown")
    options = parser.parse_args()
    if options.part == "table":
        print(table())
        return
    ROWS.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        label = Path(options.name).parent.name or options.name
        root = options.output / f"{label}-{options.model}-seed{seed}"
        row = run(options.name, root, seed, options)
        (ROWS / f"{root.name}.json").write_text(json.dumps(row, indent=1) + "\n")


if __name__ == "__main__":
    main()
