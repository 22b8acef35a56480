"""A molecule and frames of it, shared by the tests of this folder."""

import mdtraj
import numpy as np
import pytest

from molgen.systems import MolecularSystem, load_system
from molgen.systems.mdtraj_topology import mdtraj_topology


@pytest.fixture(scope="session")
def dipeptide() -> MolecularSystem:
    """Ace-Ala-Nme."""
    system = load_system("alanine-dipeptide-obc1")
    assert isinstance(system, MolecularSystem)
    return system


@pytest.fixture(scope="session")
def trajectory(dipeptide: MolecularSystem) -> mdtraj.Trajectory:
    """Thirty frames around the minimum."""
    noise = np.random.default_rng(1).normal(scale=0.005, size=(30, 22, 3))
    return mdtraj.Trajectory((dipeptide.positions + noise).astype(np.float32), mdtraj_topology(dipeptide))
