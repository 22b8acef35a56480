"""Rates of one overdamped coordinate against the exact ones and against a long trajectory's transitions."""

import numpy as np
import pytest

from molgen.dynamics.passage import EveryLook
from molgen.dynamics.passage_factory import open_passages
from molgen.errors import InputError
from molgen.observables.boundary import Boundary
from molgen.shooting.lineages import independent_blocks
from molgen.shooting.points import BlockShares
from molgen.shooting.rate import Passings, passings, rates
from molgen.shooting.shots import Shots, shoot_and_keep, shoot_pairs
from tests.wells import CORE, committor, double_well, potential

STEP = 5e-4
SYSTEM = double_well("overdamped", 1e3 * STEP)
BOUNDARY = Boundary(SYSTEM, "left", "right")
GRID = np.linspace(-2.5, 2.5, 50_001)
DENSITY = np.exp(-potential(GRID)) / (np.exp(-potential(GRID)).sum() * (GRID[1] - GRID[0]))


def exact(step: float = STEP) -> tuple[float, float, float]:
    """ν = D/(Z ∫ e^V), k_AB and k_BA between cores moved outwards by what a step overshoots (D = 1)."""
    spacing = GRID[1] - GRID[0]
    core = CORE + 0.5826 * np.sqrt(2.0 * step)
    between = np.abs(GRID) < core
    nu = 1.0 / (np.exp(-potential(GRID)).sum() * np.exp(potential(GRID[between])).sum() * spacing**2)
    q = float((committor(GRID, core - CORE) * DENSITY).sum() * spacing)
    return nu, nu / (1.0 - q), nu / q


def shares_of(points: int) -> BlockShares:
    """The exact populations, every point a block of its own."""
    spacing = GRID[1] - GRID[0]
    a, b = (float(DENSITY[where].sum() * spacing) for where in (GRID < -CORE, GRID > CORE))
    each = np.full(points, 1.0 / points)
    return BlockShares(a * each, b * each, (1.0 - a - b) * each, np.arange(points))


def estimate(seed: int, points: int = 16_000) -> tuple[Passings, np.ndarray]:
    """Points in proportion to the root of the density, whose ``selection`` says so."""
    inside = np.abs(GRID) < CORE
    root = DENSITY[inside] ** 0.5
    x = np.random.default_rng(seed).choice(GRID[inside], points, p=root / root.sum())
    numbers = np.arange(points)
    dynamics = open_passages(SYSTEM, BOUNDARY, platform="numpy")
    shots = shoot_pairs(dynamics, x.reshape(-1, 1, 1), numbers, numbers, 1_000_000, seed)
    return passings(shots, points, STEP, 1), np.interp(x, GRID, DENSITY) ** -0.5


def test_rates_are_the_exact_ones() -> None:
    """Within four standard errors (false alarms: one in 15,000), which are below 6 %."""
    found, selection = estimate(1)
    result = rates(found, selection, shares_of(len(selection)), np.random.default_rng(2))
    for item, truth in zip((result.nu, result.k_ab, result.k_ba), exact(), strict=True):
        error = np.log(item.high / item.low) / (2 * 1.96)
        assert error < 0.06
        assert abs(np.log(item.value / truth)) < 4 * error
    assert result.k_ab.value / result.k_ba.value == pytest.approx(result.mean_q.value / (1 - result.mean_q.value))


