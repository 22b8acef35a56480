"""Coverage of the 95 % intervals of annealed populations, over many seeds, through `sample` and `reweight`.

    python scripts/coverage_annealed.py -o docs/benchmarks/coverage-annealed.json --work DIR [--seeds 200] [--case NAME]

Each case is the double well of the built-in systems with a normal distribution for a model, of which the exact answers
follow from a grid. Everything adaptive (temperatures, steps, resampling) is done anew for every seed; runs are kept in
the working directory, from where the script goes on when it is called again. The quantities
were named beforehand: ΔF(right->left) and ln Z. Figures of the report are left out, since drawing them takes longer
than all the rest.
"""

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from molgen import workflows
from molgen.files import write_atomically
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
    """A model N(``mean``, ``width``²), a bias, particles in all and populations, steps of a move."""

    mean: float
    width: float
    bias: str | None
    n: int
    populations: int
    leapfrogs: int = 5


CASES = {
    "wide": Case(0.0, 1.2, None, 1600, 16),
    "biased": Case(-0.5, 0.6, "harmonic(x, center=0, k=8 kT)", 3200, 16),
    "ten populations": Case(-0.5, 0.6, None, 2000, 10, leapfrogs=2),
    "mode lost": Case(-1.0, 0.25, None, 1600, 16, leapfrogs=2),
}
"""``mode lost`` has 3e-5 of its mass beyond the barrier: it must be refused."""
REPORT_EVERY = 10


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
    settings = workflows.SamplingSettings(
        annealing={"populations": case.populations, "pilot": 100, "leapfrogs": case.leapfrogs}
    )
    workflows.sample(model, folder / "draws", n=case.n, bias=case.bias, method="annealed", settings=settings, seed=seed)
    return workflows.reweight(folder / "draws", folder / "result", seed=seed, allow_refused=True).record


def score(estimate: Mapping[str, float], truth: float) -> tuple[bool, bool, float]:
    """Whether the truth lies in the interval, whether it is missed grossly, and the half-width."""
    half = 0.5 * (estimate["high"] - estimate["low"])
    away = abs(truth - estimate["value"])
    return estimate["low"] <= truth <= estimate["high"], away > MISSED * half, half


def campaign(case: Case, folder: Path, seeds: int, truth: Mapping[str, float]) -> Iterator[dict[str, Any]]:
    """Coverage so far, by quantity, among the runs that were not refused, and how often each verdict was given."""
    words: dict[str, int] = {}
    scores: dict[str, list[tuple[bool, bool, float]]] = {name: [] for name in truth}
    figures: list[tuple[float, float, float]] = []
    if not folder.exists():
        folder.mkdir(parents=True)
        make_model(folder / "model", case)
    for seed in range(seeds):
        (folder / str(seed)).mkdir(exist_ok=True)
        record = one_seed(folder / "model", folder / str(seed), case, seed)
        word = record["delta_f"]["right->left"]["verdict"]
        words[word] = words.get(word, 0) + 1
        figures.append((record["annealing"]["effective"], record["ess_raw"], record["evaluations"]["sampling"]))
        if word != "refused":
            scores["right->left"].append(score(record["delta_f"]["right->left"], truth["right->left"]))
            scores["ln Z"].append(score({"value": record["log_z"], **record["log_z_interval"]}, truth["ln Z"]))
        if (seed + 1) % REPORT_EVERY == 0 or seed + 1 == seeds:
            medians = np.median(np.array(figures), axis=0)
            yield {
                "case": case.__dict__,
                "seeds": seed + 1,
                "verdicts": dict(words),
                "effective_populations_median": float(medians[0]),
                "ess_raw_median": float(medians[1]),
                "evaluations_median": float(medians[2]),
                "coverage": {name: coverage(rows) for name, rows in scores.items()},
                "exact": dict(truth),
            }


def coverage(rows: Sequence[tuple[bool, bool, float]]) -> dict[str, Any]:
    """How many intervals were judged, how many hold the truth, and how many miss it grossly."""
    return {
        "judged": len(rows),
        "covered": sum(row[0] for row in rows),
        "missed_by_three_half_widths": sum(row[1] for row in rows),
        "half_width_median": float(np.median([row[2] for row in rows])) if rows else None,
    }


def main() -> None:
    """Run the cases asked for; each is written as soon as it is done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--case", action="append", choices=sorted(CASES))
    arguments = parser.parse_args()
    reweight_conclusion.write_report = lambda _, path: path.write_text("<html></html>")
    truth = exact(load_system(SYSTEM))
    for name in arguments.case or CASES:
        for record in campaign(CASES[name], arguments.work / name, arguments.seeds, truth):
            # Read anew each time: cases may be run side by side.
            stored = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
            write_atomically(arguments.output, (json.dumps({**stored, name: record}, indent=2) + "\n").encode())
        print(name, json.dumps(record["coverage"]), record["verdicts"], flush=True)


if __name__ == "__main__":
    main()
