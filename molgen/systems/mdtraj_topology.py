"""A molecular topology as an mdtraj Topology, for reading and writing trajectories."""

from typing import Any

from molgen.systems.system import MolecularSystem, System
from molgen.systems.topology import MolecularTopology


def to_mdtraj(topology: MolecularTopology) -> Any:
    """The ``mdtraj.Topology`` with the same atoms, residues and bonds (mdtraj is imported here only)."""
    import mdtraj

    result = mdtraj.Topology()
    chain = result.add_chain()
    residue: Any = None
    current: tuple[str, int] | None = None
    for atom in topology.atoms:
        if (atom.residue_name, atom.residue_index) != current:
            current = (atom.residue_name, atom.residue_index)
            residue = result.add_residue(atom.residue_name, chain, resSeq=atom.residue_index + 1)
        result.add_atom(atom.name, mdtraj.element.get_by_symbol(atom.element), residue)
    atoms = list(result.atoms)
    for i, j in topology.bonds:
        result.add_bond(atoms[i], atoms[j])
    return result


def mdtraj_topology(system: System) -> Any:
    """The ``mdtraj.Topology`` of a system; those of an analytic system are argon-like pseudo-atoms."""
    if isinstance(system, MolecularSystem):
        return to_mdtraj(system.topology)
    import mdtraj

    result = mdtraj.Topology()
    residue = result.add_residue("PSE", result.add_chain())
    for _ in range(system.n_particles):
        result.add_atom("X", mdtraj.element.argon, residue)
    return result
