"""The mdtraj form of a topology."""

from molgen.systems import MolecularSystem, load_system
from molgen.systems.mdtraj_topology import mdtraj_topology


def test_atoms_residues_and_bonds_are_kept() -> None:
    system = load_system("alanine-dipeptide")
    assert isinstance(system, MolecularSystem)
    result = mdtraj_topology(system)
    assert [a.name for a in result.atoms] == [a.name for a in system.topology.atoms]
    assert [a.element.symbol for a in result.atoms] == [a.element for a in system.topology.atoms]
    assert [r.name for r in result.residues] == ["ACE", "ALA", "NME"]
    assert sorted((a.index, b.index) for a, b in result.bonds) == list(system.topology.bonds)


def test_an_analytic_system_is_one_pseudo_atom() -> None:
    assert mdtraj_topology(load_system("double-well")).n_atoms == 1
