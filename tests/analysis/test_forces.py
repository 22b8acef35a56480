"""Scores against forces: known slopes, and the projection that leaves shape alone."""

import numpy as np
import pytest

from molgen.analysis.forces import (
    along_bonds,
    bond_directions,
    classes,
    compare,
    expected_bond_slope,
    without_rigid_motion,
)
from molgen.energies.factory import open_energy
from molgen.systems.loading import load_system


@pytest.mark.parametrize(("particles", "dim"), [(4, 2), (5, 3), (2, 3)])
def test_rigid_motion_is_taken_off_and_nothing_else(particles: int, dim: int) -> None:
    rng = np.random.default_rng(1)
    x, v = rng.normal(size=(2, 6, particles, dim))
    turning = rng.normal(size=(dim, dim))
    rigid = x @ (turning - turning.T) + rng.normal(size=(6, 1, dim))
    assert np.abs(without_rigid_motion(x, rigid)).max() < 1e-12
    kept = without_rigid_motion(x, v)
    np.testing.assert_allclose(without_rigid_motion(x, kept + rigid), kept, atol=1e-12)
    assert np.abs(kept.sum(axis=1)).max() < 1e-12
    centred = x - x.mean(axis=1, keepdims=True)
    moment = np.einsum("nia,nib->nab", centred, kept)
    assert np.abs(moment - moment.transpose(0, 2, 1)).max() < 1e-12
    # What is taken off has as many dimensions as there are rigid motions: a pair has one rotation less.
    freedom = dim + dim * (dim - 1) // 2 - (particles == 2 and dim == 3)
    basis = np.eye(particles * dim).reshape(-1, particles, dim)
    projector = without_rigid_motion(np.broadcast_to(x[:1], basis.shape), basis).reshape(len(basis), -1)
    assert np.trace(projector) == pytest.approx(len(basis) - freedom)


def test_forces_of_a_cluster_have_no_rigid_part() -> None:
    system = load_system("lj13")
    x = system.positions + np.random.default_rng(2).normal(scale=0.03, size=(5, 13, 3))
    force = -open_energy(system).reduced_and_gradient(x, purpose="data")[1]
    np.testing.assert_allclose(without_rigid_motion(x, force), force, atol=1e-8 * np.abs(force).max())


def test_one_particle_keeps_its_force() -> None:
    force = np.ones((3, 1, 2))
    assert without_rigid_motion(np.zeros((3, 1, 2)), force) is force


def test_slope_and_correlation_of_a_line_with_noise() -> None:
    """Slope within 4 of its standard errors (1 in 16,000), which is itself known: √(σ² / Σ f²)."""
    rng = np.random.default_rng(3)
    force = rng.normal(scale=50.0, size=(400, 10, 3))
    score = 0.8 * force + rng.normal(scale=20.0, size=force.shape)
    row = compare("all", score, force, np.full(400, 1 / 400), noise=0.01)
    error = 20.0 / np.sqrt(np.sum(force**2))
    assert abs(row.slope - 0.8) < 4 * error
    assert 0.5 < row.slope_error / error < 2.0
    assert row.correlation == pytest.approx(40 / np.hypot(40, 20), abs=0.01)
    assert row.residual == pytest.approx(np.hypot(0.2 * 50, 20) / 50, rel=0.02)
    assert row.rms_force == pytest.approx(50.0, rel=0.02)
    assert row.components == 30


def test_weights_count() -> None:
    force = np.array([1.0, 2.0, 4.0])[:, None]
    score = np.array([1.0, 4.0, -4.0])[:, None]
    row = compare("all", score, force, np.array([0.5, 0.5, 0.0]), noise=0.0)
    assert row.slope == pytest.approx((1 + 8) / (1 + 4))


def test_a_perfect_score_of_springs_has_the_expected_slope_along_bonds() -> None:
    """A pair bound by a spring of spread s: the noised score along it is less by 1/(1 + 2σ²/s²) exactly."""
    rng = np.random.default_rng(4)
    spread, noise, length = 0.003, 0.002, 0.15
    bond = length + spread * rng.normal(size=20_000)
    x = np.zeros((20_000, 2, 3))
    x[:, 1, 0] = bond
    pull = (length - bond) / spread**2
    force = np.zeros_like(x)
    force[:, 1, 0], force[:, 0, 0] = pull, -pull
    weaker = force * spread**2 / (spread**2 + 2 * noise**2)
    directions, lengths = bond_directions(x, [(0, 1)])
    weight = np.full(20_000, 1 / 20_000)
    held, pulled = (along_bonds(vectors, directions, [(0, 1)]) for vectors in (force, weaker))
    np.testing.assert_allclose(held[:, 0], np.sqrt(2) * pull)
    measured = compare("bonds", pulled, held, weight, noise=noise).slope
    expected = expected_bond_slope(lengths, weight, noise)
    assert measured == pytest.approx(1 / (1 + 2 * noise**2 / spread**2))
    assert expected == pytest.approx(measured, rel=0.03)  # the spread of 20,000 lengths is known to 0.5 %
    assert expected_bond_slope(lengths, weight, 0.0) == 1.0


def test_classes_keep_their_order() -> None:
    assert {name: rows.tolist() for name, rows in classes(["H", "C", "H"]).items()} == {"H": [0, 2], "C": [1]}
