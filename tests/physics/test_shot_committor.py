"""Shots against the exact committor of one overdamped coordinate."""

import numpy as np

from molgen.dynamics.passage_factory import open_passages
from molgen.observables.boundary import NEITHER, Boundary
from molgen.shooting.shots import count, shoot_pairs
from tests.wells import committor, double_well

STEP = 1e-3


def test_shots_reach_b_as_often_as_the_committor_says() -> None:
    """Five points, 800 shots each: chi-square with five degrees of freedom, above 25.7 once in 10,000.

    Dynamics in steps meets a boundary too late, as if it lay 0.5826 sqrt(2 D dt) further out (S. Asmussen, P. Glynn and
    J. Pitman, Ann. Appl. Probab. 5 (1995) 875; M. Broadie, P. Glasserman and S. Kou, Math. Finance 7 (1997) 325).
    """
    system = double_well("overdamped", 1e3 * STEP)
    dynamics = open_passages(system, Boundary(system, "left", "right"), platform="numpy")
    x = np.array([-0.3, -0.15, 0.0, 0.15, 0.3])
    configuration = np.repeat(np.arange(5), 400)
    positions = x[configuration].reshape(-1, 1, 1)
    shots = shoot_pairs(dynamics, positions, configuration, np.arange(2000), 10**6, 3)
    assert not (shots.outcome == NEITHER).any()
    counts = count(shots, 5)
    exact = committor(x, 0.5826 * np.sqrt(2.0 * STEP))
    expected, decided = exact * counts.decided, counts.decided
    assert decided.tolist() == [800] * 5
    chi_square = ((counts.b - expected) ** 2 / (decided * exact * (1.0 - exact))).sum()
    assert chi_square < 25.7
    swapped = open_passages(system, Boundary(system, "right", "left"), platform="numpy")
    other = count(shoot_pairs(swapped, positions, configuration, np.arange(2000), 10**6, 3), 5)
    assert other.b.tolist() == counts.a.tolist()
