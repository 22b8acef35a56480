#!/usr/bin/env python3
"""What each objective of training does, alone: alanine dipeptide (ALA2-B), seed by seed from the same frames.

    python scripts/ablation.py run -o WORK            # about an hour of one core; the same command continues
    python scripts/ablation.py table -o WORK          # Markdown: medians and ranges over the seeds

Every seed explores once; all cases learn from its frames with as many steps and, but for ``learn``, as many energies:
a round of fresh draws is never extended. ``learn`` takes all its steps on the frames, and its energies are a few per
cent fewer, dynamics counted. A case that the guard ends early has spent fewer too: the table shows the numbers.
"""

import argparse
import json
import math
import os
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

SYSTEM = "alanine-dipeptide"
RARE = "alpha_l"
REFERENCE = Path(__file__).resolve().parent.parent / "data" / "systems" / SYSTEM / "reference.json"
ALONE = ["refine.weights.frames=0", "refine.weights.forward=0", "refine.weights.likelihood=0"]
CASES: dict[str, tuple[str, list[str]]] = {
    "learn": ("frames only", []),
    "default": ("then refined, as by default", []),
    "reverse": ("refined, with 0.3 of the reverse divergence", ["refine.weights.reverse=0.3"]),
    "log-variance": ("refined, with 0.1 of the log-variance", ["refine.weights.log_variance=0.1"]),
    "reverse-only": ("refined by the reverse divergence alone", [*ALONE, "refine.weights.reverse=1"]),
    "balance": ("rare states more often among the frames of a batch", ["balance=0.5"]),
    "no-likelihood": ("no likelihood in either stage", ["learn.weights.likelihood=0", "refine.weights.likelihood=0"]),
    "likelihood-only": (
        "no path gradient in either stage",
        ["learn.weights.forward=0", "learn.weights.likelihood=1", *ALONE, "refine.weights.likelihood=1"],
    ),
    "no-frames": ("refined on fresh draws alone", ["refine.weights.frames=0"]),
}
"""What is said of each case, and its settings."""
REWEIGHT = ["distances.enabled=false", "reference_energies=1", "bootstrap_repeats=20"]


def settings_of(case: str, given: argparse.Namespace) -> list[str]:
    """``--set`` of a case: as many steps, rounds and fresh draws for all but ``learn``."""
    learn, rounds = given.learn_steps, given.rounds
    if case == "learn":
        learn, rounds = learn + rounds * given.steps, 0
    common = [f"learn.steps={learn}", "learn.patience=1000000", f"refine.rounds={rounds}"]
    fresh = [f"refine.steps={given.steps}", f"refine.draws={given.draws}", "refine.pieces=1"]
    fresh.append(f"refine.guard_every={max(1, given.rounds // 2)}")
    return [*common, *fresh, f"guard_draws={given.guard_draws}", *CASES[case][1]]


def run(given: argparse.Namespace, case: str, seed: int) -> dict[str, Any]:
    """One row: explore (once a seed), train, draw, weigh, and what came out."""
    from molgen import workflows
    from molgen.seeds import child_seed
    from molgen.systems import load_system

    system = load_system(SYSTEM)
    home = given.output / f"{case}-{seed}"
    data = frames(given, system, seed)
    trained = workflows.train(
        system,
        [data],
        home / "model",
        settings=workflows.TrainingSettings().with_overrides(settings_of(case, given)),
        seed=child_seed(seed, "train", bits=31),
    )
    drawn = workflows.sample(trained.directory, home / "ensemble", n=given.n, seed=child_seed(seed, "sample", bits=31))
    weighed = workflows.reweight(
        drawn.directory,
        home / "result",
        settings=workflows.ReweightSettings().with_overrides(REWEIGHT),
        seed=child_seed(seed, "reweight", bits=31),
        allow_refused=True,
    ).record
    return {
        "case": case,
        "seed": seed,
        "settings": settings_of(case, given),
        "draws": given.n,
        **{key: weighed[key] for key in ("ess_raw", "ess_trimmed", "pareto_k", "verdict", "reasons")},
        "populations": {name: state["value"] for name, state in weighed["populations"].items()},
        "state_ess": {name: state["ess"] for name, state in weighed["populations"].items()},
        "evaluations": trained.evaluations,
        "choice": trained.choice,
        "notes": list(trained.notes),
    }


