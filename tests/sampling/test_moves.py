"""Moves leave their density as it is: the integrator's laws, and detailed balance counted in both directions."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import chi2

from molgen.energies.factory import open_energy
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.sampling.latent_target import LatentTarget, Points
from molgen.sampling.moves import leapfrog, move
from molgen.systems.loading import load_system
from tests.annealed import AffineMap, NumpyEnergy, at, double_well, von_mises
from tests.molecules import frames_of

FALSE_ALARM = 1e-4


def _target(kind: str) -> tuple[LatentTarget, torch.Tensor]:
    """A target and exact draws x (n, 1) of it, from a grid, at t = 1."""
    n, generator = 60_000, np.random.default_rng(5)
    if kind == "double well":
        target = LatentTarget(AffineMap(1, 0.3, 1.2), NumpyEnergy(1, double_well(2.0, 0.3)))
        grid = np.linspace(-3.0, 3.0, 20_001)
        density = np.exp(-2.0 * (grid**2 - 1.0) ** 2 - 0.3 * grid)
    elif kind == "angle":
        target = LatentTarget(AffineMap(1, n_angles=1), NumpyEnergy(1, von_mises(2.0)))
        grid = np.linspace(-math.pi, math.pi, 20_001)[:-1]
        density = np.exp(2.0 * np.cos(grid))
    else:
        inside = AffineMap(1, 0.0, 1.0, inside=lambda x: x[:, 0] > 0.2)
        target = LatentTarget(inside, NumpyEnergy(1, double_well(2.0, 0.3)))
        grid = np.linspace(-3.0, 3.0, 20_001)
        density = np.where(grid > 0.2, np.exp(-2.0 * (grid**2 - 1.0) ** 2 - 0.3 * grid), 0.0)
    x = generator.choice(grid, size=n, p=density / density.sum())
    x = x + (grid[1] - grid[0]) * (generator.random(n) - 0.5)
    if kind == "half line":
        x = np.where(x > 0.2, x, 0.4 - x)
    return target, torch.as_tensor(x)[:, None]


def _imbalance(before: Points, after: Points, cells: int = 12) -> tuple[float, float]:
    """p-values of equal traffic between every two cells in both directions, and of equal occupation before and after.

    Cells hold equally many of the starting particles. Σ (N_ij − N_ji)² / (N_ij + N_ji) over pairs with traffic is
    χ²-distributed; so is the same sum over cells for those that enter and leave.
    """
    x, y = (points.positions[:, 0, 0].numpy() for points in (before, after))
    edges = np.quantile(x, np.linspace(0.0, 1.0, cells + 1)[1:-1])
    i, j = np.searchsorted(edges, x), np.searchsorted(edges, y)
    counts = np.bincount(i * cells + j, minlength=cells * cells).reshape(cells, cells)
    first, second = np.triu_indices(cells, 1)
    there, back = counts[first, second], counts[second, first]
    used = there + back >= 10
    pairs = chi2.sf(np.sum((there - back)[used] ** 2 / (there + back)[used]), used.sum())
    out, into = counts.sum(1) - np.diag(counts), counts.sum(0) - np.diag(counts)
    cell = chi2.sf(np.sum((out - into) ** 2 / (out + into)), cells - 1)
    return float(pairs), float(cell)


@pytest.mark.parametrize("kind", ["double well", "angle", "half line"])
@pytest.mark.parametrize("leapfrogs", [1, 4])
def test_detailed_balance(kind: str, leapfrogs: int) -> None:
    """Steps so long that a third of the moves fails; one seed in 5,000 would fail a right move."""
    target, x = _target(kind)
    before = at(target, x)
    steps = torch.tensor([[{"double well": 0.3, "angle": 1.4, "half line": 0.25}[kind]]], dtype=torch.float64)
    moved = move(target, before, 1.0, steps, leapfrogs, torch.Generator().manual_seed(3))
    rate = float(moved.accepted.double().mean())
    assert 0.4 < rate < 0.95
    assert abs(rate - float(moved.probability.mean())) < 5 * 0.5 / math.sqrt(len(x))
    pairs, cells = _imbalance(before, moved.points)
    assert pairs > FALSE_ALARM
    assert cells > FALSE_ALARM


def test_the_count_shows_a_move_that_is_not_metropolised() -> None:
    """The same steps without the acceptance: the test above can fail."""
    target, x = _target("double well")
    before = at(target, x)
    generator = torch.Generator().manual_seed(3)
    momentum = torch.randn(len(x), 1, generator=generator, dtype=torch.float64)
    ones = torch.ones(len(x), 1, dtype=torch.float64)
    after, _ = leapfrog(target, before, momentum, 1.0, 0.3 * ones[:1], ones, 4)
    assert min(_imbalance(before, after)) < FALSE_ALARM


@pytest.mark.parametrize("t", [0.0, 0.3])
def test_the_densities_between_are_kept_too(t: float) -> None:
    """π_t of two Gaussians is a Gaussian: q = N(0.5, 1.5²), target N(-1, 0.5²). Five standard errors."""
    target = LatentTarget(AffineMap(1, 0.5, 1.5), NumpyEnergy(1, _shifted))
    precision = (1.0 - t) / 1.5**2 + t / 0.5**2
    mean, width = ((1.0 - t) * 0.5 / 1.5**2 - t / 0.5**2) / precision, precision**-0.5
    n = 40_000
    x = mean + width * torch.randn(n, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    points = at(target, x)
    for seed in range(5):
        steps = torch.full((1, 1), 1.1 * width / 1.5, dtype=torch.float64)
        points = move(target, points, t, steps, 3, torch.Generator().manual_seed(10 + seed)).points
    moved = points.positions[:, 0, 0]
    assert abs(float(moved.mean()) - mean) < 5 * width / math.sqrt(n)
    assert abs(float(moved.var()) / width**2 - 1.0) < 5 * math.sqrt(2.0 / n)


def _shifted(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return 0.5 * (((x + 1.0) / 0.5) ** 2).sum(1), (x + 1.0) / 0.25


def test_leapfrog_goes_back_along_itself_and_keeps_volumes() -> None:
    """With an angle that is wrapped, a gradient that is cut and long steps."""
    target = LatentTarget(AffineMap(2, 0.3, 2.0, n_angles=1), NumpyEnergy(2, double_well(60.0, 0.3)))
    generator = torch.Generator().manual_seed(1)
    z = torch.cat([3.0 * torch.rand(50, 1, generator=generator), torch.randn(50, 1, generator=generator)], 1).double()
    p = torch.randn(50, 2, generator=generator, dtype=torch.float64)
    steps = torch.tensor([[0.5, 0.1], [-0.1, 0.2]], dtype=torch.float64)
    stretch = 0.8 + 0.4 * torch.rand(50, 1, generator=generator, dtype=torch.float64)
    start = target.evaluate(z, torch.zeros(50, 1, dtype=torch.long))
    assert target.gradient(start, 1.0).norm(dim=1).max() > 100.0
    ended, momentum = leapfrog(target, start, p, 1.0, steps, stretch, 6)
    assert (ended.z[:, 0] - z[:, 0]).abs().max() > math.pi
    assert ended.z[:, 0].abs().max() <= math.pi
    back, reversed_momentum = leapfrog(target, ended, -momentum, 1.0, steps, stretch, 6)
    assert (back.z - z).abs().max() < 1e-6
    assert (reversed_momentum + p).abs().max() < 1e-6

    delta = 1e-6
    columns = []
    for k in range(4):
        moved = []
        for sign in (1.0, -1.0):
            state = torch.cat([z[:1], p[:1]], 1)
            state[0, k] += sign * delta
            point = target.evaluate(state[:, :2], torch.zeros(1, 1, dtype=torch.long))
            end, final = leapfrog(target, point, state[:, 2:], 1.0, steps, stretch[:1], 2)
            moved.append(torch.cat([end.z, final], 1)[0])
        columns.append((moved[0] - moved[1]) / (2.0 * delta))
    assert abs(abs(float(torch.det(torch.stack(columns)))) - 1.0) < 1e-4


def test_a_molecule_goes_back_to_where_it_came_from() -> None:
    """Alanine dipeptide under its force field, in the latent numbers of a flow in double precision."""
    system = load_system("alanine-dipeptide")
    flow = SplineFlow(system, SplineFlowSettings(hidden=8, torsion_hidden=8), torch.Generator().manual_seed(1))
    flow.fit(frames_of("alanine-dipeptide", 100))
    target = LatentTarget(flow.requires_grad_(False).double(), open_energy(system, platform="Reference"))
    generator = torch.Generator().manual_seed(2)
    z = torch.cat([torch.zeros(4, 5), 0.05 * torch.randn(4, 55, generator=generator)], 1).double()
    start = target.evaluate(z, torch.arange(22).expand(4, -1))
    momentum = torch.randn(4, 60, generator=generator, dtype=torch.float64)
    steps, stretch = 0.02 * torch.eye(60, dtype=torch.float64), torch.ones(4, 1, dtype=torch.float64)
    ended, final = leapfrog(target, start, momentum, 0.1, steps, stretch, 5)
    back, reversed_momentum = leapfrog(target, ended, -final, 0.1, steps, stretch, 5)
    assert (ended.z - z).abs().max() > 0.05
    assert (back.z - z).abs().max() < 1e-6
    assert (reversed_momentum + momentum).abs().max() < 1e-5


def test_particles_without_density_stay_and_none_is_moved_out_of_the_domain() -> None:
    target = LatentTarget(AffineMap(1, inside=lambda x: x[:, 0] > 0.0), NumpyEnergy(1, double_well(0.5, 0.0)))
    points = at(target, torch.linspace(-2.0, 2.0, 2001)[:, None])
    dead = torch.isinf(points.log_ratio)
    assert dead.sum() == 1001
    moved = move(target, points, 0.5, torch.full((1, 1), 0.4, dtype=torch.float64), 3, torch.Generator().manual_seed(1))
    assert not moved.accepted[dead].any()
    assert moved.accepted[~dead].double().mean() > 0.3
    assert (moved.points.positions[~dead] > 0.0).all()
    assert torch.isfinite(moved.points.log_ratio[~dead]).all()
