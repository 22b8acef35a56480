"""Equivalent branches: groups of atoms that turning one bond exchanges, so that their labels mean nothing.

CH3 and NH3+ have three, carboxylates and nitro groups two, a phenyl ring flips its two halves, C(CH3)3 exchanges whole
methyls. Only permutations that a proper motion reaches count: the labels of a CH2 are no such pair.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.coordinates.domain import Domain
from molgen.coordinates.geometry import torsion_angles
from molgen.systems.topology import MolecularTopology

_PLANAR = np.deg2rad(40.0)
_MAX_MAPPINGS = 2000


@dataclass(frozen=True)
class Rotor:
    """A bond ``base``-``axis`` whose turning exchanges the ``branches`` at ``base`` (two or three of its neighbours).

    ``permutation`` (N,) is one step: atom i takes the place that atom ``permutation[i]`` has, branch k that of
    branch k + 1; it is the identity outside the branches.
    """

    base: int
    axis: int
    branches: tuple[int, ...]
    permutation: tuple[int, ...]

    @property
    def order(self) -> int:
        """How many labellings it has."""
        return len(self.branches)

    @property
    def moved(self) -> frozenset[int]:
        """Atoms that change their place."""
        return frozenset(i for i, j in enumerate(self.permutation) if i != j)


def find_rotors(
    topology: MolecularTopology, positions: FloatArray, domain: Domain, bonds: tuple[tuple[int, int], ...]
) -> tuple[Rotor, ...]:
    """The rotors about ``bonds`` (those that turn) of a molecule with structure ``positions`` (N, 3) in ``domain``."""
    neighbours = topology.neighbours()
    found = []
    for bond in bonds:
        for base, axis in (bond, bond[::-1]):
            branches = tuple(a for a in neighbours[base] if a != axis)
            if len(branches) not in (2, 3) or (len(branches) == 2 and not _planar(positions, base, axis, branches)):
                continue
            permutation = _cyclic_permutation(topology, positions, domain, base, axis, branches)
            if permutation is not None:
                found.append(Rotor(base, axis, branches, permutation))
    return tuple(found)


def _planar(positions: FloatArray, base: int, axis: int, branches: tuple[int, ...]) -> bool:
    """Whether two branches lie opposite each other about the bond, so that half a turn exchanges them."""
    first, second = branches
    improper = torsion_angles(positions[None], (first, base, axis, second))[0]
    return bool(abs(abs(improper) - np.pi) < _PLANAR)


def _cyclic_permutation(
    topology: MolecularTopology,
    positions: FloatArray,
    domain: Domain,
    base: int,
    axis: int,
    branches: tuple[int, ...],
) -> tuple[int, ...] | None:
    """A permutation that takes each branch to the next, keeps bonds and elements and the domain; None if none."""
    neighbours = topology.neighbours()
    elements = [atom.element for atom in topology.atoms]
    side = beyond(neighbours, base, axis)
    if axis in side or len({(elements[a], len(neighbours[a])) for a in branches}) > 1:
        return None
    step = {a: branches[(k + 1) % len(branches)] for k, a in enumerate(branches)}
    for tried, mapping in enumerate(_automorphisms(neighbours, elements, side, {base: base, axis: axis} | step)):
        permutation = np.array([mapping.get(i, i) for i in range(len(elements))])
        if _has_order(permutation, len(branches)) and domain.contains(positions[None, permutation])[0]:
            return tuple(int(i) for i in permutation)
        if tried > _MAX_MAPPINGS:
            return None
    return None


def beyond(neighbours: tuple[tuple[int, ...], ...], base: int, axis: int) -> set[int]:
    """Atoms on the side of ``base`` when the bond to ``axis`` is cut (``axis`` among them if it closes a ring)."""
    seen = {base}
    queue = [base]
    for atom in queue:
        for other in neighbours[atom]:
            if other not in seen and not (atom == base and other == axis):
                seen.add(other)
                queue.append(other)
    return seen


def _has_order(permutation: IntArray, order: int) -> bool:
    image = permutation
    for _ in range(order - 1):
        image = permutation[image]
    return bool((image == np.arange(len(permutation))).all())


def _automorphisms(
    neighbours: tuple[tuple[int, ...], ...], elements: list[str], side: set[int], start: dict[int, int]
) -> Iterator[dict[int, int]]:
    """Maps of ``side`` onto itself that extend ``start`` and keep elements and bonds, identity tried first."""
    order = [a for a in _breadth_first(neighbours, [a for a in start if a in side], side) if a not in start]

    def extend(k: int, mapping: dict[int, int], used: set[int]) -> Iterator[dict[int, int]]:
        if k == len(order):
            yield dict(mapping)
            return
        atom = order[k]
        known = [n for n in neighbours[atom] if n in mapping]
        candidates = set(neighbours[mapping[known[0]]]) - used
        for candidate in sorted(candidates, key=lambda c: (c != atom, c)):
            if elements[candidate] != elements[atom] or len(neighbours[candidate]) != len(neighbours[atom]):
                continue
            if all(mapping[n] in neighbours[candidate] for n in known):
                mapping[atom] = candidate
                yield from extend(k + 1, mapping, used | {candidate})
                del mapping[atom]

    if all((start[b] in neighbours[start[a]]) == (b in neighbours[a]) for a in start for b in start):
        yield from extend(0, dict(start), set(start.values()))


def _breadth_first(neighbours: tuple[tuple[int, ...], ...], start: list[int], side: set[int]) -> list[int]:
    seen = list(start)
    for atom in seen:
        seen.extend(n for n in neighbours[atom] if n in side and n not in seen)
    return seen
