"""``benchmark.py free-energy barrier``: the top |φ| < 0.1 rad by umbrella windows and MBAR beside a model's draws.

The model draws twice: without a bias, and under a stiff spring at φ = 0; both are weighed together (a deterministic
mixture, in which the plain draws hold the rest of the molecule).
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

SYSTEM = "alanine-dipeptide-vacuum"
TOP = "-0.1rad < phi < 0.1rad"
STATES = {"top": TOP, "rest": "otherwise"}
SPRING = "harmonic(phi, center=0deg, k=500 kJ/mol/rad^2)"
STIFFNESS = (200.0,)
CENTERS = tuple((-180.0 + 10.0 * index,) for index in range(36))
"""Windows of 6° in a flat place, 10° apart: the barrier is steeper than that of the solvated molecule."""


def compare(given: argparse.Namespace) -> None:
    """Both figures, the joint interval, and what each has cost; ``OUTPUT/barrier.json``."""
    from umbrella import reweighted, windows

    from molgen.systems import load_system

    system = load_system(given.system)
    model = by_model(given)
    found = windows(system, given.output / "windows", given.steps, given.seed, CENTERS, STIFFNESS)
    record, reason = reweighted(found, given.output / "joined", given.seed, STATES)
    dynamics = figures(record, found.steps) if record else {"evaluations": found.steps, "refused": reason}
    answer: dict[str, Any] = {"system": given.system, "where": TOP, "model": model, "umbrella": dynamics}
    if record:
        answer["joint"] = joint(model, dynamics)
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "barrier.json").write_text(json.dumps(answer, indent=1) + "\n")
    print(json.dumps(answer, indent=1))


def by_model(given: argparse.Namespace) -> dict[str, Any]:
    """Plain and pushed draws, weighed together."""
    from umbrella import REWEIGHT

    from molgen import workflows

    runs = []
    for index, (name, bias) in enumerate({"plain": None, "pushed": SPRING}.items()):
        # Two ensembles of one model need seeds of their own.
        home = given.output / name
        workflows.sample(given.model, home, n=given.draws // 2, bias=bias, seed=2 * given.seed + index)
        runs.append(home)
    settings = workflows.ReweightSettings().with_overrides(REWEIGHT)
    weighed = workflows.reweight(
        runs, given.output / "weighed", settings=settings, seed=given.seed, states=STATES, allow_refused=True
    ).record
    spent = weighed["evaluations"]
    beyond = spent.get("sampling", 0) + spent["reweighting"]
    return figures(weighed, beyond) | {"data": spent["data"], "training": spent["training"]}


def figures(record: dict[str, Any], evaluations: int) -> dict[str, Any]:
    """The population of the top with its interval of 95 %, and the factor by which that is wide."""
    top = record["populations"]["top"]
    width = top["high"] / top["low"] if top["low"] > 0.0 else None
    return {key: top[key] for key in ("value", "low", "high", "ess", "verdict")} | {
        "width": width,
        "evaluations": evaluations,
    }


def joint(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Whether ln p agrees within 1.96 joint standard errors, and the joint interval as a factor each way."""
    if not (first["width"] and second["width"]):
        return {"agree": None, "factor": None}
    difference = math.log(first["value"] / second["value"])
    half = 0.5 * math.hypot(math.log(first["width"]), math.log(second["width"]))
    return {"agree": abs(difference) <= half, "ratio": math.exp(difference), "factor": math.exp(half)}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``benchmark.py free-energy barrier`` takes; the draws stay below a million evaluations."""
    parser.description = __doc__
    parser.add_argument("model", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--system", default=SYSTEM)
    parser.add_argument("--draws", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=20_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.set_defaults(run=compare)
