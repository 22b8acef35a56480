"""The minimum near a structure."""

import numpy as np
import pytest

from molgen.energies.factory import open_energy
from molgen.energies.minimisation import minimise
from molgen.systems.loading import load_system


def test_the_double_well_has_its_minimum_where_the_slope_vanishes() -> None:
    system = load_system("double-well")
    energy = open_energy(system)
    positions, u = minimise(energy, np.array([[-0.7]]))
    _, slope = energy.reduced_and_gradient(positions[None], purpose="data")
    assert abs(slope[0, 0, 0]) < 1e-4
    assert u == pytest.approx(float(energy.reduced(positions[None], purpose="data")[0]))
    assert positions[0, 0] < -0.9  # the well it started in


def test_a_start_without_a_finite_energy_is_given_back() -> None:
    system = load_system("alanine-dipeptide")
    positions = system.positions.copy()
    positions[21] = positions[0]
    same, u = minimise(open_energy(system, platform="Reference"), positions)
    assert same is positions
    assert not np.isfinite(u)


def test_a_shaken_molecule_comes_down() -> None:
    system = load_system("alanine-dipeptide")
    energy = open_energy(system, platform="Reference")
    shaken = system.positions + 0.01 * np.random.default_rng(1).normal(size=system.positions.shape)
    _, u = minimise(energy, shaken)
    start, own = energy.reduced(np.stack([shaken, system.positions]), purpose="data")
    assert u < start - 20.0
    assert u < own + 1.0
