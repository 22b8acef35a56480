"""Prochiral labels: which of two equal branches an atom's name stands for is a convention, not chirality.

Programs number the two hydrogens of a CH2, the three of a CH3 or the methyls of an isopropyl group as they like. Where
a frame has the other handedness than the system's structure at an atom with four neighbours, and two of these carry the
same branch (by elements and bonds), the labels of the two branches are exchanged, with all that is in them. At a
stereocentre all branches differ: nothing is exchanged there, and a mirrored molecule stays one.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from molgen.arrays import BoolArray, IntArray
from molgen.coordinates.branches import equal_branches
from molgen.coordinates.domain import domain_of
from molgen.coordinates.geometry import signed_volumes
from molgen.systems.system import MolecularSystem, System
from molgen.systems.topology import MolecularTopology
from molgen.trajectories.frames import AnyFloatArray

_Centre = tuple[tuple[int, int, int, int], float]


@dataclass(frozen=True)
class Exchange:
    """Two equal branches at ``centre``: to exchange ``first`` and ``second``, atom by atom, changes no structure."""

    centre: int
    first: tuple[int, ...]
    second: tuple[int, ...]


def match_labels(positions: AnyFloatArray, system: System) -> tuple[AnyFloatArray, dict[int, int]]:
    """Frames (n, N, D) with the labels of equal branches as in the system's structure, and what was relabelled.

    The counts are frames by centre (index of the atom). The argument is not changed; where nothing has to be exchanged
    it is returned itself. Frames that are not finite stay as they are.
    """
    domain = domain_of(system)
    watched = {centre[0]: (centre, sign) for centre, sign in zip(domain.centres, domain.signs, strict=True)}
    if not isinstance(system, MolecularSystem) or not watched:
        return positions, {}
    exchanges = [exchange for exchange in exchanges_of(system.topology) if exchange.centre in watched]
    everyone = np.arange(positions.shape[1])
    suspects = np.zeros(len(positions), dtype=np.bool_)
    for atom in {exchange.centre for exchange in exchanges}:
        suspects |= _wrong(positions, np.broadcast_to(everyone, (len(positions), len(everyone))), watched[atom])
    if not suspects.any():
        return positions, {}
    order, relabelled = _matched(positions[suspects], exchanges, watched)
    matched = positions.copy()
    matched[suspects] = np.take_along_axis(positions[suspects], order[:, :, None], axis=1)
    return matched, relabelled


@lru_cache(maxsize=16)
def exchanges_of(topology: MolecularTopology) -> tuple[Exchange, ...]:
    """All exchanges of equal branches at atoms with four neighbours, in the order in which they are to be tried.

    Centres with large branches come first, since an exchange there may upset centres inside its branches; at one
    centre small branches come first, as the smallest change that does.
    """
    found: dict[int, list[Exchange]] = {}
    for centre, around in enumerate(topology.neighbours()):
        if len(around) != 4:
            continue
        pairs = [(a, b) for k, a in enumerate(around) for b in around[k + 1 :]]
        matches = [equal_branches(topology, centre, a, b) for a, b in pairs]
        at_centre = [Exchange(centre, *match) for match in matches if match is not None]
        if at_centre:
            found[centre] = sorted(at_centre, key=lambda exchange: len(exchange.first))
    centres = sorted(found, key=lambda centre: (-len(found[centre][0].first), centre))
    return tuple(exchange for centre in centres for exchange in found[centre])


def _matched(
    positions: AnyFloatArray, exchanges: list[Exchange], watched: dict[int, _Centre]
) -> tuple[IntArray, dict[int, int]]:
    """Which atom each label (n, N) is to be taken from, and the frames that were relabelled at each centre."""
    movable = {exchange.centre for exchange in exchanges}
    order = np.tile(np.arange(positions.shape[1], dtype=np.int64), (len(positions), 1))
    relabelled: dict[int, int] = {}
    for exchange in exchanges:
        rows = np.flatnonzero(_wrong(positions, order, watched[exchange.centre]))
        if not len(rows):
            continue
        trial = order[rows]
        trial[:, exchange.first + exchange.second] = trial[:, exchange.second + exchange.first]
        # Equal by bonds, the branches may differ in stereocentres inside them: then they are no equal labels.
        fixed = [watched[a] for a in exchange.first + exchange.second if a in watched and a not in movable]
        worse = _count(positions[rows], trial, fixed) > _count(positions[rows], order[rows], fixed)
        order[rows[~worse]] = trial[~worse]
        if not worse.all():
            relabelled[exchange.centre] = relabelled.get(exchange.centre, 0) + int((~worse).sum())
    return order, dict(sorted(relabelled.items()))


def _count(positions: AnyFloatArray, order: IntArray, centres: list[_Centre]) -> IntArray:
    total = np.zeros(len(positions), dtype=np.int64)
    for centre in centres:
        total += _wrong(positions, order, centre)
    return total


def _wrong(positions: AnyFloatArray, order: IntArray, watched: _Centre) -> BoolArray:
    """Frames (n,) whose handedness at a centre is opposite to the sign wanted, labels taken in ``order`` (n, N)."""
    atoms, sign = watched
    four = np.take_along_axis(positions, order[:, list(atoms)][:, :, None], axis=1).astype(np.float64)
    return np.asarray(signed_volumes(four, (0, 1, 2, 3)) * sign < 0.0, dtype=np.bool_)
