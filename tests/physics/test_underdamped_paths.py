"""Two-way shots of underdamped dynamics at friction 1 against trajectories that were simply run."""

import numpy as np

from molgen.dynamics.analytic_passage import analytic_passages
from molgen.observables.boundary import Boundary
from molgen.shooting.points import BlockShares
from molgen.shooting.rate import passings, rates
from molgen.shooting.shots import Shots, shoot_pairs
from tests.wells import CORE, double_well, potential

STEP, FRICTION = 0.02, 1.0
SYSTEM = double_well("langevin-middle", 1e3 * STEP)
BOUNDARY = Boundary(SYSTEM, "left", "right")
GRID = np.linspace(-2.2, 2.2, 20_001)
DENSITY = np.exp(-potential(GRID)) / np.exp(-potential(GRID)).sum()
INSIDE = np.abs(GRID) < CORE


def brute(walkers: int, steps: int, seed: int) -> tuple[int, np.ndarray]:
    """Crossings from left to right, and the length in looks of every transition path, of an ensemble at equilibrium.

    Written out anew, velocities half a step behind (Z. Zhang et al., doi:10.1021/acs.jpca.9b02771).
    """
    rng = np.random.default_rng(seed)
    x = np.interp(rng.random(walkers), np.cumsum(DENSITY), GRID)
    v = rng.standard_normal(walkers)
    kept = np.exp(-FRICTION * STEP)
    last, left = np.zeros(walkers, dtype=int), np.zeros(walkers, dtype=int)
    crossings, lengths = 0, []
    for step in range(steps):
        v = v - STEP * (20.0 * x * (x * x - 1.0) + 0.5)
        x = x + 0.5 * STEP * v
        v = kept * v + np.sqrt(1.0 - kept * kept) * rng.standard_normal(walkers)
        x = x + 0.5 * STEP * v
        here = np.where(x > CORE, 1, np.where(x < -CORE, -1, 0))
        crossed = (here != 0) & (last != 0) & (here != last)
        crossings += int((crossed & (here == 1)).sum())
        lengths += (step - left[crossed]).tolist()
        last = np.where(here != 0, here, last)
        left = np.where(here != 0, step, left)
    return crossings, np.array(lengths)


def shot(points: int, seed: int) -> tuple[Shots, np.ndarray]:
    """Pairs from points in proportion to the root of the density, whose ``selection`` says so."""
    root = np.sqrt(DENSITY[INSIDE])
    x = np.random.default_rng(seed).choice(GRID[INSIDE], points, p=root / root.sum())
    numbers = np.arange(points)
    dynamics = analytic_passages(SYSTEM, BOUNDARY)
    shots = shoot_pairs(dynamics, x.reshape(-1, 1, 1), numbers, numbers, 1_000_000, seed)
    return shots, np.interp(x, GRID, DENSITY) ** -0.5


def test_flux_and_path_lengths_are_those_of_plain_dynamics() -> None:
    """8,000 pairs, and some hundred transitions of 4,000 walkers.

    The flux within four standard errors of the two together (false alarms: one in 15,000), and so the shares of paths
    shorter than three lengths.
    """
    walkers, steps = 4000, 3000
    crossings, lengths = brute(walkers, steps, 1)
    shots, selection = shot(8000, 2)
    found = passings(shots, len(selection), STEP, 1)
    each = np.full(len(selection), 1.0 / len(selection))
    a, b = (float(DENSITY[where].sum()) for where in (GRID < -CORE, GRID > CORE))
    shares = BlockShares(a * each, b * each, (1.0 - a - b) * each, np.arange(len(selection)))
    nu = rates(found, selection, shares, np.random.default_rng(3)).nu
    error = np.hypot(np.log(nu.high / nu.low) / (2 * 1.96), 1.0 / np.sqrt(crossings))
    plain = crossings / (walkers * steps * STEP)
    assert error < 0.1
    assert abs(np.log(nu.value / plain)) < 4 * error
    # A point on a path of n intervals is found n − 1 times: 1/(n − 1) makes every path count once.
    outcome, taken = shots.outcome.reshape(-1, 2), shots.steps.reshape(-1, 2).sum(axis=1)
    path = outcome[:, 0] != outcome[:, 1]
    length, weight = taken[path], 1.0 / (taken[path] - 1) / selection[path]
    for bound in np.quantile(lengths, [0.25, 0.5, 0.75]):
        share, theirs = float(weight[length <= bound].sum() / weight.sum()), float(np.mean(lengths <= bound))
        own = np.sqrt((weight**2 * ((length <= bound) - share) ** 2).sum()) / weight.sum()
        assert abs(share - theirs) < 4 * np.hypot(own, np.sqrt(theirs * (1.0 - theirs) / len(lengths)))
