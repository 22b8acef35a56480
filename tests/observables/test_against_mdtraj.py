"""Values of every molecular collective variable against mdtraj's, an independent implementation."""

from dataclasses import replace

import mdtraj
import numpy as np
import pytest

from molgen.arrays import FloatArray
from molgen.observables.gyration import RadiusOfGyration
from molgen.observables.table import build_cv
from molgen.systems import MolecularSystem, load_system
from molgen.systems.definition import CVSection
from molgen.systems.mdtraj_topology import mdtraj_topology


@pytest.fixture(scope="module")
def system() -> MolecularSystem:
    loaded = load_system("alanine-dipeptide-obc1")
    assert isinstance(loaded, MolecularSystem)
    return loaded


@pytest.fixture(scope="module")
def trajectory(system: MolecularSystem) -> mdtraj.Trajectory:
    """200 strongly distorted frames."""
    noise = np.random.default_rng(11).normal(scale=0.08, size=(200, 22, 3))
    return mdtraj.Trajectory((system.positions + noise).astype(np.float32), mdtraj_topology(system))


def value(system: MolecularSystem, trajectory: mdtraj.Trajectory, **kind: object) -> FloatArray:
    import torch

    variable = build_cv(CVSection.parse({"name": "v", **kind}, source="test"), system)
    return variable(torch.from_numpy(trajectory.xyz.astype(np.float64))).numpy()


def test_phi_and_psi(system: MolecularSystem, trajectory: mdtraj.Trajectory) -> None:
    (phi_atoms,), phi = mdtraj.compute_phi(trajectory)
    (psi_atoms,), psi = mdtraj.compute_psi(trajectory)
    assert tuple(phi_atoms) == system.definition.cv[0].torsion
    assert tuple(psi_atoms) == system.definition.cv[1].torsion
    for atoms, theirs in ((phi_atoms, phi), (psi_atoms, psi)):
        ours = value(system, trajectory, torsion=[int(i) for i in atoms])
        assert np.abs(np.angle(np.exp(1j * (ours - theirs[:, 0])))).max() < 1e-4


def test_angle_distance_and_gyration(system: MolecularSystem, trajectory: mdtraj.Trajectory) -> None:
    ours = value(system, trajectory, angle=[6, 8, 14])
    np.testing.assert_allclose(ours, mdtraj.compute_angles(trajectory, [[6, 8, 14]])[:, 0], atol=1e-4)
    ours = value(system, trajectory, distance=[5, 17])
    np.testing.assert_allclose(ours, mdtraj.compute_distances(trajectory, [[5, 17]])[:, 0], atol=1e-6)


def test_the_radius_of_gyration(system: MolecularSystem, trajectory: mdtraj.Trajectory) -> None:
    """mdtraj weights about the centroid instead of the centre of mass, so it is compared at equal masses."""
    import torch

    variable = build_cv(CVSection.parse({"name": "v", "radius_of_gyration": "all"}, source="test"), system)
    assert isinstance(variable, RadiusOfGyration)
    frames = torch.from_numpy(trajectory.xyz.astype(np.float64))
    equal = replace(variable, masses_da=(1.0,) * 22)
    np.testing.assert_allclose(equal(frames).numpy(), mdtraj.compute_rg(trajectory), atol=1e-6)
    masses = np.array([a.mass_da for a in system.topology.atoms])
    centre = np.einsum("i,nia->na", masses, trajectory.xyz) / masses.sum()
    square = np.einsum("i,nia->n", masses, (trajectory.xyz - centre[:, None]) ** 2) / masses.sum()
    np.testing.assert_allclose(variable(frames).numpy(), np.sqrt(square), atol=1e-6)


def test_rmsd_also_of_mirror_images(system: MolecularSystem, trajectory: mdtraj.Trajectory) -> None:
    reference = mdtraj.Trajectory(system.positions[None].astype(np.float32), trajectory.topology)
    atoms = [1, 4, 6, 8, 10, 14, 16, 18]
    mirrored = mdtraj.Trajectory(trajectory.xyz * np.array([-1, 1, 1], dtype=np.float32), trajectory.topology)
    for frames in (trajectory, mirrored):
        theirs = mdtraj.rmsd(frames, reference, atom_indices=np.array(atoms))
        np.testing.assert_allclose(value(system, frames, rmsd={"atoms": atoms}), theirs, atol=1e-5)
    assert value(system, mirrored, rmsd={"atoms": atoms}).min() > 0.05


def test_the_reference_itself_is_at_zero_with_a_finite_gradient(system: MolecularSystem) -> None:
    import torch

    variable = build_cv(CVSection.parse({"name": "v", "rmsd": {"atoms": [1, 4, 6, 8]}}, source="test"), system)
    positions = torch.from_numpy(system.positions[None].copy()).requires_grad_(True)
    result = variable(positions)
    (gradient,) = torch.autograd.grad(result.sum(), positions)
    assert float(result.detach()) < 1e-7
    assert torch.isfinite(gradient).all()


def test_a_trans_and_a_cis_torsion_have_the_right_sign(system: MolecularSystem) -> None:
    import torch

    variable = build_cv(CVSection.parse({"name": "v", "torsion": [0, 1, 2, 3]}, source="test"), system)
    square = torch.zeros(4, 22, 3, dtype=torch.float64)
    square[:, 0, 0] = 1.0
    square[:, 2, 2] = square[:, 3, 2] = 1.0
    for frame, angle in enumerate((0.0, 90.0, 180.0, -60.0)):
        square[frame, 3, 0] = np.cos(np.deg2rad(angle))
        square[frame, 3, 1] = np.sin(np.deg2rad(angle))
    np.testing.assert_allclose(np.rad2deg(variable(square).numpy()), [0.0, 90.0, 180.0, -60.0], atol=1e-10)
