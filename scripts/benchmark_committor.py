#!/usr/bin/env python3
"""Committors and rates beside known answers: docs/benchmarks/committor/*.json.

    python scripts/benchmark_committor.py one-d --seeds 10
    python scripts/benchmark_committor.py muller-brown --seeds 10
    python scripts/benchmark_committor.py coverage --seeds 200
    python scripts/benchmark_committor.py variational --seeds 8
    python scripts/benchmark_committor.py table

Every finished seed is a row of its part's file and is not computed again; ``table`` prints what there is. ``--work``
keeps run directories, so that a seed that was cut off goes on where it was.

Errors are root mean squares over grid points (Müller-Brown: V < 0 and 0.05 < q < 0.95, unweighted). The adaptive
choice is `committor run` as it is: its shots are all it made, those held out too, and hot dynamics counts as as many
shots as its steps would have made. The other choices, uniform over {V < 0} and uniform in q, get the same fit; their
outcomes are drawn from the grid's q, which shots are tested against in tests/physics; nothing of theirs is held out.
So do those of ``variational``, which are given 8,000 frames drawn uniformly over {V < 0}, with Boltzmann's weights.
"""

import argparse
import json
import math
import statistics
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from molgen.arrays import FloatArray
from molgen.committor.artifact import load_committor
from molgen.committor.choosing import even_share
from molgen.committor.fitting import FittingData, FittingSettings, fit_committor
from molgen.committor.grid import GridCommittor, error_on, potential_of, refined
from molgen.committor.known import KnownCase, double_well_case, muller_brown_case
from molgen.committor.model import Committor
from molgen.committor.moves import Moves
from molgen.committor.variational import WeightedMoves
from molgen.dynamics.analytic_passage import analytic_passages
from molgen.files import write_atomically
from molgen.observables.boundary import NEITHER
from molgen.seeds import child_seed
from molgen.shooting.points import choose_points
from molgen.shooting.rate import passings, rates
from molgen.shooting.shots import shoot_pairs
from molgen.workflows.committor_known import (
    DOUBLE_WELL_RUN,
    LIMIT,
    MULLER_BROWN_RUN,
    error_of,
    gradient_bound,
    shots_from,
    two_way_rates,
)
from molgen.workflows.committor_request import CommittorRunResult, CommittorRunSettings
from molgen.workflows.committor_run import run_committor
from molgen.workflows.variational_moves import MOVES_EACH

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "committor"
Row = dict[str, Any]
FEW = (500, 1000, 4000)
"""Shots of the fits with and without the variational term."""
BASELINES = {"uniform": (16_000, 32_000), "even": (8000, 16_000)}
"""Shots of the other choices."""
MULLER_BROWN_SHOTS = 19_200
"""Hot dynamics costs about 700 shots more."""
PROBES = np.linspace(-0.7, 0.7, 15).reshape(-1, 1, 1)
"""Where the intervals on q are looked at."""


def one_d(seed: int, work: Path) -> Row:
    """`committor run` on the double well with 10,000 shots."""
    case = double_well_case()
    result = ran(case, 10_000, DOUBLE_WELL_RUN, seed, work)
    return {
        "seed": seed,
        "shots": result.shots,
        "steps": result.evaluations,
        "rmse": error_of(case, grid_of(case), work),
    }


