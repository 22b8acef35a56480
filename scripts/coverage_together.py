"""Coverage of the 95 % intervals of several ensembles weighed together, over many seeds, through `reweight`.

    python scripts/coverage_together.py -o docs/benchmarks/coverage-together.json [--seeds 200] [--jobs 2]

Each case is the double well of the built-in systems: draws of normal distributions as models (spline flows without a
layer), and umbrella runs, whose frames are those of a Metropolis walk under the bias, correlated as those of dynamics
are. Everything is done anew for every seed. The quantities were named beforehand: ΔF(right->left), and ln Z where a
model takes part. Exact answers follow from a grid. Figures of the report are left out, since drawing them takes longer
than all the rest.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from molgen import workflows
from molgen.errors import InputError
from molgen.models.artifact import save_model
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.rundir import RunDirectory
from molgen.seeds import child_seed
from molgen.systems.loading import load_system
from molgen.systems.record import system_record
from molgen.systems.system import System
from molgen.trajectories.shards import write_shard
from molgen.workflows import reweight_conclusion

SYSTEM = "double-well"
MISSED = 3.0
"""Half-widths of an interval beyond which a miss is a gross one."""
CHAINS, STEP, BETWEEN = 4, 0.25, 2
"""Walkers of an umbrella run, the half-width of their trial moves, and moves between two frames."""


@dataclass(frozen=True)
class Case:
    """Models N(mean, width²) with ``draws`` of each, and windows ½·``stiffness``·(x - c)² with ``frames`` of each."""

    models: tuple[tuple[float, float], ...]
    draws: int = 0
    windows: tuple[float, ...] = ()
    stiffness: float = 0.0
    frames: int = 0


CASES = {
    "windows of models": Case(((-1.0, 0.2), (0.0, 0.35), (1.0, 0.2)), 1000),
    "imperfect models": Case(((-0.6, 0.5), (0.7, 0.6)), 1500),
    "model and windows": Case(((-0.5, 0.6),), 1200, (0.0, 0.5, 1.0), 10.0, 2000),
    "windows of dynamics": Case((), 0, (-1.2, -0.8, -0.4, 0.0, 0.4, 0.8, 1.2), 12.0, 2000),
    "state lost": Case(((-1.0, 0.2), (-0.6, 0.25)), 1500),
}
"""``state lost`` never reaches the right minimum, six widths from its models: it must be refused."""


def potential(x: np.ndarray, system: System) -> np.ndarray:
    """u(x) of the double well."""
    barrier, tilt = system.parameters["barrier"], system.parameters["tilt"]
    return barrier * (x**2 - 1.0) ** 2 + tilt * x


def exact(system: System) -> dict[str, float]:
    """ΔF(right->left) and ln Z by quadrature."""
    grid = np.linspace(-4.0, 4.0, 400_001)
    density = np.exp(-potential(grid, system))
    right = density[grid >= 0.0].sum()
    return {
        "right->left": float(-math.log((density.sum() - right) / right)),
        "ln Z": float(math.log(density.sum() * (grid[1] - grid[0]))),
    }


def make_model(directory: Path, mean: float, width: float) -> Path:
    """A spline flow without any layer: the whitening's normal distribution."""
    system = load_system(SYSTEM)
    flow = SplineFlow(system, SplineFlowSettings(affine=0, spline=0, hidden=4), torch.Generator().manual_seed(1))
    flow.fit(torch.tensor([[[mean - width]], [[mean + width]]], dtype=torch.float64))
    flow.whitening.scale.fill_(width)
    directory.mkdir()
    save_model(directory, "spline", flow, system, {"evaluations": {}})
    return directory


