"""Which systems share their frames and measure."""

from dataclasses import replace
from pathlib import Path

import openmm
import pytest

from molgen.coordinates.same_space import check_same_space
from molgen.errors import InputError
from molgen.systems.loading import load_system
from molgen.systems.system import MolecularSystem
from molgen.systems.topology import MolecularTopology


@pytest.fixture(scope="module")
def drawn() -> MolecularSystem:
    system = load_system("alanine-dipeptide")
    assert isinstance(system, MolecularSystem)
    return system


def with_constraints(system: MolecularSystem, tmp_path: Path) -> MolecularSystem:
    built = openmm.XmlSerializer.deserialize(system.system_xml)
    built.addConstraint(0, 1, 0.109)
    return replace(system, system_xml=openmm.XmlSerializer.serialize(built))


def test_another_force_field_of_the_same_molecule_is_the_same_space(drawn: MolecularSystem) -> None:
    check_same_space(load_system("alanine-dipeptide-vacuum"), drawn)
    check_same_space(load_system("alanine-dipeptide-obc1"), drawn)


def test_other_atoms_bonds_and_kinds_are_refused(drawn: MolecularSystem) -> None:
    with pytest.raises(InputError, match="1 particles in 1 dimensions"):
        check_same_space(load_system("double-well"), drawn)
    atoms = drawn.topology.atoms
    swapped = (atoms[1], atoms[0], *atoms[2:])
    other = replace(drawn, topology=MolecularTopology(swapped, drawn.topology.bonds))
    with pytest.raises(InputError, match="Atom 0 of alanine-dipeptide is C, that of the draws is H"):
        check_same_space(other, drawn)
    other = replace(drawn, topology=MolecularTopology(atoms, drawn.topology.bonds[1:]))
    with pytest.raises(InputError, match="bonded in one of"):
        check_same_space(other, drawn)


def test_other_measures_are_refused(drawn: MolecularSystem, tmp_path: Path) -> None:
    fixed = with_constraints(drawn, tmp_path)
    with pytest.raises(InputError, match="fixes 1 distances and the draws' system 0"):
        check_same_space(fixed, drawn)
    check_same_space(fixed, fixed)
    longer = openmm.XmlSerializer.deserialize(drawn.system_xml)
    longer.addConstraint(0, 1, 0.110)
    with pytest.raises(InputError, match="1 of them at another length"):
        check_same_space(replace(drawn, system_xml=openmm.XmlSerializer.serialize(longer)), fixed)
    virtual = openmm.XmlSerializer.deserialize(drawn.system_xml)
    virtual.setParticleMass(0, 0.0)
    virtual.setVirtualSite(0, openmm.TwoParticleAverageSite(1, 4, 0.5, 0.5))
    with pytest.raises(InputError, match="virtual sites"):
        check_same_space(replace(drawn, system_xml=openmm.XmlSerializer.serialize(virtual)), drawn)


def test_another_isomer_is_refused(drawn: MolecularSystem) -> None:
    mirrored = replace(drawn, positions=drawn.positions * [-1.0, 1.0, 1.0])
    with pytest.raises(InputError, match="another isomer"):
        check_same_space(mirrored, drawn)
    section = drawn.definition.domain.model_copy(update={"cis_trans": "free"})
    free = replace(drawn, definition=drawn.definition.model_copy(update={"domain": section}))
    with pytest.raises(InputError, match="another isomer"):
        check_same_space(free, drawn)