def test_counting_each_path_evenly_gives_the_same_with_less_scatter() -> None:
    """2,000 points, within four standard errors; those of 1_TP/(p τ) are larger with the same shots."""
    inside = np.abs(GRID) < CORE
    root = DENSITY[inside] ** 0.5
    x = np.random.default_rng(5).choice(GRID[inside], 2000, p=root / root.sum())
    numbers = np.arange(len(x))
    dynamics = open_passages(SYSTEM, BOUNDARY, platform="numpy")
    found, trail = shoot_and_keep(dynamics, x.reshape(-1, 1, 1), numbers, numbers, 1_000_000, 5, EveryLook())
    assert trail is not None

    def chance(at: np.ndarray) -> np.ndarray:
        return np.asarray(np.interp(at, GRID, DENSITY) ** -0.5)

    selection = chance(x)
    along = 1.0 + np.bincount(trail.passage, chance(trail.positions[:, 0, 0])) / selection
    errors = []
    for sums in (along, None):
        some = passings(found, len(x), STEP, 1, sums)
        result = rates(some, selection, shares_of(len(x)), np.random.default_rng(6)).nu
        errors.append(np.log(result.high / result.low) / (2 * 1.96))
        assert abs(np.log(result.value / exact()[0])) < 4 * errors[-1]
    assert errors[0] < 0.95 * errors[1]


def test_a_long_trajectory_crosses_as_often() -> None:
    """2,000 walkers from equilibrium for a time of 20: about 500 crossings, four standard errors."""
    rng = np.random.default_rng(3)
    cumulative = np.cumsum(DENSITY) / DENSITY.sum()
    x = np.interp(rng.random(2000), cumulative, GRID)
    last, crossings, time = np.zeros(len(x)), 0, 0.0
    for _ in range(40_000):
        x = x - STEP * (20.0 * x * (x * x - 1.0) + 0.5) + np.sqrt(2.0 * STEP) * rng.standard_normal(len(x))
        crossings += int(((x > CORE) & (last == -1)).sum())
        last = np.where(x > CORE, 1, np.where(x < -CORE, -1, last))
        time += STEP * len(x)
    assert abs(crossings / time / exact()[0] - 1.0) < 4.0 / np.sqrt(crossings)


def shots(outcomes: list[int], steps: list[int]) -> Shots:
    from molgen.dynamics.passage import PhasePoints

    n = len(outcomes)
    rows = np.arange(n) // 2
    kept = np.zeros((outcomes.count(-1), 1, 1))
    return Shots(rows, rows, 1 - 2 * (np.arange(n) % 2), np.array(outcomes), np.array(steps), PhasePoints(kept, kept))


def test_paths_are_pairs_that_end_apart() -> None:
    table = shots([0, 1, 0, 0, 1, 1, 1, 0], [3, 4, 9, 9, 9, 9, 5, 1])
    found = passings(table, 4, 0.5, 1)
    assert found.paths == 2
    assert found.passing.tolist() == pytest.approx([1 / 3.0, 0.0, 0.0, 1 / 2.5])
    assert found.reaching.tolist() == [0.5, 0.0, 1.0, 0.5]
    assert found.path_time == pytest.approx(2.75)
    looks = np.array([3.0, 1.0, 1.0, 20.0])
    assert passings(table, 4, 0.5, 1, looks).passing.tolist() == pytest.approx([1 / 1.5, 0.0, 0.0, 1 / 10.0])


def test_what_gives_no_rate_is_refused() -> None:
    with pytest.raises(InputError, match="1 of 2 pairs of shots have not reached"):
        passings(shots([0, -1, 0, 1], [1, 1, 1, 1]), 2, 1.0, 1)
    nothing = passings(shots([0, 0, 1, 1], [1, 1, 1, 1]), 2, 1.0, 1)
    with pytest.raises(InputError, match="No pair of shots is a transition path"):
        rates(nothing, np.ones(2), shares_of(2), np.random.default_rng(1))
    none = BlockShares(np.ones(2), np.zeros(2), np.ones(2), np.arange(2))
    with pytest.raises(InputError, match="lies in B"):
        rates(nothing, np.ones(2), none, np.random.default_rng(1))


def test_few_lineages_are_cut_into_stretches_of_time() -> None:
    lineage = np.repeat([7, 3], [8, 4])
    assert independent_blocks(lineage, 2).tolist() == [1] * 8 + [0] * 4
    assert independent_blocks(lineage, 4).tolist() == [2] * 4 + [3] * 4 + [0] * 2 + [1] * 2
    assert len(np.unique(independent_blocks(np.zeros(5, dtype=int), 20))) == 5
