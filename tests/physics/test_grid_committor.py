"""The grid committor on Müller-Brown, with a dead end and with a hidden coordinate, and shots against it."""

import numpy as np
import pytest

from molgen.committor.known import (
    KnownCase,
    dead_end_case,
    hidden_coordinate_case,
    hidden_plane,
    muller_brown_case,
)
from molgen.dynamics.analytic_passage import analytic_passages
from molgen.observables.boundary import A, B
from molgen.shooting.shots import count, shoot_pairs


def test_muller_brown_converges_to_the_rates_known() -> None:
    """ν 4.92e-4, k_AB 5.05e-4 and k_BA 1.93e-2 to their three digits; from h to h/2 they move by less than 0.2 %."""
    case = muller_brown_case()
    coarse, fine = case.grid(0.025), case.grid(0.0125)
    for name, known in (("nu", 4.92e-4), ("k_ab", 5.05e-4), ("k_ba", 1.93e-2)):
        assert abs(getattr(coarse, name) / getattr(fine, name) - 1.0) < 2e-3
        assert float(f"{getattr(fine, name):.2e}") == known
    centres = coarse.centres(case.cells(coarse))
    assert np.abs(fine.probability(centres) - coarse.probability(centres)).max() < 0.01


def chi_square(case: KnownCase, positions: np.ndarray, pairs: int, seed: int) -> float:
    """Σ (S − K q)²/(K q (1 − q)) of shots from ``positions`` (n, 1, D), as many degrees of freedom as there are."""
    n = len(positions)
    configuration = np.repeat(np.arange(n), pairs)
    dynamics = analytic_passages(case.system, case.boundary)
    shots = shoot_pairs(dynamics, positions[configuration], configuration, np.arange(n * pairs), 10**6, seed)
    counts = count(shots, n)
    assert counts.decided.tolist() == [2 * pairs] * n
    q = case.grid().probability(positions)
    return float(((counts.b - counts.decided * q) ** 2 / (counts.decided * q * (1.0 - q))).sum())


def test_shots_on_muller_brown_reach_b_as_often_as_on_the_grid() -> None:
    """Four points of the ridge, 200 shots each: chi-square with four degrees of freedom, above 23.5 once in 10,000."""
    points = np.array([[-0.9, 0.75], [-0.8, 0.6], [-0.7, 0.5], [-0.95, 0.4]])[:, None]
    assert chi_square(muller_brown_case(timestep_fs=0.2), points, 100, 1) < 23.5


def test_a_dead_end_goes_where_its_mouth_leads() -> None:
    """In the pocket, at its mouth and on the barrier, 200 shots each; three degrees of freedom, 21.1 once in 10,000."""
    case = dead_end_case()
    assert chi_square(case, np.array([[0.3, 1.5], [0.2, 0.8], [-0.1, 0.0]])[:, None], 100, 2) < 21.1
    grid = case.grid()
    weight = np.where(np.isfinite(grid.q), np.exp(-grid.potential), 0.0)
    held = [weight[where].sum() / weight.sum() for where in (grid.label == A, grid.label == B)]
    assert sum(held) < 0.5  # most of the ensemble is in the pocket or on the way
    deep = (grid.potential < 0.0) & (grid.label != A) & (grid.label != B)
    assert np.ptp(grid.q[deep]) < 0.03


def test_a_hidden_coordinate_decides_and_the_others_do_not() -> None:
    """Off the plane q is that on it: 400 shots from each of three points, 21.1 once in 10,000."""
    case = hidden_coordinate_case()
    y = np.array([[0.0, 0.5], [0.0, -0.5], [0.3, 0.0]])
    on = hidden_plane(np.zeros(10)).positions(y)
    aside = np.zeros(10)
    aside[1:4] = 0.3, -0.2, -0.1
    assert chi_square(case, on + aside, 200, 3) < 21.1
    q = case.grid().probability(on)
    assert q[0] - q[1] > 0.5  # at one x0, and x0 is all that the states are read off


@pytest.mark.parametrize("name", ["k_ab", "k_ba"])
def test_a_grid_knows_which_way_is_which(name: str) -> None:
    """The pocket lies on B's side, and k_BA ⟨q⟩ = k_AB ⟨1 − q⟩."""
    grid = dead_end_case().grid(0.05)
    share = grid.mean_q if name == "k_ba" else 1.0 - grid.mean_q
    assert getattr(grid, name) * share == pytest.approx(grid.nu)
    assert grid.mean_q > 0.6