def muller_brown(seed: int, work: Path) -> Row:
    """`committor run` with 20,000 shots, its error round by round, rates, and the other choices."""
    case = muller_brown_case()
    grid = grid_of(case)
    result = ran(case, MULLER_BROWN_SHOTS, MULLER_BROWN_RUN, seed, work)
    centres, cells = grid.centres(case.cells(grid)), case.cells(grid)
    each = result.evaluations / result.shots
    curve = []
    for row in result.rounds:
        folder = work / "rounds" / f"{row['round'] - 1:04d}"
        if (folder / "committor.json").exists():
            shots = row["shots"] + row["held_out_shots"]
            error = error_on(load_committor(folder).model.probability(centres), grid, cells)
            curve.append({"shots": shots, "rmse": error})
    model = load_committor(work).model

    def routes() -> Row:
        found = two_way_rates(case, grid, model, 8000, child_seed(seed, "rates"))
        return {name: asdict(getattr(found, name)) for name in ("nu", "k_ab", "k_ba")}

    def other(choice: str, shots: int) -> Row:
        return {"shots": shots, "rmse": drawn_error(case, grid, choice, shots, seed)}

    two_way = kept(work, "two-way", routes)
    others = {
        choice: [kept(work, f"{choice}-{shots}", partial(other, choice, shots)) for shots in counts]
        for choice, counts in BASELINES.items()
    }
    return {
        "seed": seed,
        "shots": result.shots,
        "held_out_shots": result.held_out_shots,
        "steps_a_shot": each,
        "exploring_shots": result.exploring_evaluations / each,
        "rmse": curve[-1]["rmse"],
        "rounds": curve,
        "two_way": two_way,
        "gradient_bound_nu": gradient_bound(grid, model),
        **others,
    }


def kept(work: Path, name: str, compute: Callable[[], Row]) -> Row:
    """What ``compute`` gave before, or gives now, as a file beside the run directory ``work``."""
    path = work.with_name(f"{work.name}-{name}.json")
    if not path.exists():
        row = compute()
        write_atomically(path, json.dumps(row).encode())
    return dict(json.loads(path.read_bytes()))


def coverage(seed: int, work: Path) -> Row:
    """One fit to 1,000 shots and one estimate of rates from 4,000 pairs on the double well: what the intervals hold."""
    case = double_well_case()
    grid = grid_of(case)
    generator = np.random.default_rng(child_seed(seed, "points"))
    x = generator.uniform(-0.9, 0.9, 500).reshape(-1, 1, 1)
    counts = shots_from(case, x, 1, child_seed(seed, "shots"))
    data = FittingData.of(x, counts, np.arange(len(x)))
    model = fit_committor(case.boundary, data, FittingSettings(steps=300), child_seed(seed, "fit"))
    low, high = model.interval(PROBES)
    truth = grid.probability(PROBES)
    frames = boltzmann(grid, 40_000, generator)
    choice = choose_points(case.boundary, frames, 4000, generator)
    numbers = np.arange(len(choice.points))
    dynamics = analytic_passages(case.system, case.boundary)
    shots = shoot_pairs(dynamics, choice.points.positions, numbers, numbers, LIMIT, child_seed(seed, "pairs"))
    found = passings(shots, len(numbers), dynamics.timestep_ps, dynamics.check_every)
    estimate = rates(found, choice.points.selection, choice.population, generator)
    fine = case.grid(0.5 * case.spacing)
    row: Row = {"seed": seed, "q": [bool(a <= t <= b) for a, t, b in zip(low, truth, high, strict=True)]}
    for name in ("k_ab", "k_ba"):
        item, known = getattr(estimate, name), refined(getattr(grid, name), getattr(fine, name))
        row[name] = bool(item.low <= known <= item.high)
        row[f"{name}_ratio"] = item.value / known
    return row | {"width": float(np.mean(high - low)), "paths": found.paths}


def boltzmann(grid: GridCommittor, count: int, generator: np.random.Generator) -> FloatArray:
    """Independent frames (count, 1, 1) of the Boltzmann distribution on one axis."""
    axis, weight = grid.axes[0], np.exp(-grid.potential)
    edges = np.concatenate([[0.0], np.cumsum(weight)])
    spacing = axis[1] - axis[0]
    places = np.interp(generator.random(count) * edges[-1], edges, np.arange(len(edges)))
    return np.asarray(axis[0] + spacing * (places - 0.5)).reshape(-1, 1, 1)


_GRIDS: dict[str, GridCommittor] = {}


def grid_of(case: KnownCase) -> GridCommittor:
    """The grid of ``case``, solved once."""
    if case.system.name not in _GRIDS:
        _GRIDS[case.system.name] = case.grid()
    return _GRIDS[case.system.name]


