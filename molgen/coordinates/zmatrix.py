"""The tree of internal coordinates of a covalent molecule.

Atoms are placed outwards from a central bond. Every atom ``a`` beyond the first three is placed from a bonded
atom ``b``, a second atom ``c`` and a third ``d``: bond length |ab|, angle abc and the azimuth about the axis
b-c. Atoms that share ``(b, c, d)`` form a *group*: its leader carries a torsion ``tau``, its followers the
difference of their azimuth from the leader's, so that one rotatable bond is one coordinate. Behind a nitrogen that
inverts, the follower has that difference on one side as well as on the other.

An atom in line with ``b`` and ``c`` (nitriles, alkynes) has no azimuth: it is placed by two Cartesian-like
displacements from the line instead, and what follows it takes its azimuth from ``d`` before the line.
"""

from dataclasses import dataclass

import numpy as np

from molgen.coordinates.domain import domain_of, turning_bonds
from molgen.coordinates.geometry import bond_angle
from molgen.coordinates.symmetry import Rotor, find_rotors
from molgen.errors import InputError
from molgen.systems.system import MolecularSystem
from molgen.systems.topology import MolecularTopology

LINEAR_ANGLE = float(np.deg2rad(165.0))
"""Beyond this angle in the system's structure three bonded atoms count as a line."""
PYRAMID = 0.35
"""Triple product of the unit bond vectors above which a nitrogen is a pyramid (amines: 0.6 to 0.75, planar: 0)."""

Neighbours = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Placement:
    """How one atom is placed: its references, its group's leader and its depth in the tree.

    ``leader`` is the atom itself for a leader. ``depth`` is 1 for atoms placed from the first three alone.
    """

    atom: int
    bond: int
    angle: int
    torsion: int
    leader: int
    depth: int


@dataclass(frozen=True)
class ZMatrix:
    """First three atoms, placements of all others in order of depth, and what may rotate.

    ``free`` lists leaders whose torsion runs over the full circle; ``rotors`` those groups whose members are
    equivalent, by their leader: the torsion of such a leader is free with the period 2 pi / order. ``linear`` lists
    atoms placed by displacements from a line. ``inverting`` are followers behind an amine's nitrogen, which passes
    through its plane: their difference of azimuth has two values, and is treated as an angle on a circle.
    """

    root: tuple[int, int, int]
    placements: tuple[Placement, ...]
    free: frozenset[int]
    rotors: dict[int, Rotor]
    linear: frozenset[int]
    inverting: frozenset[int] = frozenset()

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.placements) + 3


def build_zmatrix(system: MolecularSystem) -> ZMatrix:
    """The Z-matrix of ``system``, from its bonds, its structure and which of its bonds turn; deterministic.

    Raises ``InputError`` for fewer than three atoms, more than one molecule, or a line of atoms that branches.
    """
    topology = system.topology
    if topology.n_atoms < 3:
        raise InputError("A molecule of fewer than three atoms has no angle.", "Use an analytic system instead.")
    neighbours = topology.neighbours()
    distances = [_distances(neighbours, start) for start in range(topology.n_atoms)]
    if any(value < 0 for value in distances[0]):
        raise InputError(
            "The topology holds more than one molecule (or bonds are missing).",
            "Keep one molecule whose atoms are all joined by bonds; strip solvent and ions.",
        )
    turning = turning_bonds(system)
    rotors = find_rotors(topology, system.positions, domain_of(system), turning)
    lines = _lines(system, neighbours)
    root = _root(topology, neighbours, distances, rotors, lines)
    placements, linear = _placements(topology, neighbours, root, lines)
    free = frozenset(
        p.leader
        for p in placements
        if p.atom == p.leader and (min(p.bond, p.angle), max(p.bond, p.angle)) in turning and p.atom not in linear
    )
    amines = _amines(system, neighbours)
    inverting = frozenset(
        p.atom for p in placements if p.atom != p.leader and p.bond in amines and p.atom not in linear
    )
    return ZMatrix(root, placements, free, _placed_rotors(placements, free, rotors), linear, inverting)


def _amines(system: MolecularSystem, neighbours: Neighbours) -> frozenset[int]:
    """Nitrogen atoms that invert: pyramids in the system's structure, and next to no planar atom (amides, anilines)."""
    found = set()
    for centre, around in enumerate(neighbours):
        if system.topology.atoms[centre].element != "N" or len(around) != 3:
            continue
        if not any(len(neighbours[a]) == 3 for a in around):
            bonds = system.positions[list(around)] - system.positions[centre]
            unit = bonds / np.linalg.norm(bonds, axis=1, keepdims=True)
            if abs(np.linalg.det(unit)) > PYRAMID:
                found.add(centre)
    return frozenset(found)


def _distances(neighbours: Neighbours, start: int) -> list[int]:
    distance = [-1] * len(neighbours)
    distance[start] = 0
    queue = [start]
    for atom in queue:
        for other in neighbours[atom]:
            if distance[other] < 0:
                distance[other] = distance[atom] + 1
                queue.append(other)
    return distance


