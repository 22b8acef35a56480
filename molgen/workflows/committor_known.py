"""Runs and estimates on systems whose committor is known, for the selftest and the benchmark."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.committor.artifact import load_committor
from molgen.committor.fitting import FittingSettings
from molgen.committor.grid import GridCommittor, error_on, potential_of
from molgen.committor.known import KnownCase
from molgen.committor.model import Committor, CommittorSettings
from molgen.dynamics.analytic_passage import analytic_passages
from molgen.dynamics.passage import EveryLook
from molgen.observables.boundary import NEITHER, A, B
from molgen.seeds import child_seed, numpy_generator
from molgen.shooting.points import BlockShares, draw_systematically
from molgen.shooting.rate import Rates, passings, rates
from molgen.shooting.shots import Counts, Shots, count, joined, shoot_and_keep, shoot_pairs
from molgen.workflows.committor_exploring import ExploringSettings
from molgen.workflows.committor_request import CommittorRunSettings

LIMIT = 1_000_000
"""Steps after which a shot would be given up; none gets there."""
POPULATION_DRAWS = 200_000
"""Draws that say how much of the ensemble lies in each state."""
PAIRS_AT_ONCE = 250
"""Pairs of shots whose looks are in memory together."""
DOUBLE_WELL_RUN = CommittorRunSettings(
    rounds=4, limit_ps=1000.0, batch=1000, patience=100, exploring=ExploringSettings(interval_ps=2.0)
)
MULLER_BROWN_RUN = CommittorRunSettings(
    rounds=8,
    held_share=0.05,
    ceiling=4.0,
    limit_ps=100.0,
    batch=1000,
    patience=100,
    fitting=FittingSettings(model=CommittorSettings(members=16), steps=1000, check_every=60),
    exploring=ExploringSettings(interval_ps=0.5, frames=250, limit_ps=50.0, candidates=15_000),
)
"""`committor run` on these systems: all rounds, hot dynamics in stages that suit their time unit.

On Müller-Brown many hot frames are kept: they are cheap beside shots, and frames on the way of shots lie low. The
ceiling keeps points out of where no path goes: without it a fourth of them lies above V = 0.
"""


def error_of(case: KnownCase, grid: GridCommittor, folder: Path) -> float:
    """The error of the committor in ``folder``, as STATISTICS 9 has it: unweighted over the case's cells."""
    cells = case.cells(grid)
    return error_on(load_committor(folder).model.probability(grid.centres(cells)), grid, cells)


def shots_from(case: KnownCase, positions: FloatArray, pairs: int, seed: int) -> Counts:
    """The outcomes of ``pairs`` pairs of shots from each of ``positions`` (n, 1, D)."""
    dynamics = analytic_passages(case.system, case.boundary)
    configuration = np.repeat(np.arange(len(positions)), pairs)
    numbers = np.arange(len(configuration))
    shots = shoot_pairs(dynamics, positions[configuration], configuration, numbers, LIMIT, seed)
    return count(shots, len(positions))


