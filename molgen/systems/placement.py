"""Placing the atoms of a molecule one by one from bond lengths, angles and torsions: no randomness, no search.

Each atom is set at a distance from the atom it is bonded to, at an angle to the atom before that, and at a torsion.
Torsions that matter are given; the others follow from simple rules: chains go on straight (180 degrees), a flat group
stands at right angles to the chain that carries it, rings that are flat stay flat, and the neighbours of an atom with
four of them follow one another clockwise as its entry in ``clockwise`` says, which settles every handedness.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from molgen.arrays import FloatArray

_THIRD = 2.0 * math.pi / 3.0


@dataclass(frozen=True, eq=False)
class Blueprint:
    """What is needed to place every atom of a molecule.

    ``start`` are three bonded atoms in a row. ``length(i, j)`` is in nm, ``angle(i, j, k)`` in radians. ``clockwise``
    gives, for an atom with four neighbours, a neighbour and the three others as they appear clockwise seen from it.
    ``torsions`` maps a bond (b, c) in the direction of building to (a, d, value): the torsion a-b-c-d in radians.
    ``planar`` are the atoms that lie in the plane of their neighbours, ``rings`` the flat rings.
    """

    neighbours: tuple[tuple[int, ...], ...]
    start: tuple[int, int, int]
    length: Callable[[int, int], float]
    angle: Callable[[int, int, int], float]
    clockwise: Mapping[int, tuple[int, int, int, int]]
    torsions: Mapping[tuple[int, int], tuple[int, int, float]]
    planar: frozenset[int]
    rings: tuple[frozenset[int], ...]


def place(blueprint: Blueprint) -> FloatArray:
    """Positions (N, 3) in nm; every atom must be reachable from the start."""
    placing = _Placing(blueprint)
    for atom in placing.queue:  # grows while it is walked through
        placing.surround(atom)
    return placing.positions


def seen_from(order: tuple[int, int, int, int], first: int) -> tuple[int, int, int]:
    """The three other neighbours clockwise seen from ``first``, for neighbours in the form of ``clockwise``."""
    a, b, c, d = order
    return {a: (b, c, d), b: (a, d, c), c: (d, a, b), d: (c, b, a)}[first]


class _Placing:
    """The state of one placement: what has been placed, from where, and what is to be surrounded next."""

    def __init__(self, blueprint: Blueprint) -> None:
        self.plan = blueprint
        first, second, third = blueprint.start
        self.positions = np.full((len(blueprint.neighbours), 3), np.nan)
        self.positions[first] = 0.0
        self.positions[second] = (blueprint.length(first, second), 0.0, 0.0)
        self.parent = {first: second, second: first}
        self._set(third, second, np.array([0.0, 1.0, 0.0]), 0.0)
        self.queue = [second, third, first]

    def surround(self, centre: int) -> None:
        """Place every neighbour of ``centre`` that has no position yet."""
        before = self.parent[centre]
        around = [atom for atom in self.plan.neighbours[centre] if atom != before]
        missing = [atom for atom in around if not self._placed(atom)]
        if not missing:
            return
        present = [atom for atom in around if self._placed(atom)]
        if present:
            leader = present[0]
            reference, offset = self.positions[leader] - self.positions[centre], 0.0
        else:
            origin, leader, offset = self._leader(centre, before, missing)
            reference = self.positions[origin] - self.positions[before]
        turns = self._turns(centre, before, leader)
        # The leader first, so that the queue follows the chain.
        for atom in sorted(missing, key=lambda atom: atom != leader):
            self._set(atom, centre, reference, offset + turns[atom])
            self.queue.append(atom)

    def _placed(self, atom: int) -> bool:
        return not math.isnan(self.positions[atom, 0])

    def _leader(self, centre: int, before: int, missing: list[int]) -> tuple[int, int, float]:
        """Atom the torsion is measured from, atom that is placed by it, and the torsion."""
        given = self.plan.torsions.get((before, centre))
        if given is not None:
            return given
        ring = next((ring for ring in self.plan.rings if {before, centre} <= ring), None)
        origins = [atom for atom in self.plan.neighbours[before] if atom != centre and self._placed(atom)]
        origin = self.parent[before] if self.parent[before] in origins else origins[0]
        if ring is not None:
            origin = next((atom for atom in origins if atom in ring), origin)
            leader = next((atom for atom in missing if atom in ring), missing[0])
            return origin, leader, 0.0 if {origin, leader} <= ring else math.pi
        leader = min(missing, key=lambda atom: (len(self.plan.neighbours[atom]) == 1, atom))
        return origin, leader, self._default_torsion(centre, before, missing)

    def _default_torsion(self, centre: int, before: int, missing: list[int]) -> float:
        """Straight on; a flat group at right angles to a chain, its first atom beside a flat one."""
        if centre not in self.plan.planar or len(missing) < 2:
            return math.pi
        return 0.0 if before in self.plan.planar else math.pi / 2.0

    def _turns(self, centre: int, before: int, leader: int) -> dict[int, float]:
        """How far every neighbour is turned about the bond before-centre from the leader."""
        if centre in self.plan.clockwise:
            order = seen_from(self.plan.clockwise[centre], before)
            rank = order.index(leader)
            return {order[(rank + k) % 3]: k * _THIRD for k in range(3)}
        around = [atom for atom in self.plan.neighbours[centre] if atom not in (before, leader)]
        step = math.pi if centre in self.plan.planar else _THIRD
        return {leader: 0.0, **{atom: (k + 1) * step for k, atom in enumerate(around)}}

    def _set(self, atom: int, centre: int, reference: FloatArray, torsion: float) -> None:
        before = self.parent[centre]
        axis = _unit(self.positions[centre] - self.positions[before])
        across = _unit(reference - (reference @ axis) * axis)
        angle = self.plan.angle(before, centre, atom)
        sideways = math.cos(torsion) * across + math.sin(torsion) * np.cross(axis, across)
        direction = -math.cos(angle) * axis + math.sin(angle) * sideways
        self.positions[atom] = self.positions[centre] + self.plan.length(centre, atom) * direction
        self.parent[atom] = centre


def _unit(vector: FloatArray) -> FloatArray:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float64)
