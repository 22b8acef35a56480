"""A molecule from a PDB file, with force-field files or with a serialised System."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from molgen.errors import InputError
from molgen.systems.built import BuiltMolecule
from molgen.systems.definition import ForceFieldSection
from molgen.systems.forcefield import create_system_xml, deserialised_system, remove_motion_remover
from molgen.systems.pdb_file import PDBContents, read_pdb, residue_label
from molgen.systems.pdb_text import AMINO_ACIDS
from molgen.systems.residues import residue_library
from molgen.systems.stereochemistry import structure_notes
from molgen.systems.system_bonds import bonds_with_system, check_masses
from molgen.systems.topology import Atom, MolecularTopology

XML_FILE = "system.xml"

_ADD_HYDROGENS = "Add them with pdbfixer or OpenMM's Modeller.addHydrogens, or build the peptide with --sequence."
_OTHER_SOURCES = "Give --smiles for a small molecule, or --pdb with --system-xml of a force field that has it."
_IMPLIED = AMINO_ACIDS | {"ACE", "NME", "NH2"}  # residues whose bonds OpenMM knows by their names
_LONGEST_BOND_NM, _SHORTEST_NM = 0.25, 0.05


def molecule_from_pdb(
    path: Path,
    *,
    name: str,
    system_xml: Path | None = None,
    forcefield: ForceFieldSection | None = None,
    chain: str | None = None,
) -> BuiltMolecule:
    """The one molecule in ``path`` with its coordinates, and the force field that goes with it.

    ``forcefield`` (default: amber99sbildn with OBC) needs every atom to fit its templates. ``system_xml`` is any
    serialised System of the molecule; bonds that the file does not hold are taken from it. ``InputError`` with a
    remedy where something is missing, left over, or contradicts.
    """
    contents = read_pdb(path, chain)
    topology = _plain(contents)
    _check_overlaps(contents, path)
    if system_xml is not None:
        return _with_system(name, path, contents, topology, system_xml)
    field = forcefield or ForceFieldSection()
    _check_bond_lengths(topology, contents, path)
    _check_templates(contents, field, path)
    _check_connected(topology, contents, path)
    choices = (*contents.notes, *_numbering(contents), *structure_notes(topology, contents.positions))
    local = [file for file in field.files if Path(file).is_file()]
    if not local:
        return BuiltMolecule(name, topology, contents.positions, field, choices=choices)
    # The user's own files would have to travel with the folder; the System made from them says the same.
    xml = create_system_xml(topology, field, Path(), str(path))
    sentence = f"The System made from {', '.join(field.files)} is kept as {XML_FILE}."
    section = ForceFieldSection(files=(), system_xml=XML_FILE)
    return BuiltMolecule(name, topology, contents.positions, section, xml, (*choices, sentence))


def _with_system(
    name: str, path: Path, contents: PDBContents, topology: MolecularTopology, system_xml: Path
) -> BuiltMolecule:
    import openmm

    system = _read_system(system_xml, topology, path)
    bonded = {atom for bond in topology.bonds for atom in bond}  # an atom of an unusual name is not
    implied = [atom.residue_name in _IMPLIED and k in bonded for k, atom in enumerate(topology.atoms)]
    labels = _labels(contents)
    bonds = bonds_with_system(topology, contents.positions, system, implied=implied, labels=labels, source=str(path))
    added = len(bonds) - len(topology.bonds)
    topology = MolecularTopology(topology.atoms, bonds)
    _check_bond_lengths(topology, contents, path)
    check_masses(topology, system, labels=labels, source=str(path))
    _check_connected(topology, contents, path)
    choices = [*contents.notes, *_numbering(contents), *structure_notes(topology, contents.positions)]
    if added:
        choices.append(f"{added} bonds that {path.name} does not hold were taken from {system_xml.name}.")
    section = ForceFieldSection(files=(), system_xml=XML_FILE)
    xml = str(openmm.XmlSerializer.serialize(system))
    return BuiltMolecule(name, topology, contents.positions, section, xml, tuple(choices))


def _read_system(system_xml: Path, topology: MolecularTopology, path: Path) -> Any:
    if not system_xml.is_file():
        raise InputError(f"There is no file {system_xml}.", "Check the path given to --system-xml.")
    system = deserialised_system(system_xml)
    remove_motion_remover(system)
    if system.getNumParticles() != topology.n_atoms:
        counts = f"{system.getNumParticles()} particles, {path} has {topology.n_atoms} atoms"
        raise InputError(f"{system_xml} has {counts}.", "Give the System and the PDB of the same single molecule.")
    if any(system.isVirtualSite(k) or system.getParticleMass(k)._value == 0.0 for k in range(topology.n_atoms)):
        message = f"{system_xml} holds virtual sites or particles that cannot move."
        raise InputError(message, "Make the System with a model whose particles are the atoms, none of them frozen.")
    if system.usesPeriodicBoundaryConditions():
        message = f"{system_xml} is a periodic System, but one molecule without a box is sampled."
        raise InputError(message, "Make the System with nonbondedMethod=NoCutoff and without a barostat.")
    return system


def _plain(contents: PDBContents) -> MolecularTopology:
    atoms = tuple(
        Atom(name, atom.element.symbol, atom.residue.name, atom.residue.index, atom.element.mass._value)
        for name, atom in zip(contents.names, contents.topology.atoms(), strict=True)
    )
    bonds = {(min(a.index, b.index), max(a.index, b.index)) for a, b in contents.topology.bonds()}
    return MolecularTopology(atoms, tuple(sorted(bonds)))


def _labels(contents: PDBContents) -> list[str]:
    """``CA of ALA 3`` for every atom."""
    atoms = contents.topology.atoms()
    return [f"{name} of {residue_label(atom.residue)}" for name, atom in zip(contents.names, atoms, strict=True)]


def _check_overlaps(contents: PDBContents, path: Path) -> None:
    from scipy.spatial import KDTree

    for i, j in sorted(KDTree(contents.positions).query_pairs(_SHORTEST_NM)):
        labels = _labels(contents)
        message = f"{labels[i]} and {labels[j]} sit on one another in {path}."
        raise InputError(message, "Remove the copy, or correct the coordinates (in ångström).")


def _check_bond_lengths(topology: MolecularTopology, contents: PDBContents, path: Path) -> None:
    for i, j in topology.bonds:
        length = float(np.linalg.norm(contents.positions[i] - contents.positions[j]))
        if length > _LONGEST_BOND_NM:
            labels = _labels(contents)
            message = f"The bond between {labels[i]} and {labels[j]} in {path} is {length:.2f} nm long."
            hint = "Residues are missing there, or the molecule is cut by a box: complete it, or make it whole."
            raise InputError(message, hint)


def _check_connected(topology: MolecularTopology, contents: PDBContents, path: Path) -> None:
    """``InputError`` unless all atoms hang together."""
    neighbours = topology.neighbours()
    reached = {0}
    queue = [0]
    for atom in queue:
        for other in neighbours[atom]:
            if other not in reached:
                reached.add(other)
                queue.append(other)
    if len(reached) == topology.n_atoms:
        return
    residues = [atom.residue for atom in contents.topology.atoms()]
    apart = next(k for k in range(topology.n_atoms) if k not in reached)
    chains = [chain.id for chain in contents.topology.chains()]
    labels = [residue_label(residues[k]) for k in (apart, 0)]
    message = f"{path} holds several molecules: {labels[0]} is not bonded to {labels[1]}."
    if len(chains) > 1 and residues[apart].chain is not residues[0].chain:
        raise InputError(message, f"Take one of them, e.g. --chain {chains[0]} (chains: {', '.join(chains)}).")
    raise InputError(message, "Keep the atoms of one molecule, or add the CONECT records between its parts.")


def _check_templates(contents: PDBContents, forcefield: ForceFieldSection, path: Path) -> None:
    from openmm import app

    try:
        field = app.ForceField(*forcefield.files)
    except Exception as error:
        message = f"The force field {', '.join(forcefield.files)} cannot be read ({error})."
        raise InputError(
            message, "Give paths of OpenMM force-field files, or names of those that come with it."
        ) from error
    unmatched = field.getUnmatchedResidues(contents.topology)
    if not unmatched:
        return
    elements = [atom.element.symbol for atom in contents.topology.atoms()]
    first = residue_label(unmatched[0])
    if "H" not in elements:
        raise InputError(f"{path} has no hydrogens.", _ADD_HYDROGENS)
    for residue in unmatched:
        if residue.name in _IMPLIED:
            _explain(residue, path)
    unknown = [residue for residue in unmatched if residue.name not in _IMPLIED]
    if unknown:
        message = f"The force field has no template for {residue_label(unknown[0])} in {path}."
        raise InputError(message, _OTHER_SOURCES)
    message = f"The atoms or bonds of {first} in {path} fit no template of {', '.join(forcefield.files)}."
    raise InputError(message, "Check its atoms, hydrogens and ends, or give another --forcefield.")


def _explain(residue: Any, path: Path) -> None:
    """``InputError`` that says what a known residue lacks, if it lacks atoms."""
    theirs = Counter(atom.element.symbol for atom in residue.atoms())
    wanted = [
        Counter(atom.element for atom in template.atoms)
        for template in residue_library().templates.values()
        if template.name in _template_names(residue)
    ]
    label = residue_label(residue)
    if not wanted:
        return
    heavy = [sum(count for element, count in option.items() if element != "H") for option in wanted]
    ours = sum(count for element, count in theirs.items() if element != "H")
    if ours < min(heavy):
        message = f"{label} in {path} lacks {min(heavy) - ours} heavy atom(s)."
        raise InputError(message, "Complete the structure, for example with pdbfixer, or build it with --sequence.")
    same = [option for option, number in zip(wanted, heavy, strict=True) if number == ours]
    if same and theirs["H"] < min(option["H"] for option in same):
        raise InputError(f"{label} in {path} lacks hydrogens.", _ADD_HYDROGENS)
    if _is_end(residue):
        message = f"The end of the chain at {label} in {path} is neither charged (NH3+, COO- with OXT) nor capped."
        raise InputError(
            message, "Complete it with pdbfixer, add caps (ACE, NME), or, of a ring, the CONECT record that closes it."
        )


def _is_end(residue: Any) -> bool:
    residues = list(residue.chain.residues())
    return residue in (residues[0], residues[-1])


def _template_names(residue: Any) -> set[str]:
    """Templates a residue of this name and place may have."""
    bare = {
        "HIS": ("HID", "HIE", "HIP"), "CYS": ("CYS", "CYX", "CYM"), "ASP": ("ASP", "ASH"), "GLU": ("GLU", "GLH"),
        "LYS": ("LYS", "LYN"),
    }.get(residue.name, (residue.name,))  # fmt: skip
    residues = list(residue.chain.residues())
    names = set(bare)
    if residue is residues[0]:
        names |= {f"N{name}" for name in bare}
    if residue is residues[-1]:
        names |= {f"C{name}" for name in bare}
    return names


def _numbering(contents: PDBContents) -> list[str]:
    """A sentence if residues get other numbers than they had."""
    residues = list(contents.topology.residues())
    first = 0 if residues[0].name == "ACE" else 1
    for number, residue in enumerate(residues, start=first):
        if residue.id.strip() != str(number):
            return [f"Residues are numbered anew: {residue.name} {residue.id} is now {residue.name} {number}."]
    return []
