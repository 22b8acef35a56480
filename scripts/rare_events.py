#!/usr/bin/env python3
"""The φ > 0 basin of alanine dipeptide, about 2 %, with and without a bias: docs/benchmarks/rare-events.

    python scripts/rare_events.py run MODEL -o bench/rare --seeds 20      # MODEL: a trained alanine-dipeptide
    python scripts/rare_events.py table

Every seed draws and weighs anew, adaptation and ``auto`` included; a run has --evaluations energies in all, those of
finding its bias counted (the 64 rows of the audit are not). ΔF = −ln p/(1 − p) of ``alpha_l`` in kT, beside the
reference the system ships; the spread over seeds is the standard error that counts. Finished runs are kept, so that the
same command continues.
"""

import argparse
import json
import math
import os
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

CASES: dict[str, dict[str, Any]] = {
    "unbiased": {},
    "auto": {"bias": "auto:phi"},
    "soft": {"bias": "harmonic(phi, center=60deg, k=5 kJ/mol/rad^2)"},
    "window": {"bias": "harmonic(phi, center=60deg, k=50 kJ/mol/rad^2)"},
    "window-half": {"bias": "harmonic(phi, center=60deg, k=50 kJ/mol/rad^2)", "set": ["latent.base_share=0.4"]},
}
"""What is asked of ``sample``; PILOT energies of ``auto`` are taken off its draws."""
PILOT = 2000
STATE = "alpha_l"
ROWS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "rare-events"
REWEIGHT = ["distances.enabled=false", "reference_energies=1", "bootstrap_repeats=20"]


def run(model: Path, folder: Path, case: str, seed: int, evaluations: int) -> dict[str, Any]:
    """One row: draw, weigh, and what came out."""
    from molgen import workflows

    asked = CASES[case]
    n = evaluations - (PILOT if str(asked.get("bias", "")).startswith("auto") else 0)
    settings = workflows.SamplingSettings().with_overrides(asked.get("set", ()))
    home = folder / f"{case}-{seed}"
    drawn = workflows.sample(model, home / "ensemble", n=n, bias=asked.get("bias"), settings=settings, seed=seed)
    weighed = workflows.reweight(
        home / "ensemble",
        home / "result",
        settings=workflows.ReweightSettings().with_overrides(REWEIGHT),
        seed=seed,
        allow_refused=True,
    ).record
    state = weighed["populations"][STATE]
    value, error = free_energy(state)
    known, known_error = free_energy(state["reference"])
    return {
        "case": case,
        "seed": seed,
        "bias": drawn.bias and asked["bias"],
        "settings": asked.get("set", []),
        "method": drawn.method,
        "draws": n,
        "evaluations": n + drawn.evaluations,
        "share_positive": positive(home / "result" / "weights.h5"),
        "delta_f": value,
        "delta_f_error": error,
        "reference": known,
        "reference_error": known_error,
        "z": (value - known) / math.hypot(error, known_error),
        "state_ess": state["ess"],
        "ess_raw": weighed["ess_raw"],
        "verdict": weighed["verdict"],
        "state_verdict": state["verdict"],
        "audit": weighed["audit"]["passed"],
        "platform": weighed["platform"],
        "notes": list(drawn.notes),
    }


def free_energy(population: dict[str, Any]) -> tuple[float, float]:
    """−ln p/(1 − p) and its standard error from an interval of 95 % that is symmetric in it."""
    low, value, high = (math.log(population[key] / (1.0 - population[key])) for key in ("low", "value", "high"))
    return -value, (high - low) / (2.0 * 1.96)


def positive(weights: Path) -> float:
    """The share of the draws with φ > 0, without any weight."""
    import tables

    with tables.open_file(str(weights)) as handle:
        (phi,) = (node[:] for node in handle.root.cv if node.title == "phi")
    return float((phi > 0.0).mean())


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One case over its seeds."""
    values = [row["delta_f"] for row in rows]
    return {
        "case": rows[0]["case"],
        "seeds": len(rows),
        "draws": rows[0]["draws"],
        "evaluations": rows[0]["evaluations"],
        "share_positive": statistics.median(row["share_positive"] for row in rows),
        "delta_f": statistics.fmean(values),
        "spread": statistics.stdev(values) if len(values) > 1 else math.nan,
        "stated_error": statistics.median(row["delta_f_error"] for row in rows),
        "reference": rows[0]["reference"],
        "reference_error": rows[0]["reference_error"],
        "agree": sum(abs(row["z"]) <= 1.96 for row in rows),
        "verdicts": dict(Counter(row["state_verdict"] for row in rows)),
    }


def table() -> None:
    """All cases side by side, with the gain over the unbiased runs at the same number of energies."""
    cases = [summary(json.loads(path.read_text())) for path in sorted(ROWS.glob("*.json"))]
    plain = next((case for case in cases if case["case"] == "unbiased"), None)
    for case in cases:
        gain = ""
        if plain is not None and case is not plain:
            scale = math.sqrt(plain["evaluations"] / case["evaluations"])
            gains = (scale * plain[key] / case[key] for key in ("spread", "stated_error"))
            gain = "  gain {:.2f} (spread), {:.2f} (stated errors)".format(*gains)
        print(
            f"{case['case']:12} {case['seeds']} seeds, {case['evaluations']} energies, "
            f"phi > 0 {case['share_positive']:.1%}, dF {case['delta_f']:.3f} +- {case['spread']:.3f} "
            f"(stated {case['stated_error']:.3f}; reference {case['reference']:.3f} +- {case['reference_error']:.3f}), "
            f"{case['agree']} agree, {case['verdicts']}{gain}"
        )


def main() -> None:
    """See the module."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    runs = commands.add_parser("run")
    runs.add_argument("model", type=Path)
    runs.add_argument("-o", "--output", type=Path, required=True)
    runs.add_argument("--seeds", type=int, default=20)
    runs.add_argument("--evaluations", type=int, default=10_000)
    runs.add_argument("--only", action="append", choices=list(CASES))
    commands.add_parser("table")
    given = parser.parse_args()
    if given.command == "run":
        ROWS.mkdir(parents=True, exist_ok=True)
        rows: dict[str, list[dict[str, Any]]] = {}
        for seed in range(1, given.seeds + 1):
            for case in given.only or CASES:
                rows.setdefault(case, []).append(run(given.model, given.output, case, seed, given.evaluations))
                (ROWS / f"{case}.json").write_text(json.dumps(rows[case], indent=1) + "\n")
    table()


if __name__ == "__main__":
    main()
