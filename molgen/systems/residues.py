"""Amino acids as amber99sbildn knows them: atoms, bonds, and the lengths and angles that it wants between them.

Everything is read from the force-field file that comes with OpenMM, so that a chain built from these residues has the
atoms the force field asks for, and nothing here has to be kept in step with it by hand.
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

FORCE_FIELD = "amber99sbildn.xml"


@dataclass(frozen=True)
class TemplateAtom:
    """Name, element symbol, force-field class and mass (dalton) of one atom of a template."""

    name: str
    element: str
    atom_class: str
    mass_da: float


@dataclass(frozen=True)
class ResidueTemplate:
    """A residue of the force field: atoms in the file's order, bonds as index pairs within it."""

    name: str
    atoms: tuple[TemplateAtom, ...]
    bonds: tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class ResidueLibrary:
    """All residue templates by name, equilibrium lengths (nm) and angles (radians) by atom classes."""

    templates: dict[str, ResidueTemplate]
    lengths: dict[tuple[str, str], float]
    angles: dict[tuple[str, str, str], float]

    def length(self, first: str, second: str) -> float:
        """Equilibrium bond length in nm between two atom classes; ``KeyError`` where the force field has none."""
        return self.lengths[min((first, second), (second, first))]

    def angle(self, first: str, centre: str, third: str) -> float:
        """Equilibrium angle in radians of three atom classes; ``KeyError`` where the force field has none."""
        return self.angles[min((first, centre, third), (third, centre, first))]


@cache
def residue_library() -> ResidueLibrary:
    """The library of amber99sbildn, read once."""
    root = ElementTree.parse(Path(_folder()) / FORCE_FIELD).getroot()
    types = {entry.attrib["name"]: entry.attrib for entry in root.iterfind("AtomTypes/Type")}
    templates = {
        residue.attrib["name"]: _template(residue, types)
        for residue in root.iterfind("Residues/Residue")
        if residue.find("Bond") is not None  # ions have none
    }
    lengths = {}
    for bond in root.iterfind("HarmonicBondForce/Bond"):
        first, second = bond.attrib["class1"], bond.attrib["class2"]
        lengths[min((first, second), (second, first))] = float(bond.attrib["length"])
    angles = {}
    for angle in root.iterfind("HarmonicAngleForce/Angle"):
        a, b, c = (angle.attrib[f"class{k}"] for k in (1, 2, 3))
        angles[min((a, b, c), (c, b, a))] = float(angle.attrib["angle"])
    return ResidueLibrary(templates, lengths, angles)


def is_planar(angles: list[float]) -> bool:
    """Whether an atom with these three equilibrium angles (radians) between its neighbours lies in their plane."""
    return len(angles) == 3 and sum(angles) > math.radians(352.0)


def _template(residue: Any, types: dict[str, dict[str, str]]) -> ResidueTemplate:
    atoms = []
    for atom in residue.iterfind("Atom"):
        kind = types[atom.attrib["type"]]
        atoms.append(TemplateAtom(atom.attrib["name"], kind["element"], kind["class"], float(kind["mass"])))
    bonds = tuple((int(bond.attrib["from"]), int(bond.attrib["to"])) for bond in residue.iterfind("Bond"))
    return ResidueTemplate(residue.attrib["name"], tuple(atoms), bonds)


def _folder() -> str:
    from openmm import app

    return str(Path(app.__file__).parent / "data")
