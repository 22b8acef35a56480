r"""Known answers of four particles: the volume element of internal coordinates is that of Cartesian space.

Harmonic chain. U = k_b/2 sum (b_i - b0)^2 + k_a/2 sum (theta_i - theta0)^2 with a free torsion, in kT. Modulo rigid
motion ln Z factorises into quadratures: Z = (int b^2 e^{-U} db)^3 (int sin(theta) e^{-U} dtheta)^2 2 pi.

Springs between all pairs. U = k/2 sum_i |x_i - x_mean|^2 is a Gaussian of Cartesian space: Z per volume of the first
atom's position is N^{3/2} (2 pi / k)^{3 (N - 1) / 2}, and 8 pi^2 of it is the orientation (Haar measure).
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from molgen.coordinates.internal import InternalCoordinates
from molgen.coordinates.zmatrix import build_zmatrix
from tests.molecules import bare_system, topology_of

BOND, ANGLE = 0.15, 1.9
BOND_K, ANGLE_K = 60.0 / BOND**2, 12.0
N = 40_000
SHAPES = {"chain": ((0, 1), (1, 2), (2, 3)), "star": ((0, 1), (0, 2), (0, 3))}


def tetramer(shape: str) -> InternalCoordinates:
    corners = 0.1 * np.array([[0.0, 0, 0], [1, 1, 0], [1, -1, 0.2], [-0.3, 1, 1]])  # no line, no plane
    return InternalCoordinates(build_zmatrix(bare_system(topology_of("C C C C", SHAPES[shape]), corners)))


def proposal(rng: np.random.Generator, spread: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Coordinates (N, 6), log-normal bonds of that spread and uniform directions, and their log-density."""
    bonds = np.exp(rng.normal(math.log(BOND), spread, (N, 3)))
    cosines = rng.uniform(-1.0, 1.0, (N, 2))
    torsions = rng.uniform(-math.pi, math.pi, (N, 1))
    scaled = (np.log(bonds) - math.log(BOND)) / spread
    log_bonds = -0.5 * scaled**2 - np.log(bonds * spread * math.sqrt(2 * math.pi))
    angles = np.arccos(cosines)
    log_density = log_bonds.sum(1) + np.log(0.5 * np.sin(angles)).sum(1) - math.log(2 * math.pi)
    return torch.as_tensor(np.concatenate([bonds, angles, torsions], 1)), torch.as_tensor(log_density)


def chain_energy(positions: torch.Tensor, shape: str) -> torch.Tensor:
    """The harmonic chain's energy from Cartesian positions, with plain geometry."""
    pairs = SHAPES[shape]
    bonds = torch.stack([(positions[:, i] - positions[:, j]).norm(dim=-1) for i, j in pairs], 1)
    angles = []
    for a, b, c in [(0, 1, 2), (1, 2, 3)]:
        u, v = positions[:, a] - positions[:, b], positions[:, c] - positions[:, b]
        angles.append(torch.acos((u * v).sum(-1) / u.norm(dim=-1) / v.norm(dim=-1)))
    stretched = 0.5 * BOND_K * (bonds - BOND).square().sum(1)
    return stretched + 0.5 * ANGLE_K * (torch.stack(angles, 1) - ANGLE).square().sum(1)


def moments(weight: Callable[[float], float], low: float, high: float, peak: float) -> tuple[float, float, float]:
    """Integral, mean and variance of an unnormalised density."""
    z, first, second = (quad(lambda v, p=p: v**p * weight(v), low, high, points=[peak])[0] for p in (0, 1, 2))
    return z, first / z, second / z - (first / z) ** 2


def estimate(log_weight: torch.Tensor) -> tuple[float, float]:
    """ln of the mean weight and its standard error."""
    weight = (log_weight - log_weight.max()).exp()
    return float(weight.mean().log() + log_weight.max()), float(weight.std() / weight.mean() / math.sqrt(len(weight)))


@pytest.fixture(scope="module")
def weighted() -> tuple[torch.Tensor, torch.Tensor]:
    """Coordinates and log-weights of the harmonic chain."""
    y, log_density = proposal(np.random.default_rng(1), 0.25)
    positions, log_volume = tetramer("chain").to_positions(y)
    return y, log_volume - chain_energy(positions, "chain") - log_density


