"""Which bonds of a molecule turn: read from its rings, its amides and the torsion terms of its force field."""

from collections.abc import Iterator
from xml.etree import ElementTree

import numpy as np

from molgen.arrays import FloatArray
from molgen.systems.topology import MolecularTopology

Bond = tuple[int, int]
Neighbours = tuple[tuple[int, ...], ...]

PLANARITY_BARRIER = 50.0
"""A bond whose two-fold torsion terms sum to a barrier (kJ/mol) above this stays planar: a double bond, an amide, a
guanidinium. Amides have about 85, esters and acids 40-45, biphenyls and anilines less."""
FLAT_RING = 0.1
"""A ring whose atoms are all within this many bond lengths of their mean plane is flat (cyclohexane: 0.16)."""
MACROCYCLE = 9
"""Bonds whose smallest ring has at least this many atoms turn as those of a chain do."""


def rotatable_bonds(topology: MolecularTopology, system_xml: str) -> tuple[Bond, ...]:
    """Bonds ``(i, j)``, ``i < j``, that turn: neither end is the last atom, no small ring, no amide, no double bond.

    A double bond is told by the force field's own two-fold torsion terms (:data:`PLANARITY_BARRIER`). Bonds of a
    carbon with two neighbours (nitriles, alkynes) are left out: a torsion about them has no meaning.
    """
    neighbours = topology.neighbours()
    return tuple(
        bond
        for bond in unhindered_bonds(topology, system_xml)
        if not any(topology.atoms[k].element == "C" and len(neighbours[k]) == 2 for k in bond)
    )


def unhindered_bonds(topology: MolecularTopology, system_xml: str) -> tuple[Bond, ...]:
    """As :func:`rotatable_bonds`, with the bonds of two-coordinate carbons, about which what lies beyond turns."""
    neighbours = topology.neighbours()
    planar = set(planar_bonds(topology, system_xml))
    return tuple(
        (i, j)
        for i, j in topology.bonds
        if len(neighbours[i]) > 1
        and len(neighbours[j]) > 1
        and not 0 < ring_size(neighbours, i, j) < MACROCYCLE
        and (i, j) not in planar
    )


def planar_bonds(topology: MolecularTopology, system_xml: str) -> tuple[Bond, ...]:
    """Bonds ``(i, j)``, ``i < j``, with a cis and a trans form: amides and double bonds outside small rings.

    Neither end of one has four neighbours: MMFF94 gives such bonds large two-fold terms that cancel each other.
    """
    neighbours = topology.neighbours()
    barriers = planarity_barriers(topology, system_xml)
    return tuple(
        (i, j)
        for i, j in topology.bonds
        if len(neighbours[i]) in (2, 3)
        and len(neighbours[j]) in (2, 3)
        and not 0 < ring_size(neighbours, i, j) < MACROCYCLE
        and (is_amide(topology, neighbours, i, j) or barriers.get((i, j), 0.0) > PLANARITY_BARRIER)
    )


def tertiary_amides(topology: MolecularTopology) -> tuple[Bond, ...]:
    """Amide bonds ``(i, j)`` outside small rings whose nitrogen has no hydrogen: X-Pro and its like, cis or trans."""
    neighbours = topology.neighbours()
    found = []
    for i, j in topology.bonds:
        if not is_amide(topology, neighbours, i, j) or 0 < ring_size(neighbours, i, j) < MACROCYCLE:
            continue
        nitrogen = i if topology.atoms[i].element == "N" else j
        if all(topology.atoms[k].element != "H" for k in neighbours[nitrogen]):
            found.append((i, j))
    return tuple(found)


def symmetric_rotor(topology: MolecularTopology, bond: Bond) -> bool:
    """Whether one end of ``bond`` carries three hydrogens and nothing else (CH3, NH3+): turning it changes nothing."""
    neighbours = topology.neighbours()
    for b, c in (bond, bond[::-1]):
        others = [a for a in neighbours[b] if a != c]
        if len(others) == 3 and all(topology.atoms[a].element == "H" for a in others):
            return True
    return False


