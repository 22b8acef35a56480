"""Equal branches: what hangs on two neighbours of an atom, compared by elements and bonds."""

from molgen.systems.topology import MolecularTopology

_Neighbours = tuple[tuple[int, ...], ...]


def equal_branches(
    topology: MolecularTopology, centre: int, a: int, b: int
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The atoms of the branches at ``a`` and ``b`` away from ``centre``, matched one to one; None if they differ.

    A branch is what stays connected to the atom when ``centre`` is taken away; two neighbours in one ring through the
    centre have no branches of their own.
    """
    neighbours = topology.neighbours()
    first, second = _branch(neighbours, centre, a), _branch(neighbours, centre, b)
    if b in first or len(first) != len(second):
        return None
    colours = _colours(topology, neighbours, first, second)
    if sorted(colours[i] for i in first) != sorted(colours[i] for i in second):
        return None
    mapping = _match(neighbours, first, colours, {a: b})
    return None if mapping is None else (tuple(first), tuple(mapping[i] for i in first))


def _branch(neighbours: _Neighbours, centre: int, start: int) -> dict[int, int]:
    """Atoms reached from ``start`` without passing ``centre``, nearest first, with their distances."""
    distance = {start: 0}
    queue = [start]
    for atom in queue:
        for other in neighbours[atom]:
            if other != centre and other not in distance:
                distance[other] = distance[atom] + 1
                queue.append(other)
    return distance


def _colours(
    topology: MolecularTopology, neighbours: _Neighbours, first: dict[int, int], second: dict[int, int]
) -> dict[int, int]:
    """Numbers that atoms of equal surroundings share (Weisfeiler and Leman's refinement, both branches at once)."""
    distance = {**first, **second}
    labels: dict[int, tuple[object, ...]] = {
        i: (topology.atoms[i].element, len(neighbours[i]), distance[i]) for i in distance
    }
    colours: dict[int, int] = {}
    while True:
        numbers = {label: k for k, label in enumerate(sorted(set(labels.values()), key=repr))}
        refined = {i: numbers[label] for i, label in labels.items()}
        if len(set(refined.values())) == len(set(colours.values())):
            return refined
        colours = refined
        labels = {i: (colours[i], *sorted(colours[j] for j in neighbours[i] if j in colours)) for i in colours}


def _match(
    neighbours: _Neighbours, first: dict[int, int], colours: dict[int, int], mapping: dict[int, int]
) -> dict[int, int] | None:
    """``mapping`` extended to all atoms of ``first`` such that bonds go to bonds, by trial; None if there is none."""
    atom = next((i for i in first if i not in mapping), None)
    if atom is None:
        return mapping
    bonded = [i for i in neighbours[atom] if i in mapping]
    taken = set(mapping.values())
    for candidate in neighbours[mapping[bonded[0]]]:
        fits = candidate in colours and candidate not in taken and colours[candidate] == colours[atom]
        if fits and all(mapping[i] in neighbours[candidate] for i in bonded):
            found = _match(neighbours, first, colours, {**mapping, atom: candidate})
            if found is not None:
                return found
    return None