def bond_weight(b: float) -> float:
    return b * b * math.exp(-0.5 * BOND_K * (b - BOND) ** 2)


def angle_weight(theta: float) -> float:
    return math.sin(theta) * math.exp(-0.5 * ANGLE_K * (theta - ANGLE) ** 2)


def test_ln_z_of_the_harmonic_chain(weighted: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Within four standard errors: one seed in 16,000 fails."""
    z_bond, z_angle = moments(bond_weight, 0.0, 0.6, BOND)[0], moments(angle_weight, 0.0, math.pi, ANGLE)[0]
    expected = 3 * math.log(z_bond) + 2 * math.log(z_angle) + math.log(2 * math.pi)
    value, error = estimate(weighted[1])
    assert error < 0.03
    assert abs(value - expected) < 4 * error


def test_marginals_of_the_harmonic_chain(weighted: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Means of bonds, angles and cos(torsion) within four standard errors: six means, one seed in 2,600 fails."""
    y, log_weight = weighted
    weight = (log_weight - log_weight.max()).exp()
    weight = weight / weight.sum()
    bond, angle = moments(bond_weight, 0.0, 0.6, BOND)[1], moments(angle_weight, 0.0, math.pi, ANGLE)[1]
    values = torch.cat([y[:, :5], y[:, 5:].cos()], 1)
    expected = torch.tensor([bond] * 3 + [angle] * 2 + [0.0], dtype=torch.float64)
    mean = (weight[:, None] * values).sum(0)
    error = (weight[:, None].square() * (values - mean).square()).sum(0).sqrt()
    assert ((mean - expected).abs() < 4 * error).all()
    # The volume element is seen: without b^2 and sin(theta) the means are b0 and nearly theta0.
    assert (expected[0] - BOND) > 4 * error[0]
    assert (ANGLE - expected[3]) > 4 * error[3]


@pytest.mark.parametrize("shape", SHAPES)
def test_ln_z_of_springs_between_all_pairs_is_that_of_cartesian_space(shape: str) -> None:
    """Within four standard errors: one seed in 16,000 fails."""
    stiffness = 5.0 / BOND**2
    y, log_density = proposal(np.random.default_rng(2), 0.5)
    positions, log_volume = tetramer(shape).to_positions(y)
    centred = positions - positions.mean(1, keepdim=True)
    energy = 0.5 * stiffness * centred.square().sum((1, 2))
    value, error = estimate(log_volume - energy - log_density)
    expected = 1.5 * math.log(4) + 4.5 * math.log(2 * math.pi / stiffness) - math.log(8 * math.pi**2)
    assert error < 0.05
    assert abs(value - expected) < 4 * error


@pytest.mark.parametrize("shape", SHAPES)
def test_cartesian_draws_have_the_density_of_internal_coordinates(shape: str) -> None:
    """E_p[q / p] = 1 for Gaussian draws of Cartesian space and a density q of internal coordinates.

    q is a product of three bonds near the draws' own lengths and uniform directions, so the variance is finite;
    within four standard errors: one seed in 16,000 fails.
    """
    rng = np.random.default_rng(3)
    positions = torch.as_tensor(rng.normal(size=(N, 4, 3)))
    internal = tetramer(shape)
    y = internal.from_positions(positions)
    log_volume = internal.to_positions(y)[1]
    centred = positions - positions.mean(1, keepdim=True)
    log_p = -0.5 * centred.square().sum((1, 2)) - 1.5 * math.log(4) - 4.5 * math.log(2 * math.pi)
    bonds, angles = y[:, :3], y[:, 3:5]
    # Independent bonds, normal in space: b^2 exp(-b^2 / 2) sqrt(2 / pi).
    log_bonds = 2 * bonds.log() - 0.5 * bonds.square() + 0.5 * math.log(2 / math.pi)
    log_q = log_bonds.sum(1) + (0.5 * angles.sin()).log().sum(1) - math.log(2 * math.pi)
    value, error = estimate(log_q - log_volume - (log_p + math.log(8 * math.pi**2)))
    assert error < 0.05
    assert abs(value) < 4 * error