def is_amide(topology: MolecularTopology, neighbours: Neighbours, b: int, c: int) -> bool:
    """Whether the bond ``b``-``c`` joins a carbonyl carbon and a nitrogen that has three neighbours."""
    for carbon, nitrogen in ((b, c), (c, b)):
        if topology.atoms[carbon].element != "C" or topology.atoms[nitrogen].element != "N":
            continue
        carbonyl = any(topology.atoms[o].element == "O" and len(neighbours[o]) == 1 for o in neighbours[carbon])
        if carbonyl and len(neighbours[carbon]) == 3 and len(neighbours[nitrogen]) == 3:
            return True
    return False


def ring_size(neighbours: Neighbours, b: int, c: int) -> int:
    """Number of atoms in the smallest ring through the bond ``b``-``c``; 0 if it is in none."""
    distance = {b: 0}
    queue = [b]
    for atom in queue:
        for other in neighbours[atom]:
            if {atom, other} == {b, c} or other in distance:
                continue
            distance[other] = distance[atom] + 1
            if other == c:
                return distance[c] + 1
            queue.append(other)
    return 0


def puckered_rings(topology: MolecularTopology, positions: FloatArray) -> tuple[tuple[int, ...], ...]:
    """Small rings (4 to 8 atoms, in order) that are not flat in the structure ``positions`` (N, 3): they may flip.

    Of rings that share all their bonds with others only the smallest are found.
    """
    neighbours = topology.neighbours()
    found: dict[frozenset[int], tuple[int, ...]] = {}
    for i, j in topology.bonds:
        ring = _ring(neighbours, i, j)
        if 4 <= len(ring) < MACROCYCLE and frozenset(ring) not in found:
            found[frozenset(ring)] = ring
    return tuple(ring for ring in found.values() if _pucker(positions[list(ring)]) > FLAT_RING)


def _ring(neighbours: Neighbours, b: int, c: int) -> tuple[int, ...]:
    """Atoms of a smallest ring through the bond ``b``-``c``, in order from b to c; empty if there is none."""
    before = {b: b}
    queue = [b]
    for atom in queue:
        for other in neighbours[atom]:
            if {atom, other} == {b, c} or other in before:
                continue
            before[other] = atom
            queue.append(other)
    if c not in before:
        return ()
    path = [c]
    while path[-1] != b:
        path.append(before[path[-1]])
    return tuple(reversed(path))


def _pucker(points: FloatArray) -> float:
    """Largest distance of ring atoms (n, 3) from their mean plane, in bond lengths."""
    centred = points - points.mean(axis=0)
    normal = np.linalg.svd(centred)[2][2]
    bond = float(np.linalg.norm(points - np.roll(points, 1, axis=0), axis=1).mean())
    return float(np.abs(centred @ normal).max()) / bond


def planarity_barriers(topology: MolecularTopology, system_xml: str) -> dict[Bond, float]:
    """Barrier (kJ/mol) of the two-fold proper torsion terms about each bond that has any: the sum of 2 |k|.

    For E = k [1 + cos(2 phi - phase)] of a ``PeriodicTorsionForce``; c2 cos^2(psi) of an ``RBTorsionForce`` is
    c2/2 [1 + cos(2 psi)]. Other torsion forces are not read.
    """
    bonds = set(topology.bonds)

    def bonded(i: int, j: int) -> bool:
        return (min(i, j), max(i, j)) in bonds

    barriers: dict[Bond, float] = {}
    for (p1, p2, p3, p4), height in _two_fold_terms(ElementTree.fromstring(system_xml)):
        if bonded(p1, p2) and bonded(p2, p3) and bonded(p3, p4):
            bond = (min(p2, p3), max(p2, p3))
            barriers[bond] = barriers.get(bond, 0.0) + height
    return barriers


def _two_fold_terms(root: ElementTree.Element) -> Iterator[tuple[tuple[int, int, int, int], float]]:
    for force in root.iter("Force"):
        kind = force.get("type")
        if kind not in ("PeriodicTorsionForce", "RBTorsionForce"):
            continue
        for term in force.iter("Torsion"):
            atoms = (int(term.get("p1", 0)), int(term.get("p2", 0)), int(term.get("p3", 0)), int(term.get("p4", 0)))
            if kind == "RBTorsionForce":
                yield atoms, abs(float(term.get("c2", 0.0)))
            elif int(term.get("periodicity", 0)) == 2:
                yield atoms, 2.0 * abs(float(term.get("k", 0.0)))
