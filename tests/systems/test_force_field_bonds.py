"""What a System holds together."""

import openmm

from molgen.systems.force_field_bonds import force_field_bonds
from molgen.systems.loading import load_system
from molgen.systems.system import MolecularSystem


def test_bond_terms_of_both_kinds_and_constraints() -> None:
    system = openmm.System()
    for _ in range(4):
        system.addParticle(1.0)
    harmonic = openmm.HarmonicBondForce()
    harmonic.addBond(1, 0, 0.1, 1.0)
    custom = openmm.CustomBondForce("r")
    custom.addBond(1, 2, [])
    system.addForce(harmonic)
    system.addForce(custom)
    system.addConstraint(3, 2, 0.1)
    found = force_field_bonds(openmm.XmlSerializer.serialize(system))
    assert found.bonded == {(0, 1), (1, 2)}
    assert found.constrained == {(2, 3)}


def test_a_molecule_is_held_at_its_bonds() -> None:
    system = load_system("alanine-dipeptide")
    assert isinstance(system, MolecularSystem)
    found = force_field_bonds(system.system_xml)
    assert found.bonded == set(system.topology.bonds)
    assert found.constrained == set()
