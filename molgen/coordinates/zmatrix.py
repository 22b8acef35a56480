"""The tree of internal coordinates of a covalent molecule.

Atoms are placed outwards from a central bond. Every atom ``a`` beyond the first three is placed from a bonded
atom ``b``, a second atom ``c`` and a third ``d``: bond length |ab|, angle abc and the azimuth about the axis
b-c. Atoms that share ``(b, c, d)`` form a *group*: its leader carries a torsion ``tau``, its followers the
difference of their azimuth from the leader's, so that one rotatable bond is one coordinate.
"""

from dataclasses import dataclass

from molgen.errors import InputError
from molgen.systems.topology import MolecularTopology


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

    ``free`` lists leaders whose torsion runs over the full circle; ``triples`` lists leaders of groups of three
    equivalent hydrogens (CH3, NH3+), which are free with the period 2 pi / 3.
    """

    root: tuple[int, int, int]
    placements: tuple[Placement, ...]
    free: frozenset[int]
    triples: dict[int, tuple[int, int, int]]

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.placements) + 3


def build_zmatrix(topology: MolecularTopology) -> ZMatrix:
    """The Z-matrix of ``topology``, from its bonds alone and deterministic.

    Raises ``InputError`` for fewer than four atoms or more than one molecule.
    """
    if topology.n_atoms < 4:
        raise InputError("A molecule of fewer than four atoms has no torsion.", "Use an analytic system instead.")
    neighbours = topology.neighbours()
    distances = [_distances(neighbours, start) for start in range(topology.n_atoms)]
    if any(value < 0 for value in distances[0]):
        raise InputError(
            "The topology holds more than one molecule (or bonds are missing).",
            "Keep one molecule whose atoms are all joined by bonds; strip solvent and ions.",
        )
    root = _root(topology, neighbours, distances)
    placements = _placements(topology, neighbours, root)
    free = frozenset(p.leader for p in placements if p.atom == p.leader and _rotates(topology, neighbours, p))
    return ZMatrix(root, placements, free, _hydrogen_triples(topology, placements, free))


def _distances(neighbours: tuple[tuple[int, ...], ...], start: int) -> list[int]:
    distance = [-1] * len(neighbours)
    distance[start] = 0
    queue = [start]
    for atom in queue:
        for other in neighbours[atom]:
            if distance[other] < 0:
                distance[other] = distance[atom] + 1
                queue.append(other)
    return distance


def _root(
    topology: MolecularTopology, neighbours: tuple[tuple[int, ...], ...], distances: list[list[int]]
) -> tuple[int, int, int]:
    """A path of three atoms at the centre of the molecule (least eccentricity: the tree stays shallow)."""

    def cost(path: tuple[int, int, int]) -> tuple[int, int, int, tuple[int, int, int]]:
        hydrogens = sum(topology.atoms[i].element == "H" for i in path)
        eccentricity = max(min(distances[i][k] for i in path) for k in range(topology.n_atoms))
        mean = sum(min(distances[i][k] for i in path) for k in range(topology.n_atoms))
        return hydrogens, eccentricity, mean, path

    paths = [
        (i, j, k)
        for j in range(topology.n_atoms)
        for i in neighbours[j]
        for k in neighbours[j]
        if i != k and len(neighbours[j]) > 1
    ]
    return min(paths, key=cost)


def _placements(
    topology: MolecularTopology, neighbours: tuple[tuple[int, ...], ...], root: tuple[int, int, int]
) -> tuple[Placement, ...]:
    first, second, third = root
    parent = {first: second, second: first, third: second}
    depth = {first: 0, second: 0, third: 0}
    placed: list[Placement] = []
    queue = [second, first, third]
    for b in queue:
        c = parent[b]
        children = [a for a in neighbours[b] if a not in parent]
        children.sort(key=lambda a: (topology.atoms[a].element == "H", len(neighbours[a]) == 1, a))
        if b == second:
            d, leader = third, third
        else:
            d = third if b == first else (second if c == first else parent[c])
            leader = children[0] if children else -1
        for a in children:
            parent[a] = b
            depth[a] = 1 + max(depth[b], depth[c], depth[d])
            placed.append(Placement(a, b, c, d, leader, depth[a]))
            queue.append(a)
    return tuple(sorted(placed, key=lambda p: p.depth))


def _rotates(topology: MolecularTopology, neighbours: tuple[tuple[int, ...], ...], placement: Placement) -> bool:
    b, c = placement.bond, placement.angle
    return not (_in_ring(neighbours, b, c) or is_amide(topology, neighbours, b, c))


def is_amide(topology: MolecularTopology, neighbours: tuple[tuple[int, ...], ...], b: int, c: int) -> bool:
    """Whether the bond ``b``-``c`` joins a carbonyl carbon and a nitrogen that has three neighbours."""
    for carbon, nitrogen in ((b, c), (c, b)):
        if topology.atoms[carbon].element != "C" or topology.atoms[nitrogen].element != "N":
            continue
        carbonyl = any(topology.atoms[o].element == "O" and len(neighbours[o]) == 1 for o in neighbours[carbon])
        if carbonyl and len(neighbours[carbon]) == 3 and len(neighbours[nitrogen]) == 3:
            return True
    return False


def _in_ring(neighbours: tuple[tuple[int, ...], ...], b: int, c: int) -> bool:
    seen = {b}
    queue = [b]
    for atom in queue:
        for other in neighbours[atom]:
            if {atom, other} == {b, c} or other in seen:
                continue
            if other == c:
                return True
            seen.add(other)
            queue.append(other)
    return False


def _hydrogen_triples(
    topology: MolecularTopology, placements: tuple[Placement, ...], free: frozenset[int]
) -> dict[int, tuple[int, int, int]]:
    groups: dict[int, list[int]] = {}
    for p in placements:
        groups.setdefault(p.leader, []).append(p.atom)
    return {
        leader: (atoms[0], atoms[1], atoms[2])
        for leader, atoms in groups.items()
        if leader in free and len(atoms) == 3 and all(topology.atoms[a].element == "H" for a in atoms)
    }