def make_window(directory: Path, system: System, center: float, stiffness: float, frames: int, seed: int) -> Path:
    """The run directory of an umbrella run: Metropolis walkers that start in equilibrium, from the exact density."""

    def biased(x: np.ndarray) -> np.ndarray:
        return potential(x, system) + 0.5 * stiffness * (x - center) ** 2

    generator = np.random.default_rng(seed)
    grid = np.linspace(-3.0, 3.0, 60_001)
    density = np.exp(-(biased(grid) - biased(grid).min()))
    x = generator.choice(grid, size=CHAINS, p=density / density.sum())
    each = frames // CHAINS
    walk = np.empty((each, CHAINS))
    u = biased(x)
    for frame in range(each):
        for _ in range(BETWEEN):
            trial = x + generator.uniform(-STEP, STEP, CHAINS)
            height = biased(trial)
            taken = generator.random(CHAINS) < np.exp(np.minimum(u - height, 0.0))
            x, u = np.where(taken, trial, x), np.where(taken, height, u)
        walk[frame] = x
    bias = f"harmonic(x, center={center}, k={stiffness} kT)"
    lineage = np.repeat(np.arange(CHAINS), each)
    with RunDirectory.open(directory, kind="simulate", config={"bias": bias, "frames": frames}, seed=seed) as run:
        run.write_json("system.json", system_record(system))
        positions = walk.T.reshape(-1, 1, 1)
        kelvin = system.temperature_k
        write_shard(directory / "frames-0000.h5", positions, lineage, system, kelvin, kind="umbrella", bias=bias)
        run.finish({"kind": "umbrella", "bias": bias, "temperature_k": kelvin, "frames": len(positions)})
    return directory


def one_seed(models: list[Path], folder: Path, case: Case, seed: int) -> Mapping[str, Any] | None:
    """result.json of one set of ensembles; None if they could not be joined."""
    reweight_conclusion.write_report = lambda _, path: path.write_text("<html></html>")
    folder.mkdir()
    system = load_system(SYSTEM)
    paths = []
    for number, model in enumerate(models):
        paths.append(folder / f"draws-{number}")
        workflows.sample(model, paths[-1], n=case.draws, seed=child_seed(seed, "draws", number))
    for number, center in enumerate(case.windows):
        own = child_seed(seed, "window", number)
        paths.append(make_window(folder / f"window-{number}", system, center, case.stiffness, case.frames, own))
    try:
        return workflows.reweight(paths, folder / "result", seed=seed, allow_refused=True).record
    except InputError:
        return None


def score(estimate: Mapping[str, float], truth: float) -> tuple[bool, bool, float]:
    """Whether the truth lies in the interval, whether it is missed grossly, and the half-width."""
    half = 0.5 * (estimate["high"] - estimate["low"])
    return estimate["low"] <= truth <= estimate["high"], abs(truth - estimate["value"]) > MISSED * half, half


def _records(models: list[Path], folder: Path, case: Case, seeds: int, jobs: int) -> Iterator[Mapping[str, Any] | None]:
    """What :func:`one_seed` gives for each seed, in ``jobs`` processes."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        tasks = [pool.submit(one_seed, models, folder / str(seed), case, seed) for seed in range(seeds)]
        for task in tasks:
            yield task.result()


def campaign(case: Case, seeds: int, jobs: int, truth: Mapping[str, float]) -> dict[str, Any]:
    """Coverage, by quantity, among the runs that were not refused, and how often each verdict was given."""
    words: dict[str, int] = {}
    scores: dict[str, list[tuple[bool, bool, float]]] = {name: [] for name in truth}
    raw, weakest = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        models = [make_model(folder / f"model-{number}", *pair) for number, pair in enumerate(case.models)]
        for record in _records(models, folder, case, seeds, jobs):
            word = "not joined" if record is None else str(record["delta_f"]["right->left"]["verdict"])
            words[word] = words.get(word, 0) + 1
            if record is None:
                continue
            raw.append(record["ess_raw"])
            weakest.append(record["overlap"]["weakest"])
            if word == "refused":
                continue
            scores["right->left"].append(score(record["delta_f"]["right->left"], truth["right->left"]))
            if record["log_z"] is not None:
                log_z = {"value": record["log_z"], **record["log_z_interval"]}
                scores["ln Z"].append(score(log_z, truth["ln Z"]))
    return {
        "case": asdict(case),
        "seeds": seeds,
        "verdicts": words,
        "ess_raw_median": float(np.median(raw)) if raw else None,
        "weakest_overlap_median": float(np.median(weakest)) if weakest else None,
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
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--case", action="append", choices=sorted(CASES))
    arguments = parser.parse_args()
    truth = exact(load_system(SYSTEM))
    stored = json.loads(arguments.output.read_text()) if arguments.output.exists() else {}
    for name in arguments.case or CASES:
        stored[name] = campaign(CASES[name], arguments.seeds, arguments.jobs, truth) | {"exact": truth}
        arguments.output.write_text(json.dumps(stored, indent=2) + "\n")
        print(name, json.dumps(stored[name]["coverage"]), stored[name]["verdicts"], flush=True)


if __name__ == "__main__":
    main()
