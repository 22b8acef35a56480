"""Coverage of the 95 % intervals of annealed populations, over many seeds, through `sample` and `reweight`.

    python scripts/coverage_annealed.py -o docs/benchmarks/coverage-annealed.json [--seeds 200]

Each case is the double well of the built-in systems with a normal distribution for a model, of which the exact answers
follow from a grid. Everything adaptive (temperatures, steps, resampling) is done anew for every seed. The quantities
were named beforehand: ΔF(right->left) and ln Z. Figures of the report are left out, since drawing them takes longer
than all the rest.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from molgen import workflows
from molgen.models.artifact import save_model
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.systems.loading import load_system
from molgen.systems.system import System
from molgen.workflows import reweight_conclusion

SYSTEM = "double-well"
MISSED = 3.0
"""Half-widths of an interval beyond which a miss is a gross one."""


@dataclass(frozen=True)
class Case:
    """A model N(``mean``, ``width``²), a bias, particles in all and populations."""

    mean: float
    width: float
    bias: str | None
    n: int
    populations: int


CASES = {
    "wide": Case(0.0, 1.2, None, 1600, 16),
    "left": Case(-0.5, 0.6, None, 3200, 16),
    "ten populations": Case(-0.5, 0.6, None, 2000, 10),
    "biased": Case(-0.5, 0.6, "harmonic(x, center=0, k=8 kT)", 3200, 16),
    "mode lost": Case(-1.0, 0.25, None, 1600, 16),
}
"""``mode lost`` has 3e-5 of its mass beyond the barrier: it must be refused."""


def exact(system: System) -> dict[str, float]:
    """ΔF(right->left) and ln Z by quadrature."""
    barrier, tilt = system.parameters["barrier"], system.parameters["tilt"]
    grid = np.linspace(-4.0, 4.0, 400_001)
    density = np.exp(-barrier * (grid**2 - 1.0) ** 2 - tilt * grid)
    step = grid[1] - grid[0]
    right = density[grid >= 0.0].sum()
    return {
        "right->left": float(-math.log((density.sum() - right) / right)),
        "ln Z": float(math.log(density.sum() * step)),
    }


def make_model(directory: Path, case: Case) -> None:
    """A spline flow without any layer: the whitening's normal distribution."""
    system = load_system(SYSTEM)
    flow = SplineFlow(system, SplineFlowSettings(affine=0, spline=0, hidden=4), torch.Generator().manual_seed(1))
    flow.fit(torch.tensor([[[case.mean - case.width]], [[case.mean + case.width]]], dtype=torch.float64))
    flow.whitening.scale.fill_(case.width)
    directory.mkdir()
    save_model(directory, "spline", flow, system, {"evaluations": {}})


def one_seed(model: Path, folder: Path, case: Case, seed: int) -> Mapping[str, Any]:
    """result.json of one drawing and its reweighting."""
    settings = workflows.SamplingSettings(annealing={"populations": case.populations, "pilot": 100})
    workflows.sample(model, folder / "draws", n=case.n, bias=case.bias, method="annealed", settings=settings, seed=seed)
    return workflows.reweight(folder / "draws", folder / "result", seed=seed, allow_refused=True).record


def score(estimate: Mapping[str, float], truth: float) -> tuple[bool, bool, float]:
    """Whether the truth lies in the interval, whether it is missed grossly, and the half-width."""
    half = 0.5 * (estimate["high"] - estimate["low"])
    away = abs(truth - estimate["value"])
    return estimate["low"] <= truth <= estimate["high"], away > MISSED * half, half


def campaign(case: Case, seeds: int, truth: Mapping[str, float]) -> dict[str, Any]:
    """Coverage, by quantity, among the runs that were not refused, and how often each verdict was given."""
    words: dict[str, int] = {}
    scores: dict[str, list[tuple[bool, bool, float]]] = {name: [] for name in truth}
    effective, evaluations, raw = [], [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_model(folder / "model", case)
        for seed in range(seeds):
            run = folder / str(seed)
            run.mkdir()
            record = one_seed(folder / "model", run, case, seed)
            word = record["delta_f"]["right->left"]["verdict"]
            words[word] = words.get(word, 0) + 1
            effective.append(record["annealing"]["effective"])
            evaluations.append(record["evaluations"]["sampling"])
            raw.append(record["ess_raw"])
            if word == "refused":
                continue
            scores["right->left"].append(score(record["delta_f"]["right->left"], truth["right->left"]))
            log_z = {"value": record["log_z"], **record["log_z_interval"]}
            scores["ln Z"].append(score(log_z, truth["ln Z"]))
    return {
        "case": case.__dict__,
        "seeds": seeds,
        "verdicts": words,
        "effective_populations_median": float(np.median(effective)),
        "ess_raw_median": float(np.median(raw)),
        "evaluations_median": float(np.median(evaluations)),
        "coverage": {
            name: {
                "judged": len(rows),
                "covered": sum(row[0] for row in rows),
                "missed_by_three_half_widths": sum(row[1] for row in rows),
                "half_width_median": float(np.median([row[2] for row in rows])) if rows else None,
            }
            for name, rows in scores.items()
        },
    }


def main() -> None:
    """Run the cases asked for; each is written as soon as it is done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--case", action="append", choices=sorted(CASES))
    arguments = parser.parse_args()
    reweight_conclusion.write_report = lambda _, path: path.write_text("<html></html>")
    truth = exact(load_system(SYSTEM))
    stored = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    for name in arguments.case or CASES:
        stored[name] = campaign(CASES[name], arguments.seeds, truth) | {"exact": truth}
        arguments.output.write_text(json.dumps(stored, indent=2) + "\n")
        print(name, json.dumps(stored[name]["coverage"]), stored[name]["verdicts"], flush=True)


if __name__ == "__main__":
    main()
