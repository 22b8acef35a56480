"""The domain of a molecule: which frames count as the molecule that was asked for.

A mirrored molecule has exactly the same energy, and hot dynamics can turn a peptide bond; no weight notices either.
So every frame is checked against the system's own structure: the handedness of every atom with four neighbours (a
stereocentre, the labels of a CH2, the cyclic order of a CH3) and of pyramidal sulphur and phosphorus, and cis or trans
at every amide and double bond. Amides without a hydrogen on the nitrogen (X-Pro) may be either.
"""

from dataclasses import dataclass

import numpy as np

from molgen.arrays import BoolArray, FloatArray
from molgen.coordinates.geometry import signed_volumes, torsion_angles
from molgen.systems.rotation import is_amide, planar_bonds, tertiary_amides, unhindered_bonds
from molgen.systems.system import MolecularSystem, System
from molgen.systems.topology import MolecularTopology

_PYRAMIDAL = ("S", "P", "Se", "As")
"""Elements whose three-coordinate atoms do not invert at any temperature of interest (nitrogen does)."""
_TWISTED = 0.5
"""Sine of the angle by which a bond that should be planar may be turned in the structure and still be cis or trans."""
_FLAT_NM3 = 2e-4
"""A signed volume below this belongs to a planar centre (a pyramidal sulphoxide has some 1.5e-3 nm^3)."""


@dataclass(frozen=True)
class Domain:
    """Centres (atom and three of its neighbours) with their signs, planar torsions with their angles in radians.

    Both are taken from the system's structure. An analytic system has neither, and its domain is everything.
    """

    centres: tuple[tuple[int, int, int, int], ...] = ()
    signs: tuple[float, ...] = ()
    planar: tuple[tuple[int, int, int, int], ...] = ()
    angles: tuple[float, ...] = ()

    def violations(self, positions: FloatArray) -> dict[str, BoolArray]:
        """For frames (n, N, D): which have another handedness somewhere, which another cis/trans state."""
        turned = np.zeros(len(positions), dtype=np.bool_)
        mirrored = turned.copy()
        for centre, sign in zip(self.centres, self.signs, strict=True):
            mirrored |= ~(signed_volumes(positions, centre) * sign > 0)
        for atoms, angle in zip(self.planar, self.angles, strict=True):
            turned |= ~(np.cos(torsion_angles(positions, atoms) - angle) > 0)
        return {"handedness": mirrored, "cis-trans": turned}

    def contains(self, positions: FloatArray) -> BoolArray:
        """For frames (n, N, D) whether no check is violated; a frame that is not finite is outside."""
        violated = np.logical_or.reduce(list(self.violations(positions).values()))
        return np.asarray(~violated, dtype=np.bool_)


def domain_of(system: System) -> Domain:
    """The domain of ``system``; amide bonds are watched unless its definition leaves cis and trans free."""
    if not isinstance(system, MolecularSystem):
        return Domain()
    frame = system.positions[None]
    centres = handed_centres(system)
    planar = tuple(planar_torsion(system.topology, bond) for bond in watched_bonds(system))
    return Domain(
        centres,
        tuple(float(np.sign(signed_volumes(frame, centre)[0])) for centre in centres),
        planar,
        tuple(float(torsion_angles(frame, atoms)[0]) for atoms in planar),
    )


def handed_centres(system: MolecularSystem) -> tuple[tuple[int, int, int, int], ...]:
    """Atoms with a handedness, each with the first three of its neighbours."""
    frame = system.positions[None]
    found = []
    for i, row in enumerate(system.topology.neighbours()):
        if len(row) == 4:
            found.append((i, *row[:3]))
        elif len(row) == 3 and system.topology.atoms[i].element in _PYRAMIDAL:
            centre = (i, *row)
            if abs(signed_volumes(frame, centre)[0]) > _FLAT_NM3:
                found.append(centre)
    return tuple(found)


def watched_bonds(system: MolecularSystem) -> tuple[tuple[int, int], ...]:
    """Bonds whose cis or trans form belongs to the molecule: double bonds, and amides unless they are left free."""
    free = either_form(system) | twisted_bonds(system)
    return tuple(bond for bond in planar_bonds(system.topology, system.system_xml) if bond not in free)


def turning_bonds(system: MolecularSystem) -> tuple[tuple[int, int], ...]:
    """Bonds about which a torsion may take any value: those that rotate, and amides that may be cis or trans."""
    unhindered = unhindered_bonds(system.topology, system.system_xml)
    return tuple(sorted({*unhindered, *either_form(system), *twisted_bonds(system)}))


def twisted_bonds(system: MolecularSystem) -> set[tuple[int, int]]:
    """Bonds that the force field would have planar and the structure has not: crowded anilides and their like.

    They lie between cis and trans, and pass from one side to the other as they please. Amides are not among them.
    """
    topology = system.topology
    neighbours = topology.neighbours()
    found = set()
    for bond in planar_bonds(topology, system.system_xml):
        angle = torsion_angles(system.positions[None], planar_torsion(topology, bond))[0]
        if abs(np.sin(angle)) > _TWISTED and not is_amide(topology, neighbours, *bond):
            found.add(bond)
    return found


def either_form(system: MolecularSystem) -> set[tuple[int, int]]:
    """Bonds that belong to the molecule cis as well as trans: X-Pro and its like, every amide where they are free."""
    topology = system.topology
    either = set(tertiary_amides(topology))
    if system.definition.domain.cis_trans == "free":
        neighbours = topology.neighbours()
        planar = planar_bonds(topology, system.system_xml)
        either |= {bond for bond in planar if is_amide(topology, neighbours, *bond)}
    return either


def planar_torsion(topology: MolecularTopology, bond: tuple[int, int]) -> tuple[int, int, int, int]:
    """The torsion (x, i, j, y) about ``bond`` (i, j): heavy neighbours that are bonded on first, then lowest index."""
    neighbours = topology.neighbours()
    i, j = bond

    def end(atom: int, other: int) -> int:
        rest = [a for a in neighbours[atom] if a != other]
        return min(rest, key=lambda a: (topology.atoms[a].element == "H", len(neighbours[a]) == 1, a))

    return end(i, j), i, j, end(j, i)
