"""A molecule as the text of a PDB file that OpenMM reads back with the same atoms and bonds."""

import itertools
import string
from collections import defaultdict
from collections.abc import Iterable

from molgen.arrays import FloatArray
from molgen.errors import InputError
from molgen.systems.topology import Atom, MolecularTopology

AMINO_ACIDS = frozenset(
    (
        *("ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE"),
        *("LEU", "LYS", "MET", "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL"),
    )
)
"""Residues whose atoms are ATOM records and whose bonds every reader knows."""

_MOST_ATOMS, _MOST_RESIDUES = 99_999, 9_999
_LARGEST_ANGSTROM = 999.0
_PARTNERS_PER_LINE = 4
_LETTERS = string.ascii_uppercase


def pdb_text(topology: MolecularTopology, positions: FloatArray, connected: Iterable[tuple[int, int]] = ()) -> str:
    """The text of the file: no date, element columns, CONECT for every bond that standard residues do not imply.

    ``positions`` (N, 3) in nm; ``connected`` are bonds that shall have a CONECT record in any case. Residues are
    numbered as :func:`residue_number` says, and a new chain begins where two residues in a row are not bonded.
    ``InputError`` where the columns of the format do not hold a name, a number or a coordinate.
    """
    _check_limits(topology, positions)
    chains = _chains(topology)
    lines = []
    for serial, (atom, position) in enumerate(zip(topology.atoms, positions * 10.0, strict=True), start=1):
        chain = chains[atom.residue_index]
        if serial > 1 and chain != chains[topology.atoms[serial - 2].residue_index]:
            lines.append("TER")
        record = "ATOM  " if atom.residue_name in AMINO_ACIDS else "HETATM"
        x, y, z = (round(float(value), 3) + 0.0 for value in position)  # + 0.0: no minus sign before zero
        residue = f"{atom.residue_name:>3s} {chain}{residue_number(topology, atom):4d}"
        lines.append(
            f"{record}{serial:5d} {_padded(atom)} {residue}    "
            f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          {atom.element.upper():>2s}"
        )
    return "\n".join([*lines, *_connections(topology, set(connected)), "END", ""])


def residue_number(topology: MolecularTopology, atom: Atom) -> int:
    """The number of an atom's residue for people: from 1, an acetyl cap being 0, so that a sequence keeps its own."""
    return atom.residue_index + (0 if topology.atoms[0].residue_name == "ACE" else 1)


def _padded(atom: Atom) -> str:
    """The name in columns 13 to 16, where the element's symbol ends in column 14."""
    if len(atom.name) == 4 or len(atom.element) == 2:
        return f"{atom.name:<4s}"
    return f" {atom.name:<3s}"


def _chains(topology: MolecularTopology) -> dict[int, str]:
    """A chain letter for every residue."""
    order = list(dict.fromkeys(atom.residue_index for atom in topology.atoms))
    residue = [atom.residue_index for atom in topology.atoms]
    linked = {frozenset((residue[i], residue[j])) for i, j in topology.bonds}
    number, letters = 0, {order[0]: _LETTERS[0]}
    for before, this in itertools.pairwise(order):
        number += frozenset((before, this)) not in linked
        letters[this] = _LETTERS[number % len(_LETTERS)]
    return letters


def _connections(topology: MolecularTopology, connected: set[tuple[int, int]]) -> list[str]:
    """CONECT records of all bonds but those inside and between amino acids that readers add by themselves."""
    partners: dict[int, list[int]] = defaultdict(list)
    for i, j in topology.bonds:
        first, second = topology.atoms[i], topology.atoms[j]
        standard = first.residue_name in AMINO_ACIDS and second.residue_name in AMINO_ACIDS
        if standard and {first.element, second.element} != {"S"} and (i, j) not in connected:
            continue
        partners[i].append(j)
        partners[j].append(i)
    lines = []
    for i in sorted(partners):
        row = sorted(partners[i])
        for begin in range(0, len(row), _PARTNERS_PER_LINE):
            numbers = "".join(f"{j + 1:5d}" for j in row[begin : begin + _PARTNERS_PER_LINE])
            lines.append(f"CONECT{i + 1:5d}{numbers}")
    return lines


def _check_limits(topology: MolecularTopology, positions: FloatArray) -> None:
    hint = "A PDB file cannot hold it; give it shorter names, or a smaller molecule near the origin."
    if topology.n_atoms > _MOST_ATOMS or topology.atoms[-1].residue_index >= _MOST_RESIDUES:
        raise InputError(f"The molecule has {topology.n_atoms} atoms, too many for a PDB file.", hint)
    for atom in topology.atoms:
        if len(atom.name) > 4 or len(atom.residue_name) > 3:
            message = f"The name {atom.name} {atom.residue_name} is too long for a PDB file."
            raise InputError(message, hint)
    if float(abs(positions).max()) * 10.0 > _LARGEST_ANGSTROM:
        raise InputError("A coordinate is too large for a PDB file.", hint)