def two_way_rates(case: KnownCase, grid: GridCommittor, model: Committor, pairs: int, seed: int) -> Rates:
    """Rates by the transition paths among pairs of shots from points in proportion to π p, p = ½ + ½ (q̂(1 − q̂))²/Z.

    Cells of ``grid`` are drawn, then points within them; p is constant in a cell. Only q̂ and the potential are used,
    never the grid's q. Z makes the two halves of p alike: one finds paths, the other keeps every weight 1/p below 2.
    Of points by √(q̂(1 − q̂)), what 1/(p τ) would want, two in a hundred are on paths.
    """
    generator = numpy_generator(seed, "two-way")
    used = np.isfinite(grid.q)
    weight = np.where(used, np.exp(grid.potential[used].min() - grid.potential), 0.0)
    centres = grid.centres(used)
    q = model.probability(centres)
    near = (q * (1.0 - q)) ** 2
    preference = np.zeros_like(weight)
    preference[used] = 0.5 + 0.5 * near * weight[used].sum() / (weight[used] * near).sum()

    def selection(frames: FloatArray) -> FloatArray:
        """p (n,) of frames (n, 1, D): cells are drawn by the potential at their centres, so that its change counts."""
        change = potential_of(case.system, frames) - grid.in_cells(grid.potential, frames)
        return np.asarray(grid.in_cells(preference, frames) * np.exp(change))

    def drawn(share: FloatArray, count: int) -> FloatArray:
        inside = generator.uniform(-0.5, 0.5, size=(count, len(grid.axes))) * case.spacing
        return np.asarray(
            centres[draw_systematically(share, count, generator)] + (inside @ grid.plane.directions)[:, None]
        )

    everywhere = drawn(weight[used], POPULATION_DRAWS)
    even = np.exp(grid.in_cells(grid.potential, everywhere) - potential_of(case.system, everywhere))
    label = case.boundary.assign(everywhere)
    a, b = (float(even[label == state].sum() / even.sum()) for state in (A, B))
    positions = drawn(weight[used] * preference[used], pairs)
    positions = positions[case.boundary.assign(positions) == NEITHER]
    chance = selection(positions)
    shots, sums = _paths_through(case, positions, selection, seed)
    section = case.system.definition.dynamics
    found = passings(shots, len(positions), 1e-3 * section.timestep_fs, section.check_every, sums / chance)
    each = np.full(len(positions), 1.0 / len(positions))
    shares = BlockShares(a * each, b * each, (1.0 - a - b) * each, np.arange(len(positions)))
    return rates(found, chance, shares, numpy_generator(seed, "rates"))


def _paths_through(
    case: KnownCase, positions: FloatArray, value: Callable[[FloatArray], FloatArray], seed: int
) -> tuple[Shots, FloatArray]:
    """A pair of shots from each of ``positions`` (n, 1, D), and the sum (n,) of ``value`` over its path's looks."""
    dynamics = analytic_passages(case.system, case.boundary)
    parts, sums = [], value(positions)
    for number, rows in enumerate(np.array_split(np.arange(len(positions)), -(-len(positions) // PAIRS_AT_ONCE))):
        seed_here = child_seed(seed, "two-way shots", number)
        shots, trail = shoot_and_keep(dynamics, positions[rows], rows, rows, LIMIT, seed_here, EveryLook())
        assert trail is not None
        parts.append(shots)
        sums += np.bincount(trail.passage, value(trail.positions), minlength=len(positions))
    return joined(parts), sums


def gradient_bound(grid: GridCommittor, model: Committor) -> float:
    """ν by Σ π D |∇q̂|² over the cells outside the states: what the overdamped dynamics has at most, for D = 1."""
    weight = np.where(np.isfinite(grid.q), np.exp(grid.potential.min() - grid.potential), 0.0)
    weight /= weight.sum()
    outside = (grid.label != A) & (grid.label != B) & (weight > 0.0)
    positions = torch.as_tensor(grid.centres(outside)).requires_grad_()
    q = torch.sigmoid(model.free_logit(positions))
    (slope,) = torch.autograd.grad(q.sum(), positions)
    return float((weight[outside] * (slope**2).sum(dim=(1, 2)).numpy()).sum())


def scattered(case: KnownCase, grid: GridCommittor, cells: BoolArray, count: int, seed: int) -> FloatArray:
    """``count`` frames evenly over ``cells``, in what is outside of the plane as the potential has it.

    For ``hidden-coordinate`` that is the normal distribution of its eight other directions.
    """
    generator = numpy_generator(seed, "scattered")
    centres = grid.centres(cells)
    rows = generator.integers(len(centres), size=count)
    inside = generator.uniform(-0.5, 0.5, size=(count, len(grid.axes))) * case.spacing
    positions = centres[rows] + (inside @ grid.plane.directions)[:, None]
    dimension = positions.shape[2]
    if dimension > len(grid.axes):
        directions = grid.plane.directions
        noise = generator.standard_normal((count, dimension)) / np.sqrt(case.system.parameters["rest"])
        positions = positions + (noise - noise @ directions.T @ directions)[:, None]
    outside: IntArray = np.flatnonzero(case.boundary.assign(positions) < 0)
    return np.asarray(positions[outside])
