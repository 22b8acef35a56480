"""The grid committor against the exact one of one coordinate, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from molgen.committor.grid import Plane, cells_between, error_on, grid_committor, refined
from molgen.errors import InputError
from molgen.observables.boundary import A, B, Boundary
from molgen.systems.loading import load_system
from tests.wells import CORE, committor, double_well, potential

LINE = Plane.box([-2.5], [2.5])
FINE = np.linspace(-2.5, 2.5, 100_001)


def exact_rates() -> tuple[float, float, float]:
    """ν = 1/(Z ∫ e^V) over the space between the cores, D = 1, and the rates."""
    spacing = FINE[1] - FINE[0]
    weight = np.exp(-potential(FINE))
    total = weight.sum()
    nu = 1.0 / (total * np.exp(potential(FINE[np.abs(FINE) < CORE])).sum() * spacing**2)
    mean = float(committor(FINE) @ weight / total)
    return nu, nu / (1.0 - mean), nu / mean


def test_refinement_ends_at_the_exact_committor_and_rates() -> None:
    """First order in h because cores end inside a cell; extrapolated to 1e-4 and, for rates, 2e-3."""
    boundary = Boundary(double_well(), "left", "right")
    coarse, fine = (grid_committor(boundary, LINE, spacing) for spacing in (0.01, 0.005))
    x = np.linspace(-0.8, 0.8, 33).reshape(-1, 1, 1)
    exact = committor(x[:, 0, 0])
    errors = [np.abs(grid.probability(x) - exact).max() for grid in (coarse, fine)]
    assert errors[1] < 0.6 * errors[0] < 2e-3
    assert np.abs(refined(coarse.probability(x), fine.probability(x)) - exact).max() < 1e-4
    for name, truth in zip(("nu", "k_ab", "k_ba"), exact_rates(), strict=True):
        assert refined(getattr(coarse, name), getattr(fine, name)) == pytest.approx(truth, rel=2e-3)
    assert fine.nu == pytest.approx(fine.k_ab * (1.0 - fine.mean_q), rel=1e-12)
    assert fine.nu == pytest.approx(fine.k_ba * fine.mean_q, rel=1e-12)


def test_a_frame_has_the_value_of_the_cell_it_lies_in() -> None:
    grid = grid_committor(Boundary(double_well(), "left", "right"), LINE, 0.02)
    every = np.ones(grid.q.shape, dtype=np.bool_)
    centres, values = grid.centres(every), np.arange(grid.q.size).reshape(grid.q.shape)
    for shift in (-0.0099, 0.0, 0.0099):
        assert grid.in_cells(values, centres + shift).tolist() == values.ravel().tolist()
    assert grid.in_cells(values, centres[-1:] + 3.0).tolist() == [values.max()]


def test_friction_divides_the_rates_and_leaves_q() -> None:
    system = double_well()
    section = system.definition.dynamics.model_copy(update={"friction_per_ps": 4.0})
    slow = replace(system, definition=system.definition.model_copy(update={"dynamics": section}))
    grid, other = (grid_committor(Boundary(which, "left", "right"), LINE, 0.02) for which in (system, slow))
    assert np.allclose(grid.q, other.q, equal_nan=True)
    assert (other.nu, other.k_ab) == pytest.approx((grid.nu / 4.0, grid.k_ab / 4.0))


def test_exchanging_the_states_gives_one_minus_q() -> None:
    system = load_system("dead-end")
    plane = Plane.box((-2.0, -2.0), (2.0, 3.0))
    there = grid_committor(Boundary(system, "left", "right"), plane, 0.1)
    back = grid_committor(Boundary(system, "right", "left"), plane, 0.1)
    assert np.allclose(back.q, 1.0 - there.q, atol=1e-12, equal_nan=True)
    assert (back.k_ab, back.k_ba) == pytest.approx((there.k_ba, there.k_ab))
    cells = cells_between(there, 5.0)
    assert cells.any()
    assert not np.isin(there.label[cells], (A, B)).any()
    assert there.centres(cells).shape == (cells.sum(), 1, 2)
    assert error_on(there.probability(there.centres(cells)), there, cells) < 1e-12


def test_a_plane_through_ten_dimensions_is_all_that_matters() -> None:
    """The states of (x0, s) alone, and symmetric: q = 1/2 in the middle, wherever the plane is shifted to."""
    boundary = Boundary(load_system("hidden-coordinate"), "left", "right")
    directions = np.zeros((2, 10))
    directions[0, 0], directions[1, 1:] = 1.0, 1.0 / 3.0
    aside = np.zeros(10)
    aside[1:3] = 0.4, -0.4
    ends = np.array([-1.8, -3.4]), np.array([1.8, 3.4])
    here, there = (grid_committor(boundary, Plane(origin, directions, *ends), 0.1) for origin in (np.zeros(10), aside))
    assert np.allclose(here.q, there.q, equal_nan=True, atol=1e-10)
    assert here.k_ab == pytest.approx(here.k_ba) == pytest.approx(there.k_ab)
    assert here.probability(here.plane.positions(np.zeros((1, 2)))) == pytest.approx(0.5)


def test_what_has_no_grid_is_refused() -> None:
    with pytest.raises(InputError, match="alanine-dipeptide-vacuum has no grid"):
        grid_committor(Boundary(load_system("alanine-dipeptide-vacuum"), "c7eq", "c7ax"), LINE, 0.1)
    with pytest.raises(InputError, match="No cell of the grid lies in right"):
        grid_committor(Boundary(double_well(), "left", "right"), Plane.box([-2.0], [0.5]), 0.1)
    # Cells too high to be reached are left out.
    assert np.isnan(grid_committor(Boundary(double_well(), "left", "right"), Plane.box([-4.0], [4.0]), 0.1).q[0])
