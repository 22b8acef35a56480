"""The covalent structure of a molecule in plain Python: no OpenMM object crosses folder borders."""

from dataclasses import dataclass

from molgen.errors import InputError


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

    def masses(self, hydrogen_mass_da: float | None = None) -> tuple[float, ...]:
        """Mass of each atom in dalton; with every hydrogen of ``hydrogen_mass_da``, taken from its heavy neighbour.

        The total mass stays. ``InputError`` if a heavy atom would be left lighter than its hydrogens.
        """
        masses = [atom.mass_da for atom in self.atoms]
        if hydrogen_mass_da is None:
            return tuple(masses)
        for i, j in self.bonds:
            light, heavy = (i, j) if self.atoms[i].element == "H" else (j, i)
            if self.atoms[light].element != "H" or self.atoms[heavy].element == "H":
                continue
            masses[heavy] -= hydrogen_mass_da - masses[light]
            masses[light] = hydrogen_mass_da
            if masses[heavy] < hydrogen_mass_da:
                raise InputError(
                    f"Hydrogens of {hydrogen_mass_da:g} Da leave atom {heavy} with {masses[heavy]:.1f} Da.",
                    "Give a smaller hydrogen mass.",
                )
        return tuple(masses)

    def neighbours(self) -> tuple[tuple[int, ...], ...]:
        """Bonded atoms of each atom, ascending."""
        table: list[list[int]] = [[] for _ in self.atoms]
        for i, j in self.bonds:
            table[i].append(j)
            table[j].append(i)
        return tuple(tuple(sorted(row)) for row in table)
