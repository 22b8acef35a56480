"""The atoms and bonds of a peptide, put together from the residues of the force field."""

from dataclasses import dataclass
from functools import cached_property

from molgen.systems.residues import TemplateAtom, residue_library
from molgen.systems.sequence import PeptideSequence
from molgen.systems.topology import Atom, MolecularTopology

# The name in PDB files of residues and atoms that the force field calls otherwise.
_PDB_RESIDUES = {
    "HID": "HIS",
    "HIE": "HIS",
    "HIP": "HIS",
    "CYX": "CYS",
    "CYM": "CYS",
    "ASH": "ASP",
    "GLH": "GLU",
    "LYN": "LYS",
}
_NME_ATOMS = {"CH3": "C", "HH31": "H1", "HH32": "H2", "HH33": "H3"}


@dataclass(frozen=True)
class ChainAtom:
    """One atom of the chain: its residue's index in the chain, and its entry in the template."""

    residue: int
    template: TemplateAtom


@dataclass(frozen=True, eq=False)
class PeptideChain:
    """A peptide without positions: ``residues`` are template names such as ``NGLY`` or ``ACE``."""

    residues: tuple[str, ...]
    atoms: tuple[ChainAtom, ...]
    bonds: tuple[tuple[int, int], ...]
    disulphides: tuple[tuple[int, int], ...]

    @cached_property
    def index(self) -> dict[tuple[int, str], int]:
        """Atom index by residue index and template atom name."""
        return {(atom.residue, atom.template.name): k for k, atom in enumerate(self.atoms)}

    @cached_property
    def neighbours(self) -> tuple[tuple[int, ...], ...]:
        """Bonded atoms of each atom, ascending, disulphides included."""
        table: list[list[int]] = [[] for _ in self.atoms]
        for i, j in (*self.bonds, *self.disulphides):
            table[i].append(j)
            table[j].append(i)
        return tuple(tuple(sorted(row)) for row in table)

    @property
    def names(self) -> tuple[str, ...]:
        """Residue names as in PDB files."""
        return tuple(pdb_residue_name(residue) for residue in self.residues)

    def topology(self) -> MolecularTopology:
        """Atoms with their PDB names, and all bonds."""
        names = self.names
        atoms = []
        for atom in self.atoms:
            residue = names[atom.residue]
            name = _NME_ATOMS.get(atom.template.name, atom.template.name) if residue == "NME" else atom.template.name
            atoms.append(Atom(name, atom.template.element, residue, atom.residue, atom.template.mass_da))
        bonds = tuple(sorted((min(bond), max(bond)) for bond in (*self.bonds, *self.disulphides)))
        return MolecularTopology(tuple(atoms), bonds)


def assemble(sequence: PeptideSequence) -> PeptideChain:
    """Atoms and bonds of the chain, caps or charged ends included."""
    residues = list(sequence.residues)
    shift = 0
    if sequence.termini == "capped":
        residues = ["ACE", *residues, "NME"]
        shift = 1
    else:
        residues[0] = "N" + residues[0]
        residues[-1] = "C" + residues[-1]
    templates = [residue_library().templates[residue] for residue in residues]
    atoms: list[ChainAtom] = []
    bonds: list[tuple[int, int]] = []
    for number, template in enumerate(templates):
        first = len(atoms)
        bonds += [(first + i, first + j) for i, j in template.bonds]
        atoms += [ChainAtom(number, atom) for atom in template.atoms]
    chain = PeptideChain(tuple(residues), tuple(atoms), tuple(bonds), ())
    links = tuple((chain.index[k, "C"], chain.index[k + 1, "N"]) for k in range(len(residues) - 1))
    bridges = tuple(
        (chain.index[i - 1 + shift, "SG"], chain.index[j - 1 + shift, "SG"]) for i, j in sequence.disulphides
    )
    return PeptideChain(chain.residues, chain.atoms, (*chain.bonds, *links), bridges)


def pdb_residue_name(template: str) -> str:
    """The name in PDB files of a template: ``HIS`` of ``CHIE``; hydrogens tell the protonation variants apart."""
    bare = template[1:] if len(template) == 4 else template
    return _PDB_RESIDUES.get(bare, bare)