def _lines(system: MolecularSystem, neighbours: Neighbours) -> frozenset[int]:
    """Atoms in the middle of a line of three; ``InputError`` if such an atom has more than two neighbours."""
    found = set()
    for b, around in enumerate(neighbours):
        for a in around:
            for c in around:
                if a < c and bond_angle(system.positions, a, b, c) > LINEAR_ANGLE:
                    if len(around) > 2:
                        message = f"Atom {b} of {system.name} has more than two neighbours, two of them in a line."
                        raise InputError(message, "Internal coordinates cannot describe it; give another molecule.")
                    found.add(b)
    return frozenset(found)


def _root(
    topology: MolecularTopology,
    neighbours: Neighbours,
    distances: list[list[int]],
    rotors: tuple[Rotor, ...],
    lines: frozenset[int],
) -> tuple[int, int, int]:
    """A path of three atoms from which as many rotors as possible can be folded, near the centre of the molecule."""
    kinds = {rotor.permutation for rotor in rotors}

    def cost(path: tuple[int, int, int]) -> tuple[int, int, int, int, tuple[int, int, int]]:
        foldable = {rotor.permutation for rotor in rotors if _turned_by(rotor, path, distances)}
        hydrogens = sum(topology.atoms[i].element == "H" for i in path)
        reach = [min(distances[i][k] for i in path) for k in range(topology.n_atoms)]
        return len(kinds) - len(foldable), hydrogens, max(reach), sum(reach), path

    paths = [
        (i, j, k)
        for j in range(topology.n_atoms)
        if j not in lines
        for i in neighbours[j]
        for k in neighbours[j]
        if i != k
    ]
    if not paths:
        raise InputError("All atoms of the molecule lie on one line.", "Internal coordinates cannot describe it.")
    return min(paths, key=cost)


def _turned_by(rotor: Rotor, path: tuple[int, int, int], distances: list[list[int]]) -> bool:
    """Whether a tree that begins with ``path`` turns the rotor's branches by one torsion of their own."""
    first, second, third = path
    if rotor.moved & set(path) or rotor.base == second:
        return False
    if rotor.base in (first, third):
        return rotor.axis == second
    return distances[second][rotor.axis] < distances[second][rotor.base]


def _placements(
    topology: MolecularTopology, neighbours: Neighbours, root: tuple[int, int, int], lines: frozenset[int]
) -> tuple[tuple[Placement, ...], frozenset[int]]:
    first, second, third = root
    parent = {first: second, second: first, third: second}
    depth = {first: 0, second: 0, third: 0}
    before: dict[int, int] = {}  # the third reference of each placed atom
    placed: list[Placement] = []
    linear = set()
    queue = [second, first, third]
    for b in queue:
        c = parent[b]
        children = [a for a in neighbours[b] if a not in parent]
        children.sort(key=lambda a: (topology.atoms[a].element == "H", len(neighbours[a]) == 1, a))
        if b == second:
            d, leader = third, third
        else:
            d = third if b == first else (second if c == first else parent[c])
            if c in lines and b in before:  # b, c and c's own reference are in line
                d = before[b]
            leader = children[0] if children else -1
        for a in children:
            parent[a], before[a] = b, d
            depth[a] = 1 + max(depth[b], depth[c], depth[d])
            placed.append(Placement(a, b, c, d, leader, depth[a]))
            if b in lines:
                linear.add(a)
            queue.append(a)
    return tuple(sorted(placed, key=lambda p: p.depth)), frozenset(linear)


def _placed_rotors(
    placements: tuple[Placement, ...], free: frozenset[int], rotors: tuple[Rotor, ...]
) -> dict[int, Rotor]:
    """The rotors whose branches are a group of the tree, by leader, its branches in the order of the group."""
    groups: dict[int, list[int]] = {}
    axes = {}
    for p in placements:
        groups.setdefault(p.leader, []).append(p.atom)
        axes[p.leader] = (p.bond, p.angle)
    by_axis = {(rotor.base, rotor.axis): rotor for rotor in rotors}
    found: dict[int, Rotor] = {}
    for leader, atoms in groups.items():
        rotor = by_axis.get(axes[leader])
        if leader in free and rotor is not None and set(rotor.branches) == set(atoms):
            found[leader] = _ordered(rotor, tuple(atoms))
    return _closed(found)


def _closed(rotors: dict[int, Rotor]) -> dict[int, Rotor]:
    """``rotors`` without those that carry another one onto branches which are none: the rest multiply as a group."""
    kept = dict(rotors)
    while True:
        branches = [set(rotor.branches) for rotor in kept.values()]
        stray = [
            leader
            for leader, outer in kept.items()
            if any({outer.permutation[i] for i in inner} not in branches for inner in branches)
        ]
        if not stray:
            return kept
        for leader in stray:
            del kept[leader]


def _ordered(rotor: Rotor, branches: tuple[int, ...]) -> Rotor:
    """``rotor`` with its branches in the order of the group and one step from each to the next."""
    permutation = rotor.permutation
    if permutation[branches[0]] != branches[1]:  # the other sense of three
        permutation = tuple(permutation[i] for i in permutation)
    return Rotor(rotor.base, rotor.axis, branches, permutation)