def ran(case: KnownCase, shots: int, settings: CommittorRunSettings, seed: int, work: Path) -> CommittorRunResult:
    """`committor run` between the states of ``case``, from nothing."""
    a, b = case.boundary.a, case.boundary.b
    return run_committor(case.system, [], work, shots=shots, a=a, b=b, settings=settings, seed=seed)


def drawn_error(case: KnownCase, grid: GridCommittor, choice: str, shots: int, seed: int) -> float:
    """The error of the same fit to ``shots`` shots, two a point, from points of another choice."""
    data = drawn_shots(case, grid, choice, shots, seed)
    model = fit_committor(case.boundary, data, MULLER_BROWN_RUN.fitting, child_seed(seed, "fit", choice, shots))
    return error_of_model(case, grid, model)


def error_of_model(case: KnownCase, grid: GridCommittor, model: Committor) -> float:
    """The root mean square over the cells of ``case``."""
    over = case.cells(grid)
    return error_on(model.probability(grid.centres(over)), grid, over)


def drawn_shots(case: KnownCase, grid: GridCommittor, choice: str, shots: int, seed: int) -> FittingData:
    """``shots`` shots, two a point, from points of another choice; what becomes of them is drawn from the grid's q."""
    generator = np.random.default_rng(child_seed(seed, choice, shots))
    positions, q = drawn_points(case, grid, choice, shots // 2, generator)
    reached = generator.binomial(2, q)
    return FittingData(positions, reached, np.full(len(reached), 2), np.arange(len(reached)))


def drawn_points(
    case: KnownCase, grid: GridCommittor, choice: str, count: int, generator: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Some ``count`` places outside the states, uniform over {V < 0} or even in q, and q there."""
    cells = (grid.label == NEITHER) & (grid.potential < case.below) & np.isfinite(grid.q)
    centres, q = grid.centres(cells), grid.q[cells]
    share = np.full(len(q), 1.0 / len(q)) if choice == "uniform" else even_share(q)
    rows = generator.choice(len(q), size=count, p=share)
    positions = centres[rows] + generator.uniform(-0.5, 0.5, (len(rows), 1, 2)) * case.spacing
    truth = grid.probability(positions)
    kept = np.isfinite(truth) & (case.boundary.assign(positions) == NEITHER)
    return positions[kept], np.clip(truth[kept], 0.0, 1.0)


def variational(seed: int, work: Path) -> Row:
    """The fit to few shots uniform over {V < 0}, without and with the variational term."""
    case = muller_brown_case()
    grid = grid_of(case)
    generator = np.random.default_rng(child_seed(seed, "ensemble"))
    positions, _ = drawn_points(case, grid, "uniform", 8000, generator)
    energy = potential_of(case.system, positions)
    dynamics = analytic_passages(case.system, case.boundary)
    moves = WeightedMoves(
        Moves.make(dynamics, positions, MOVES_EACH, child_seed(seed, "moves")), np.exp(energy.min() - energy)
    )
    # Overdamped dynamics: the term is exact, and may weigh more than it does by itself.
    settings = MULLER_BROWN_RUN.fitting.model_copy(update={"variational": 1.0})
    row: Row = {"seed": seed, "frames": len(positions)}
    for shots in FEW:
        data = drawn_shots(case, grid, "uniform", shots, seed)
        fits = {"plain": None, "variational": moves}
        row[str(shots)] = {
            name: error_of_model(
                case,
                grid,
                fit_committor(case.boundary, data, settings, child_seed(seed, "fit", shots), moves=given),
            )
            for name, given in fits.items()
        }
    return row


PARTS: dict[str, Callable[[int, Path], Row]] = {
    "one-d": one_d,
    "muller-brown": muller_brown,
    "coverage": coverage,
    "variational": variational,
}


def stored(part: str) -> dict[str, Any]:
    """What the file of ``part`` holds."""
    path = FOLDER / f"{part}.json"
    return json.loads(path.read_text()) if path.exists() else {"rows": []}


def measure(part: str, seeds: int, work: Path) -> None:
    """The rows that are missing, written one by one."""
    for seed in range(1, seeds + 1):
        record = stored(part)
        if any(row["seed"] == seed for row in record["rows"]):
            continue
        row = PARTS[part](seed, work / f"{part}-{seed}")
        record = stored(part)
        rows = sorted([*record["rows"], row], key=lambda item: int(item["seed"]))
        command = f"python scripts/benchmark_committor.py {part} --seeds {len(rows)}"
        known = {name: getattr(grid_of(CASES[part]()), name) for name in ("nu", "k_ab", "k_ba")}
        FOLDER.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"command": command, "grid": known, "rows": rows}, indent=1) + "\n"
        (FOLDER / f"{part}.json").write_text(text)
        print(json.dumps(row), flush=True)


CASES = {
    "one-d": double_well_case,
    "coverage": double_well_case,
    "muller-brown": muller_brown_case,
    "variational": muller_brown_case,
}


def reached(curve: list[Row], error: float) -> float:
    """The shots from which on ``curve`` stays at or below ``error``; infinite if it ends above."""
    found = math.inf
    for item in reversed(curve):
        if item["rmse"] > error:
            break
        found = item["shots"]
    return found


def median_curve(curves: list[list[Row]]) -> list[Row]:
    """The median error at each number of shots that all curves have."""
    found = [[curve[k] for curve in curves] for k in range(min(len(curve) for curve in curves))]
    return [{name: statistics.median(item[name] for item in at) for name in ("shots", "rmse")} for at in found]


def table() -> None:
    """Medians and extremes of what was measured, as they stand in docs/benchmarks.md."""
    if rows := stored("one-d")["rows"]:
        print("one-d rmse", spread([row["rmse"] for row in rows]))
    if rows := stored("muller-brown")["rows"]:
        known = stored("muller-brown")["grid"]
        print("muller-brown rmse", spread([row["rmse"] for row in rows]))
        for name in ("nu", "k_ab", "k_ba"):
            print(f"  {name} / grid", spread([row["two_way"][name]["value"] / known[name] for row in rows]))
        print("  gradient bound / grid", spread([row["gradient_bound_nu"] / known["nu"] for row in rows]))
        spent = statistics.median(row["shots"] + row["exploring_shots"] for row in rows)
        print(f"  adaptive: {spent:.0f} shots at the end, exploring counted")
        exploring = statistics.median(row["exploring_shots"] for row in rows)
        adaptive = median_curve([row["rounds"] for row in rows])
        adaptive = [{"shots": item["shots"] + exploring, "rmse": item["rmse"]} for item in adaptive]
        print("  adaptive:", [(round(item["shots"]), round(item["rmse"], 4)) for item in adaptive])
        for choice in BASELINES:
            for item in median_curve([row[choice] for row in rows]):
                shots = reached(adaptive, item["rmse"])
                print(f"  {choice}: {item['rmse']:.4f} from {item['shots']:.0f}; adaptive from {shots:.0f} on")
    if rows := stored("variational")["rows"]:
        for shots in FEW:
            for name in ("plain", "variational"):
                print(f"{shots} shots, {name}", spread([row[str(shots)][name] for row in rows]))
    if rows := stored("coverage")["rows"]:
        print("coverage of q", f"{np.mean([row['q'] for row in rows]):.3f}", f"over {len(rows)} seeds")
        for name in ("k_ab", "k_ba"):
            print(f"  of {name}", f"{np.mean([row[name] for row in rows]):.3f}")


def spread(values: list[float]) -> str:
    """Median, least and most."""
    return f"{statistics.median(values):.4f} ({min(values):.4f} to {max(values):.4f}), {len(values)} seeds"


def main() -> None:
    """Measure a part, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*PARTS, "table"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--work", type=Path, default=Path("benchmark-committor"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.part == "table":
        table()
    else:
        measure(options.part, options.seeds, options.work)


if __name__ == "__main__":
    main()
