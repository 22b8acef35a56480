"""Runs and estimates on systems whose committor is known, for the selftest and the benchmark."""

from pathlib import Path

import numpy as np
import torch

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.committor.artifact import load_committor
from molgen.committor.choosing import draw_systematically
from molgen.committor.fitting import FittingSettings
from molgen.committor.grid import GridCommittor, error_on
from molgen.committor.known import KnownCase
from molgen.committor.model import Committor
from molgen.dynamics.analytic_passage import analytic_passages
from molgen.observables.boundary import A, B
from molgen.seeds import child_seed, numpy_generator
from molgen.shooting.points import BlockShares
from molgen.shooting.rate import Rates, passings, rates
from molgen.shooting.shots import Counts, count, shoot_pairs
from molgen.workflows.committor_exploring import ExploringSettings
from molgen.workflows.committor_request import CommittorRunSettings

LIMIT = 1_000_000
"""Steps after which a shot would be given up; none gets there."""
DOUBLE_WELL_RUN = CommittorRunSettings(
    rounds=4, limit_ps=1000.0, batch=1000, patience=100, exploring=ExploringSettings(interval_ps=2.0)
)
MULLER_BROWN_RUN = CommittorRunSettings(
    rounds=10,
    held_share=0.1,
    limit_ps=100.0,
    batch=1000,
    patience=100,
    fitting=FittingSettings(steps=600, check_every=60),
    exploring=ExploringSettings(interval_ps=0.5, frames=250, limit_ps=50.0, candidates=15_000),
)
"""`committor run` on these systems: all rounds, hot dynamics in stages that suit their time unit.

On Müller-Brown many hot frames are kept: they are cheap beside shots, and frames on the way of shots lie low.
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
    """Rates by the transition paths among pairs of shots from points in proportion to π √(q̂(1 − q̂)).

    Points are drawn from the cells of ``grid`` outside the states, and within them; only q̂, the potential and the
    populations of the states are used, never the grid's q. ``selection`` corrects for the choice.
    """
    generator = numpy_generator(seed, "two-way")
    weight = np.where(np.isfinite(grid.q), np.exp(grid.potential.min() - grid.potential), 0.0)
    weight /= weight.sum()
    outside = (grid.label != A) & (grid.label != B) & (weight > 0.0)
    centres, share = grid.centres(outside), weight[outside]
    q = model.probability(centres)
    preference = np.sqrt(np.clip(q * (1.0 - q), 1e-12, None))
    rows = draw_systematically(share * preference, pairs, generator)
    inside = generator.uniform(-0.5, 0.5, size=(pairs, len(grid.axes))) * case.spacing
    positions = centres[rows] + (inside @ grid.plane.directions)[:, None]
    # A point near a state's edge may have come to lie in it.
    kept = np.flatnonzero(case.boundary.assign(positions) < 0)
    shots = shoot_pairs(
        analytic_passages(case.system, case.boundary),
        positions[kept],
        np.arange(len(kept)),
        np.arange(len(kept)),
        LIMIT,
        child_seed(seed, "two-way shots"),
    )
    section = case.system.definition.dynamics
    found = passings(shots, len(kept), 1e-3 * section.timestep_fs, section.check_every)
    each = np.full(len(kept), 1.0 / len(kept))
    a, b = (float(weight[grid.label == state].sum()) for state in (A, B))
    shares = BlockShares(a * each, b * each, (1.0 - a - b) * each, np.arange(len(kept)))
    return rates(found, preference[rows[kept]], shares, numpy_generator(seed, "rates"))


def gradient_bound(grid: GridCommittor, model: Committor) -> float:
    """ν by Σ π D |∇q̂|² over the cells outside the states: what the overdamped dynamics has at most, for D = 1."""
    weight = np.where(np.isfinite(grid.q), np.exp(grid.potential.min() - grid.potential), 0.0)
    weight /= weight.sum()
    outside = (grid.label != A) & (grid.label != B) & (weight > 0.0)
    positions = torch.as_tensor(grid.centres(outside)).requires_grad_()
    q = torch.sigmoid(model.member_logits(positions).mean(0))
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
