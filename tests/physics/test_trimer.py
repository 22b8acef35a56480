r"""Known answer of fixed bonds: the rigid trimer of equal masses without any energy.

The stiff limit, which the chart's measure is, has an angle distributed as sin(theta). Constrained dynamics samples
|Z|^{1/2} more, sin(theta) sqrt(4 - cos^2 theta); the weight |Z|^{-1/2} of its frames takes that back.
"""

import math

import numpy as np
import openmm
import pytest
import torch
from scipy.integrate import quad

from molgen.coordinates.chart import MolecularChart
from molgen.coordinates.geometry import bond_angle
from molgen.dynamics.langevin import MolecularDynamics
from molgen.dynamics.propagator import Piece
from molgen.systems.constraints import log_constraint_determinant
from tests.molecules import bare_system, topology_of

BOND = 0.15
MASS = 12.0
PAIRS = ((0, 1), (1, 2))


def trimer_xml() -> str:
    system = openmm.System()
    for _ in range(3):
        system.addParticle(MASS)
    for i, j in PAIRS:
        system.addConstraint(i, j, BOND)
    return str(openmm.XmlSerializer.serialize(system))


def stiff(theta: float) -> float:
    return math.sin(theta)


def rigid(theta: float) -> float:
    return math.sin(theta) * math.sqrt(4.0 - math.cos(theta) ** 2)


def mean_square_cosine(density: object) -> float:
    z = quad(density, 0.0, math.pi)[0]
    return quad(lambda t: density(t) * math.cos(t) ** 2, 0.0, math.pi)[0] / z  # type: ignore[operator]


@pytest.fixture(scope="module")
def structure() -> np.ndarray:
    return np.array([[BOND, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, BOND, 0.0]])


def test_the_measure_of_the_chart_is_the_stiff_limit(structure: np.ndarray) -> None:
    """20,000 angles uniform on (0, pi), weighted by the volume element: 4.5 standard errors (one seed in 100,000)."""
    chart = MolecularChart(bare_system(topology_of("C C C", PAIRS), structure, trimer_xml()))
    assert chart.dimension == 1
    theta = math.pi * torch.rand(20_000, 1, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    positions, log_volume = chart.decode(theta)
    assert [bond_angle(x.numpy(), 0, 1, 2) for x in positions[:50]] == pytest.approx(theta[:50, 0].tolist())
    weight = (log_volume - log_volume.max()).exp().numpy()
    weight /= weight.mean()
    values = np.cos(theta[:, 0].numpy()) ** 2
    expected = mean_square_cosine(stiff)
    error = np.std(weight * (values - expected)) / math.sqrt(len(weight))
    assert abs(np.mean(weight * values) - expected) < 4.5 * error
    assert expected == pytest.approx(1.0 / 3.0)


def test_constrained_dynamics_has_the_other_measure_and_its_weights_take_it_back(structure: np.ndarray) -> None:
    """32,000 frames; the two answers lie seven standard errors from each other, each test allows 4.5."""
    dynamics = MolecularDynamics(trimer_xml(), "Reference", timestep_ps=0.01, friction_per_ps=5.0)
    frames = dynamics.run(structure[None], Piece(300.0, 1_600_000, 50, 1000), seed=3)[0]
    cosine = np.array([math.cos(bond_angle(x, 0, 1, 2)) for x in frames])
    log_z = log_constraint_determinant(frames, PAIRS, np.full(3, 1.0 / MASS))
    np.testing.assert_allclose(np.exp(log_z) * MASS**2, 4.0 - cosine**2, rtol=1e-4)
    error = np.std(cosine**2) / math.sqrt(len(frames))
    plain, target = mean_square_cosine(rigid), mean_square_cosine(stiff)
    assert abs(np.mean(cosine**2) - plain) < 4.5 * error
    weight = np.exp(-0.5 * (log_z - log_z.mean()))
    weighted = np.sum(weight * cosine**2) / np.sum(weight)
    assert abs(weighted - target) < 4.5 * error
    assert abs(plain - target) > 7.0 * error
