"""Prochiral labels: which of two equal branches an atom's name stands for is a convention, not chirality.

Programs number the two hydrogens of a CH2, the three of a CH3 or the methyls of an isopropyl group as they like. Where
a frame has the other handedness than the system's structure at an atom with four neighbours, and two of these carry the
same branch (by elements and bonds), the labels of the two branches are exchanged, with all that is in them. The same
holds at the end of a planar bond, such as the two hydrogens of an amide's NH2. At a stereocentre all branches differ:
nothing is exchanged there, and a mirrored molecule stays one.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from molgen.arrays import BoolArray, IntArray
from molgen.coordinates.branches import equal_branches
from molgen.coordinates.domain import domain_of
from molgen.coordinates.geometry import signed_volumes, torsion_angles
from molgen.systems.system import MolecularSystem, System
from molgen.systems.topology import MolecularTopology
from molgen.trajectories.frames import AnyFloatArray


@dataclass(frozen=True)
class _Watch:
    """The sign of a signed volume of four ``atoms``, or the angle of a torsion, in the system's structure."""

    atoms: tuple[int, int, int, int]
    value: float
    torsion: bool = False

    def turned_by(self, exchange: "Exchange") -> bool:
        """Whether ``exchange`` changes the sign, or cis to trans."""
        pair = {exchange.first[0], exchange.second[0]}
        if not self.torsion:
            return exchange.centre == self.atoms[0]
        left, i, j, right = self.atoms
        ends = ((i, left, j), (j, right, i))
        return any(exchange.centre == end and own in pair and other not in pair for end, own, other in ends)


@dataclass(frozen=True)
class Exchange:
    """Two equal branches at ``centre``; to exchange ``first`` and ``second``, atom by atom, changes no structure."""

    centre: int
    first: tuple[int, ...]
    second: tuple[int, ...]


def match_labels(positions: AnyFloatArray, system: System) -> tuple[AnyFloatArray, dict[int, int]]:
    """Frames (n, N, D) with the labels of equal branches as in the system's structure, and what was relabelled.

    The counts are frames by centre (index of the atom). The argument is not changed; where nothing has to be exchanged
    it is returned itself. Frames that are not finite stay as they are.
    """
    watches, tasks = _tasks(system)
    if not tasks:
        return positions, {}
    everyone = np.arange(positions.shape[1])
    suspects = np.zeros(len(positions), dtype=np.bool_)
    for watch in {watch for _, watch in tasks}:
        suspects |= _wrong(positions, np.broadcast_to(everyone, (len(positions), len(everyone))), watch)
    if not suspects.any():
        return positions, {}
    movable = {watch for _, watch in tasks}
    order, relabelled = _matched(positions[suspects], tasks, [watch for watch in watches if watch not in movable])
    matched = positions.copy()
    matched[suspects] = np.take_along_axis(positions[suspects], order[:, :, None], axis=1)
    return matched, relabelled


def movable_labels(system: System) -> int:
    """At how many centres and planar bonds an exchange of equal branches changes the structure's labels: each has two
    images, of which one is the system's."""
    return len({watch for _, watch in _tasks(system)[1]})


def _tasks(system: System) -> tuple[list[_Watch], list[tuple[Exchange, _Watch]]]:
    """What the domain of ``system`` watches, and which exchanges turn which of it."""
    if not isinstance(system, MolecularSystem):
        return [], []
    domain = domain_of(system)
    watches = [_Watch(atoms, sign) for atoms, sign in zip(domain.centres, domain.signs, strict=True)]
    watches += [_Watch(atoms, angle, torsion=True) for atoms, angle in zip(domain.planar, domain.angles, strict=True)]
    return watches, [(e, watch) for e in exchanges_of(system.topology) for watch in watches if watch.turned_by(e)]


@lru_cache(maxsize=16)
def exchanges_of(topology: MolecularTopology) -> tuple[Exchange, ...]:
    """All exchanges of equal branches at atoms with three or four neighbours, in the order in which to try them.

    Centres with large branches come first, since an exchange there may upset centres inside its branches; at one
    centre small branches come first, as the smallest change that does.
    """
    found: dict[int, list[Exchange]] = {}
    for centre, around in enumerate(topology.neighbours()):
        if len(around) not in (3, 4):
            continue
        pairs = [(a, b) for k, a in enumerate(around) for b in around[k + 1 :]]
        matches = [equal_branches(topology, centre, a, b) for a, b in pairs]
        at_centre = [Exchange(centre, *match) for match in matches if match is not None]
        if at_centre:
            found[centre] = sorted(at_centre, key=lambda exchange: len(exchange.first))
    centres = sorted(found, key=lambda centre: (-len(found[centre][0].first), centre))
    return tuple(exchange for centre in centres for exchange in found[centre])


def _matched(
    positions: AnyFloatArray, tasks: list[tuple[Exchange, _Watch]], fixed: list[_Watch]
) -> tuple[IntArray, dict[int, int]]:
    """Which atom each label (n, N) is to be taken from, and the frames that were relabelled at each centre."""
    order = np.tile(np.arange(positions.shape[1], dtype=np.int64), (len(positions), 1))
    relabelled: dict[int, int] = {}
    for exchange, watch in tasks:
        rows = np.flatnonzero(_wrong(positions, order, watch))
        if not len(rows):
            continue
        trial = order[rows]
        trial[:, exchange.first + exchange.second] = trial[:, exchange.second + exchange.first]
        # Equal by bonds, the branches may differ in stereocentres inside them: then they are no equal labels.
        inside = {*exchange.first, *exchange.second}
        within = [other for other in fixed if inside.issuperset(other.atoms[:1])]
        worse = _count(positions[rows], trial, within) > _count(positions[rows], order[rows], within)
        order[rows[~worse]] = trial[~worse]
        if not worse.all():
            relabelled[exchange.centre] = relabelled.get(exchange.centre, 0) + int((~worse).sum())
    return order, dict(sorted(relabelled.items()))


def _count(positions: AnyFloatArray, order: IntArray, watches: list[_Watch]) -> IntArray:
    total = np.zeros(len(positions), dtype=np.int64)
    for watch in watches:
        total += _wrong(positions, order, watch)
    return total


def _wrong(positions: AnyFloatArray, order: IntArray, watch: _Watch) -> BoolArray:
    """Frames (n,) in which what is watched is the other way round, labels taken in ``order`` (n, N)."""
    four = np.take_along_axis(positions, order[:, list(watch.atoms)][:, :, None], axis=1).astype(np.float64)
    if watch.torsion:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.cos(torsion_angles(four, (0, 1, 2, 3)) - watch.value) < 0.0, dtype=np.bool_)
    return np.asarray(signed_volumes(four, (0, 1, 2, 3)) * watch.value < 0.0, dtype=np.bool_)
