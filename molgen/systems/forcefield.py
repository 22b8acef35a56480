"""From a topology file and force-field files to plain atoms, positions and a serialised OpenMM System."""

from pathlib import Path
from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.errors import InputError
from molgen.systems.definition import ForceFieldSection
from molgen.systems.openmm_topology import to_openmm
from molgen.systems.topology import Atom, MolecularTopology

_CONSTRAINTS = {"none": None, "h-bonds": "HBonds", "all-bonds": "AllBonds", "h-angles": "HAngles"}


def build_molecule(
    pdb_path: Path, forcefield: ForceFieldSection, folder: Path
) -> tuple[MolecularTopology, FloatArray, str]:
    """Topology, positions (N, 3) in nm and System XML of the molecule in ``pdb_path``.

    Files named in ``forcefield`` are looked up in ``folder`` first, then among those that come with OpenMM.
    The System holds no centre-of-mass motion remover. ``InputError`` when a file is missing or unreadable,
    when a residue has no template, or when a given System has another number of particles.
    """
    import openmm

    pdb = _read_pdb(pdb_path)
    if forcefield.system_xml is not None:
        xml_path = folder / forcefield.system_xml
        system = deserialised_system(xml_path)
        if system.getNumParticles() != pdb.topology.getNumAtoms():
            counts = f"{system.getNumParticles()} particles, {pdb_path} has {pdb.topology.getNumAtoms()} atoms"
            raise InputError(f"{xml_path} has {counts}.", "Give the System and the topology of the same molecule.")
    else:
        system = _create_system(pdb.topology, str(pdb_path), forcefield, folder)
    remove_motion_remover(system)
    positions = np.asarray(pdb.getPositions(asNumpy=True)._value, dtype=np.float64)
    return _plain_topology(pdb.topology, pdb_path, system), positions, openmm.XmlSerializer.serialize(system)


def create_system_xml(topology: MolecularTopology, forcefield: ForceFieldSection, folder: Path, source: str) -> str:
    """System XML of ``topology`` with the files of ``forcefield``; ``source`` is what errors call the molecule.

    As in :func:`build_molecule`: files are looked up in ``folder`` first, ``InputError`` where they do not fit.
    """
    import openmm

    system = _create_system(to_openmm(topology), source, forcefield, folder)
    remove_motion_remover(system)
    return str(openmm.XmlSerializer.serialize(system))


def _read_pdb(path: Path) -> Any:
    from openmm import app

    if not path.is_file():
        raise InputError(f"The topology {path} does not exist.", "Correct [topology] file in the system's TOML.")
    try:
        pdb = app.PDBFile(str(path))
    except Exception as error:  # OpenMM raises many kinds for a malformed file
        raise InputError(
            f"{path} cannot be read as a PDB file ({error}).", "Give a PDB file with every atom."
        ) from error
    if pdb.topology.getNumAtoms() == 0:
        raise InputError(f"{path} holds no atoms.", "Give a PDB file with every atom, hydrogens included.")
    if any(atom.element is None for atom in pdb.topology.atoms()):
        raise InputError(f"{path} holds an atom without an element.", "Fill columns 77-78 of its ATOM records.")
    return pdb


def deserialised_system(path: Path) -> Any:
    """The ``openmm.System`` in ``path``; ``InputError`` if there is none."""
    import openmm

    if not path.is_file():
        raise InputError(f"The System file {path} does not exist.", "Correct [forcefield] system_xml.")
    try:
        system = openmm.XmlSerializer.deserialize(path.read_text())
    except Exception as error:
        raise InputError(
            f"{path} is not a serialised OpenMM System ({error}).", "Write it with XmlSerializer."
        ) from error
    if not isinstance(system, openmm.System):
        raise InputError(f"{path} holds an OpenMM {type(system).__name__}, not a System.", "Serialise the System.")
    return system


def _create_system(topology: Any, source: str, forcefield: ForceFieldSection, folder: Path) -> Any:
    from openmm import app

    names = [str(folder / name) if (folder / name).is_file() else name for name in forcefield.files]
    try:
        field = app.ForceField(*names)
    except Exception as error:
        message = f"The force field {', '.join(forcefield.files)} cannot be read ({error})."
        raise InputError(message, "Give files beside the TOML, or names of files that come with OpenMM.") from error
    unmatched = field.getUnmatchedResidues(topology)
    if unmatched:
        residues = ", ".join(f"{residue.name} {residue.id}" for residue in unmatched)
        raise InputError(
            f"{source}: the force field has no template for {residues}.",
            "Check that every hydrogen is there and the names are standard, or give another force field.",
        )
    constraint = _CONSTRAINTS[forcefield.constraints]
    try:
        return field.createSystem(
            topology,
            nonbondedMethod=app.NoCutoff,
            constraints=None if constraint is None else getattr(app, constraint),
            rigidWater=constraint is not None,
            removeCMMotion=False,
        )
    except Exception as error:
        message = f"{source}: the force field cannot be applied ({error})."
        raise InputError(message, "Check the residues, or give another force field.") from error


def remove_motion_remover(system: Any) -> None:
    """Take centre-of-mass motion removers out of an ``openmm.System``."""
    import openmm

    for index in reversed(range(system.getNumForces())):
        if isinstance(system.getForce(index), openmm.CMMotionRemover):
            system.removeForce(index)


def _plain_topology(topology: Any, pdb_path: Path, system: Any) -> MolecularTopology:
    """Plain topology; masses are the System's, or the element's where the System freezes a particle."""
    atoms = list(topology.atoms())
    names = _names_in_file(pdb_path)
    if len(names) != len(atoms):  # alternate locations or several models: OpenMM has chosen, take its names
        names = [atom.name for atom in atoms]
    masses = [system.getParticleMass(index)._value for index in range(len(atoms))]
    plain = tuple(
        Atom(name, a.element.symbol, a.residue.name, a.residue.index, mass or a.element.mass._value)
        for name, a, mass in zip(names, atoms, masses, strict=True)
    )
    bonds = sorted({(min(a.index, b.index), max(a.index, b.index)) for a, b in topology.bonds()})
    return MolecularTopology(plain, tuple(bonds))


def _names_in_file(path: Path) -> list[str]:
    """Atom names as written: OpenMM's reader renames hydrogens of caps and termini."""
    return [line[12:16].strip() for line in path.read_text().splitlines() if line.startswith(("ATOM", "HETATM"))]