def frames(given: argparse.Namespace, system: Any, seed: int) -> Path:
    """The run directory of a seed's exploring dynamics: given, or made here once."""
    from molgen import workflows
    from molgen.seeds import child_seed

    if given.data:
        return Path(given.data[seed - 1])
    home = given.output / f"md-{seed}"
    begin = child_seed(seed, "simulate", bits=31)
    workflows.simulate(system, home, mode="explore", time_ps=given.time_ps, seed=begin, workers=1)
    return Path(home)


def errors(row: dict[str, Any], reference: dict[str, Any]) -> dict[str, float]:
    """ln p/p_ref of every state; infinite where the run has no weight in it."""
    known = {name: entry["value"] for name, entry in reference["populations"].items()}
    found = row["populations"]
    return {name: math.log(found[name] / p) if found.get(name) else -math.inf for name, p in known.items()}


def spread(rows: Sequence[dict[str, Any]], value: Callable[[dict[str, Any]], float], form: str) -> str:
    """Median and range over the seeds."""
    values = [value(row) for row in rows]
    middle = format(statistics.median(values), form)
    return f"{middle} ({format(min(values), form)} to {format(max(values), form)})"


def table(work: Path) -> None:
    """One line a case, in Markdown."""
    reference = json.loads(REFERENCE.read_text())
    found = [json.loads(path.read_text()) for path in sorted((work / "rows").glob("*.json"))]
    print(
        f"| case | seeds | raw ESS | trimmed | k̂ | draws' worth in {RARE} | ln p/p_ref of {RARE} "
        "| largest error of a population (points) | energies of training | verdicts, what the guard did |"
    )
    print("| --- " * 10 + "|")
    for case, (words, _) in CASES.items():
        rows = [row for row in found if row["case"] == case]
        if not rows:
            continue
        columns = [
            spread(rows, lambda row: row["ess_raw"], ".1%"),
            spread(rows, lambda row: row["ess_trimmed"], ".1%"),
            spread(rows, lambda row: row["pareto_k"], ".2f"),
            spread(rows, lambda row: row["state_ess"].get(RARE, 0.0), ".0f"),
            spread(rows, lambda row: errors(row, reference)[RARE], "+.2f"),
            spread(rows, lambda row: 100.0 * worst(row, reference), ".1f"),
            spread(rows, lambda row: row["evaluations"]["training"], ",.0f"),
            ", ".join(row["verdict"] + lost(row) for row in rows),
        ]
        print(f"| {case}: {words} | {len(rows)} | " + " | ".join(columns) + " |")


def worst(row: dict[str, Any], reference: dict[str, Any]) -> float:
    """The largest |p - p_ref| of any state."""
    known = reference["populations"]
    return max(abs(row["populations"].get(name, 0.0) - entry["value"]) for name, entry in known.items())


def lost(row: dict[str, Any]) -> str:
    """What the guard did, in brackets."""
    if any("stopped and reverted" in note for note in row["notes"]):
        return " (reverted)"
    return " (switched off)" if any("switched off" in note for note in row["notes"]) else ""


def main() -> None:
    """See the module."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runs, shown = commands.add_parser("run"), commands.add_parser("table")
    for command in (runs, shown):
        command.add_argument("-o", "--output", type=Path, required=True)
    runs.add_argument("--seeds", type=int, default=3)
    runs.add_argument("--only", action="append", choices=list(CASES))
    runs.add_argument("--data", type=Path, action="append", help="exploring dynamics made before, once a seed")
    runs.add_argument("--time-ps", type=float, default=4000.0, help="exploring dynamics of each seed")
    runs.add_argument("--learn-steps", type=int, default=250)
    runs.add_argument("--rounds", type=int, default=20)
    runs.add_argument("--steps", type=int, default=8)
    runs.add_argument("--draws", type=int, default=2048)
    runs.add_argument("--guard-draws", type=int, default=4096)
    runs.add_argument("-n", type=int, default=20_000)
    given = parser.parse_args()
    if given.command == "run":
        rows = given.output / "rows"
        rows.mkdir(parents=True, exist_ok=True)
        for seed in range(1, given.seeds + 1):
            for case in given.only or CASES:
                path = rows / f"{case}-{seed}.json"
                if not path.is_file():
                    row = json.dumps(run(given, case, seed), indent=1)
                    path.write_text(row + "\n")
    table(given.output)


if __name__ == "__main__":
    main()
