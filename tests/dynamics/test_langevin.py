import numpy as np
import pytest

from molgen.coordinates.geometry import torsion_angles
from molgen.dynamics.bias import FourierTorsionBias
from molgen.dynamics.langevin import MolecularDynamics, molecular_dynamics, repartitioned
from molgen.dynamics.propagator import Piece
from molgen.errors import InputError, PartialError, UsageError
from molgen.systems.loading import load_system
from molgen.systems.system import MolecularSystem


@pytest.fixture(scope="module")
def system() -> MolecularSystem:
    found = load_system("alanine-dipeptide")
    assert isinstance(found, MolecularSystem)
    return found


def dynamics(system: MolecularSystem, *biases: FourierTorsionBias) -> MolecularDynamics:
    return molecular_dynamics(
        system, platform="Reference", timestep_ps=0.002, friction_per_ps=1.0, hydrogen_mass_da=3.0, biases=biases
    )


def test_equal_seeds_give_equal_frames_whatever_was_run_between(system: MolecularSystem) -> None:
    propagator, piece = dynamics(system), Piece(300.0, 40, 10, 5)
    first = propagator.run(system.positions[None], piece, 11)
    other = propagator.run(system.positions[None], Piece(700.0, 37, 37), 12)
    biased = dynamics(system, FourierTorsionBias((4, 6, 8, 14), ((1, 0.0, 5.0),)))
    changed = biased.run(system.positions[None], piece, 11)
    again = propagator.run(system.positions[None], piece, 11)
    assert first.shape == (1, 4, 22, 3)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0, 0], other[0, 0])
    assert not np.array_equal(first, changed)


def test_walkers_have_noise_of_their_own_and_do_not_depend_on_their_number(system: MolecularSystem) -> None:
    propagator, piece = dynamics(system), Piece(300.0, 20, 20)
    two = propagator.run(np.stack([system.positions, system.positions]), piece, 3)
    one = propagator.run(system.positions[None], piece, 3)
    np.testing.assert_array_equal(two[0], one[0])
    assert not np.array_equal(two[0], two[1])


def test_repartitioned_masses_keep_the_total(system: MolecularSystem) -> None:
    import openmm

    before = openmm.XmlSerializer.deserialize(system.system_xml)
    after = openmm.XmlSerializer.deserialize(repartitioned(system.system_xml, system.topology, 3.0))
    old = [before.getParticleMass(i)._value for i in range(22)]
    new = [after.getParticleMass(i)._value for i in range(22)]
    assert sum(new) == pytest.approx(sum(old))
    hydrogens = [i for i, atom in enumerate(system.topology.atoms) if atom.element == "H"]
    assert {new[i] for i in hydrogens} == {3.0}
    with pytest.raises(InputError, match="leave atom"):
        repartitioned(system.system_xml, system.topology, 4.5)


def test_a_time_step_far_too_long_is_an_error_not_a_frame(system: MolecularSystem) -> None:
    wild = molecular_dynamics(
        system, platform="Reference", timestep_ps=0.05, friction_per_ps=1.0, hydrogen_mass_da=None
    )
    with pytest.raises(PartialError, match="finite"):
        wild.run(system.positions[None], Piece(300.0, 400, 100), 1)


def test_openmm_computes_the_sum_of_biases_that_numpy_computes(system: MolecularSystem) -> None:
    import openmm

    phi = FourierTorsionBias((4, 6, 8, 14), ((1, -1.6, 10.0), (3, 0.4, 2.0)))
    psi = FourierTorsionBias((6, 8, 14, 16), ((2, 0.7, 5.0),))
    propagator = dynamics(system, phi, psi)
    propagator.run(system.positions[None], Piece(300.0, 10, 10), 1)
    context = propagator._context()
    plain = openmm.Context(
        openmm.XmlSerializer.deserialize(system.system_xml),
        openmm.VerletIntegrator(1e-3),
        openmm.Platform.getPlatformByName("Reference"),
    )
    energies = []
    for each in (context, plain):
        each.setPositions(system.positions)
        energies.append(each.getState(energy=True).getPotentialEnergy()._value)
    expected = sum(bias.energy(torsion_angles(system.positions[None], bias.atoms))[0] for bias in (phi, psi))
    assert energies[0] - energies[1] == pytest.approx(expected, abs=1e-9)


def test_a_piece_without_frames_is_refused() -> None:
    with pytest.raises(UsageError, match="keep no frame"):
        Piece(300.0, 5, 10)
