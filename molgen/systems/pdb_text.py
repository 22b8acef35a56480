"""A molecule as the text of a PDB file that OpenMM reads back with the same atoms and bonds."""

from collections import defaultdict

from molgen.arrays import FloatArray
from molgen.errors import InputError
from molgen.systems.topology import Atom, MolecularTopology

AMINO_ACIDS = frozenset(
    "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL".split()
)  # fmt: skip
"""Residues whose atoms are ATOM records and whose bonds every reader knows."""

_MOST_ATOMS, _MOST_RESIDUES = 99_999, 9_999
_LARGEST_ANGSTROM = 999.0
_PARTNERS_PER_LINE = 4


def pdb_text(topology: MolecularTopology, positions: FloatArray) -> str:
    """The text of the file: no date, element columns, CONECT for every bond that standard residues do not imply.

    ``positions`` (N, 3) in nm. Residues are numbered as :func:`residue_number` says. ``InputError`` where the columns of the format do
    not hold a name, a number or a coordinate.
    """
    _check_limits(topology, positions)
    lines = []
    for serial, (atom, position) in enumerate(zip(topology.atoms, positions * 10.0, strict=True), start=1):
        record = "ATOM  " if atom.residue_name in AMINO_ACIDS else "HETATM"
        x, y, z = (round(float(value), 3) + 0.0 for value in position)  # + 0.0: no minus sign before zero
        lines.append(
            f"{record}{serial:5d} {_padded(atom)} {atom.residue_name:>3s} A{residue_number(topology, atom):4d}    "
            f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          {atom.element.upper():>2s}"
        )
    return "\n".join([*lines, *_connections(topology), "END", ""])


def residue_number(topology: MolecularTopology, atom: Atom) -> int:
    """The number of an atom's residue for people: from 1, with an acetyl cap as 0 so that a sequence keeps its numbers."""
    return atom.residue_index + (0 if topology.atoms[0].residue_name == "ACE" else 1)


def _padded(atom: Atom) -> str:
    """The name in columns 13 to 16, where the element's symbol ends in column 14."""
    if len(atom.name) == 4 or len(atom.element) == 2:
        return f"{atom.name:<4s}"
    return f" {atom.name:<3s}"


def _connections(topology: MolecularTopology) -> list[str]:
    """CONECT records of all bonds but those inside and between amino acids that readers add by themselves."""
    partners: dict[int, list[int]] = defaultdict(list)
    for i, j in topology.bonds:
        first, second = topology.atoms[i], topology.atoms[j]
        standard = first.residue_name in AMINO_ACIDS and second.residue_name in AMINO_ACIDS
        if standard and {first.element, second.element} != {"S"}:
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
