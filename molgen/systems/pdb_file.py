"""Reading the one molecule of a PDB file, or saying in a sentence why there is not one."""

import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.errors import InputError

SOLVENT = frozenset(["HOH", "WAT", "SOL", "TIP", "TIP3", "TP3", "T3P", "T4P", "TIP4", "SPC", "DOD", "H2O"])
_STRIP = "Strip it, for example with mdtraj: t.atom_slice(t.top.select('protein')).save_pdb('one.pdb')"


@dataclass(frozen=True, eq=False)
class PDBContents:
    """Atoms as OpenMM reads them (``topology``), names as written, positions (N, 3) in nm, what was decided."""

    topology: Any
    names: tuple[str, ...]
    positions: FloatArray
    notes: tuple[str, ...]


def read_pdb(path: Path, chain: str | None = None) -> PDBContents:
    """The atoms of ``path``, of its first model and, where given, of one chain.

    ``InputError`` for a file that is missing or malformed, a chain that is not there, alternate locations, atoms of
    one name in a residue, elements that are not known, coordinates that are not finite, solvent and ions.
    """
    records, notes = _records(path, chain)
    _check_alternates(records, path)
    _check_names(records, path)
    try:
        from openmm import app

        pdb = app.PDBFile(io.StringIO("\n".join([*records, "END", ""])))
    except Exception as error:  # OpenMM raises many kinds for a malformed file
        message = f"{path} cannot be read as a PDB file ({error})."
        raise InputError(message, "Give a PDB file with every atom of one molecule.") from error
    names = tuple(record[12:16].strip() for record in records if _is_atom(record))
    _check_atoms(pdb.topology, records, path)
    positions = np.asarray(pdb.getPositions(asNumpy=True)._value, dtype=np.float64)
    if not np.isfinite(positions).all():
        raise InputError(f"{path} holds coordinates that are not finite.", "Correct columns 31-54 of its ATOM records.")
    _check_solvent(pdb.topology, path)
    return PDBContents(pdb.topology, names, positions, tuple(notes))


def residue_label(residue: Any) -> str:
    """``ALA 3``, with the chain where there are several."""
    chains = len(list(residue.chain.topology.chains()))
    return f"{residue.name} {residue.id}" + (f" of chain {residue.chain.id}" if chains > 1 else "")


def _is_atom(record: str) -> bool:
    return record.startswith(("ATOM", "HETATM"))


def _records(path: Path, chain: str | None) -> tuple[list[str], list[str]]:
    """ATOM, HETATM, TER and CONECT records of the first model and of the chain, and what was left out."""
    if not path.is_file():
        raise InputError(f"There is no file {path}.", "Check the path given to --pdb.")
    try:
        lines = path.read_text(encoding="utf-8", errors="strict").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no text file ({error}).", "Give a PDB file.") from error
    models = sum(line.startswith("MODEL") for line in lines)
    kept, notes, ended = [], [], False
    for line in lines:
        ended = ended or line.startswith("ENDMDL")
        if line.startswith("CONECT") or (not ended and (_is_atom(line) or line.startswith("TER"))):
            kept.append(line.rstrip("\r\n").ljust(80))
    if models > 1:
        notes.append(f"{path.name} holds {models} models; the first was taken.")
    chains = list(dict.fromkeys(line[21] for line in kept if _is_atom(line)))
    if chain is not None:
        if chain not in chains:
            known = ", ".join(name for name in chains if name.strip()) or "none has a name"
            raise InputError(f"{path} has no chain {chain!r}.", f"Its chains: {known}.")
        serials = {line[6:11] for line in kept if _is_atom(line) and line[21] == chain}
        kept = [line for line in kept if line[21] == chain or (line.startswith("CONECT") and line[6:11] in serials)]
        if len(chains) > 1:
            notes.append(f"Chain {chain} of {path.name} was taken.")
    if not any(_is_atom(line) for line in kept):
        raise InputError(f"{path} holds no atoms.", "Give a PDB file with every atom, hydrogens included.")
    return kept, notes


def _check_alternates(records: list[str], path: Path) -> None:
    places: dict[tuple[str, str], set[str]] = {}
    for record in records:
        if _is_atom(record):
            places.setdefault((record[12:16], record[17:27]), set()).add(record[16])
    for (atom, residue), letters in places.items():
        if len(letters) > 1:
            message = f"{path} has alternate locations ({atom.strip()} of {' '.join(residue.split())})."
            raise InputError(message, "Keep one of them: the records with a blank or A in column 17, and blank it.")


def _check_names(records: list[str], path: Path) -> None:
    counts = Counter((record[17:27], record[12:16]) for record in records if _is_atom(record))
    (residue, name), count = counts.most_common(1)[0]
    if count > 1:
        message = f"{path} names {count} atoms {name.strip()} in {' '.join(residue.split())}."
        raise InputError(message, "Give every atom of a residue its own name, and every residue its own number.")


def _check_atoms(topology: Any, records: list[str], path: Path) -> None:
    count = sum(_is_atom(record) for record in records)
    if count != topology.getNumAtoms():
        message = f"{path} has {count} atoms, of which {topology.getNumAtoms()} can be told apart."
        raise InputError(message, "Give every residue its own number, and every atom of a residue its own name.")
    for atom in topology.atoms():
        if atom.element is None:
            message = f"{path}: the element of {atom.name} in {residue_label(atom.residue)} is not known."
            raise InputError(message, "Fill columns 77-78 of its record.")


def _check_solvent(topology: Any, path: Path) -> None:
    residues = list(topology.residues())
    if len(residues) == 1:
        return
    waters = [residue for residue in residues if residue.name in SOLVENT]
    if waters:
        raise InputError(
            f"{path} holds solvent ({len(waters)} {waters[0].name}), but one molecule is sampled.", _STRIP + "."
        )
    bonded = {atom.index for bond in topology.bonds() for atom in bond}
    for residue in residues:
        atoms = list(residue.atoms())
        if len(atoms) == 1 and atoms[0].index not in bonded:
            message = f"{path} holds the ion or lone atom {residue_label(residue)}, but one molecule is sampled."
            raise InputError(message, _STRIP + ".")
