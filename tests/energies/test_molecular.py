import numpy as np
import pytest

from molgen.energies.factory import open_energy
from molgen.energies.molecular import MolecularEnergy
from molgen.energies.platforms import platform_names, resolve_platform
from molgen.errors import UsageError
from molgen.systems.loading import load_system
from molgen.systems.system import MolecularSystem
from molgen.units import thermal_energy


@pytest.fixture(scope="module")
def system() -> MolecularSystem:
    found = load_system("alanine-dipeptide")
    assert isinstance(found, MolecularSystem)
    return found


def test_energy_is_openmms_own_over_kt(system: MolecularSystem) -> None:
    import openmm

    context = openmm.Context(
        openmm.XmlSerializer.deserialize(system.system_xml),
        openmm.VerletIntegrator(1e-3),
        openmm.Platform.getPlatformByName("Reference"),
    )
    context.setPositions(system.positions)
    expected = context.getState(energy=True).getPotentialEnergy()._value / thermal_energy(300.0)
    found = open_energy(system, platform="Reference").reduced(system.positions[None], purpose="data")
    np.testing.assert_allclose(found, [expected], rtol=1e-12)


def test_overlapping_atoms_are_marked(system: MolecularSystem) -> None:
    frames = np.stack([system.positions, system.positions])
    frames[1, 15] = frames[1, 17]
    values, gradient = open_energy(system, platform="Reference").reduced_and_gradient(frames, purpose="data")
    assert np.isfinite(values[0])
    assert np.isposinf(values[1])
    assert (gradient[1] == 0).all()


def test_auto_takes_the_fastest_of_the_platforms_and_says_so(system: MolecularSystem) -> None:
    choice = resolve_platform(system)
    assert choice.name in platform_names()
    assert choice.step_ms[choice.name] == min(choice.step_ms.values())
    assert MolecularEnergy(system).platform == choice.name


def test_platform_names_are_matched_without_case_and_unknown_ones_refused(system: MolecularSystem) -> None:
    assert resolve_platform(system, "reference").name == "Reference"
    with pytest.raises(UsageError, match=r"Did you mean Reference\?"):
        resolve_platform(system, "Referenze")
