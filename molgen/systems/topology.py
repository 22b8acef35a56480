"""The covalent structure of a molecule in plain Python: no OpenMM object crosses folder borders."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Atom:
    """One atom: PDB name, element symbol, residue name and number, mass in dalton."""

    name: str
    element: str
    residue_name: str
    residue_index: int
    mass_da: float


@dataclass(frozen=True)
class MolecularTopology:
    """Atoms in file order and covalent bonds as index pairs ``(i, j)`` with ``i < j``."""

    atoms: tuple[Atom, ...]
    bonds: tuple[tuple[int, int], ...]

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.atoms)

    def neighbours(self) -> tuple[tuple[int, ...], ...]:
        """Bonded atoms of each atom, ascending."""
        table: list[list[int]] = [[] for _ in self.atoms]
        for i, j in self.bonds:
            table[i].append(j)
            table[j].append(i)
        return tuple(tuple(sorted(row)) for row in table)
