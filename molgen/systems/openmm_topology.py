"""A molecular topology as an OpenMM Topology."""

from typing import Any

from molgen.systems.topology import MolecularTopology


def to_openmm(topology: MolecularTopology) -> Any:
    """The ``openmm.app.Topology`` with the same atoms, residues and bonds, in one chain."""
    from openmm import app

    result = app.Topology()
    chain = result.addChain("A")
    residue: Any = None
    current: tuple[str, int] | None = None
    for atom in topology.atoms:
        if (atom.residue_name, atom.residue_index) != current:
            current = (atom.residue_name, atom.residue_index)
            residue = result.addResidue(atom.residue_name, chain)
        result.addAtom(atom.name, app.Element.getBySymbol(atom.element), residue)
    atoms = list(result.atoms())
    for i, j in topology.bonds:
        result.addBond(atoms[i], atoms[j])
    return result
