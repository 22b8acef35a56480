r"""Draws of a model and frames of constrained dynamics together: the rigid trimer without any energy.

The model draws the angle uniformly, the stiff limit (the target) has it as sin(theta), and constrained dynamics as
sin(theta) sqrt(4 - cos^2 theta): with the masses' |Z|^{1/2} in the frames' density both give the same answer, without
it they do not.
"""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from molgen.coordinates.chart import MolecularChart
from molgen.energies.factory import open_energy
from molgen.reweighting.mixture import log_mixture
from molgen.reweighting.multistate import solve_free_energies
from molgen.workflows.reweight_densities import boltzmann_density
from molgen.workflows.reweight_members import EquilibriumMember
from tests.molecules import bare_system, topology_of
from tests.physics.test_trimer import BOND, PAIRS, rigid, trimer_xml

N = 50_000
PINNED = np.array([True, False])


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions, angles and the model's log-density of N draws and N frames."""
    structure = np.array([[BOND, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, BOND, 0.0]])
    system = bare_system(topology_of("C C C", PAIRS), structure, trimer_xml())
    generator = np.random.default_rng(7)
    grid = np.linspace(1e-4, math.pi - 1e-4, 20_001)
    density = np.array([rigid(t) for t in grid])
    theta = np.concatenate([generator.uniform(0.0, math.pi, N), generator.choice(grid, N, p=density / density.sum())])
    positions, log_volume = MolecularChart(system).decode(torch.as_tensor(theta[:, None]))
    return positions.numpy(), theta, -math.log(math.pi) - log_volume.numpy()


def _columns(rows: tuple[np.ndarray, np.ndarray, np.ndarray], *, weighed: bool) -> np.ndarray:
    positions, _, log_q = rows
    structure = np.array([[BOND, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, BOND, 0.0]])
    system = bare_system(topology_of("C C C", PAIRS), structure, trimer_xml())
    if not weighed:
        return np.stack([log_q, np.zeros(len(log_q))], axis=1)
    member = EquilibriumMember("md", Path("md"), "", system.temperature_k, None, None, system, N, 0)
    energy = open_energy(system, platform="Reference")
    reduced = energy.reduced(positions, purpose="reweighting")
    assert np.all(reduced == 0.0)
    return np.stack([log_q, boltzmann_density(member, system, energy)(positions, reduced)], axis=1)


def _mean(columns: np.ndarray, theta: np.ndarray) -> float:
    """The mean square cosine of the stiff limit, whose density in this measure is constant."""
    counts = np.array([N, N], dtype=np.float64)
    f = solve_free_energies(columns, counts, PINNED)
    log_weight = -log_mixture(columns + f, counts)
    weight = np.exp(log_weight - log_weight.max())
    return float(weight @ np.cos(theta) ** 2 / weight.sum())


def test_frames_of_constrained_dynamics_carry_their_determinant(
    rows: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """100,000 rows know the mean square cosine to 0.001; 4.5 of these errors are allowed."""
    assert _mean(_columns(rows, weighed=True), rows[1]) == pytest.approx(1.0 / 3.0, abs=0.0045)


def test_without_it_the_answer_is_another(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    assert _mean(_columns(rows, weighed=False), rows[1]) < 1.0 / 3.0 - 0.0045


def test_the_mass_that_was_moved_is_the_runs_own() -> None:
    """A heavier hydrogen changes Z; the member's record says which was moved."""
    structure = np.array([[BOND, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, BOND, 0.0]])
    system = bare_system(topology_of("H O H", PAIRS), structure, trimer_xml())
    member = EquilibriumMember("md", Path("md"), "", system.temperature_k, None, None, system, 1, 0)
    energy = open_energy(system, platform="Reference")
    bent = np.stack([structure, structure])
    bent[1, 2] = BOND * np.array([np.sqrt(0.5), np.sqrt(0.5), 0.0])
    zero = np.zeros(2)
    light = boltzmann_density(member, system, energy)(bent, zero)
    heavy = boltzmann_density(replace(member, hydrogen_mass_da=3.0), system, energy)(bent, zero)
    assert np.ptp(light) > 0.0
    assert np.ptp(heavy - light) > 1e-4
