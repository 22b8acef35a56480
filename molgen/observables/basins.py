"""States found from frames: basins of the collective variables, separated by real barriers of the frames' density.

A decision tree whose leaves are the states. Along one variable the density of a node's frames is a histogram smoothed
by a Gaussian; its basins are parted at minima, and a barrier counts where

    ln[ lower peak / (minimum + one frame) ] >= ln 5,

both as numbers of frames in a window of the kernel's width, so that a gap between few frames is no barrier. A basin
needs ``min_share`` of the frames, ``MIN_FRAMES`` of them and ``MIN_LINEAGES`` independent pieces of dynamics. The split
with the highest barrier is made first, backbone torsions before others whose barrier is not ``BACKBONE_LEAD_KT``
higher. Where the frames are no equilibrium, a barrier says that they stayed apart, which is what a state has to be.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.coordinates.domain import domain_of, turning_bonds
from molgen.coordinates.symmetry import find_rotors
from molgen.observables.barriers import Basins, Grid, part
from molgen.observables.base import CollectiveVariable
from molgen.observables.table import build_cvs
from molgen.systems.definition import StateSection
from molgen.systems.system import MolecularSystem, System

MAX_STATES = 8
MIN_SHARE = 0.005
"""Share of the frames below which a basin is part of its neighbour."""
MIN_FRAMES = 50
MIN_LINEAGES = 5
"""Independent pieces of dynamics that must visit a basin (all of them, where there are fewer): below five the guard
could not tell how far the frames of a state are to be trusted."""
MIN_RATIO = 5.0
"""How many times less dense than the lower of two peaks the minimum between them must be."""
BACKBONE_LEAD_KT = 1.0
"""A backbone torsion is taken before any other torsion whose barrier is not this much higher."""
_BACKBONE = ("phi", "psi", "omega")


@dataclass(frozen=True)
class Interval:
    """Values from ``low`` (included) to ``high``; ``low > high`` means those of a circle across its end."""

    low: float
    high: float

    def where(self, name: str, unit: str) -> str:
        """The condition in the language of ``where``; empty for an interval without an end."""
        low, high = (f"{end:g}{unit}" for end in (self.low, self.high))
        if self.low > self.high:
            return f"not ({high} <= {name} < {low})"
        if math.isinf(self.low) and math.isinf(self.high):
            return ""
        if math.isinf(self.low):
            return f"{name} < {high}"
        return f"{name} >= {low}" if math.isinf(self.high) else f"{low} <= {name} < {high}"


@dataclass(frozen=True)
class Leaf:
    """The frames ``row`` (m,) of a node, and the interval of each variable that a split has bounded."""

    row: IntArray
    bounds: Mapping[str, Interval]

    def where(self, units: Mapping[str, str]) -> str:
        """The node's condition, its variables in the order of ``units``."""
        parts = [self.bounds[name].where(name, unit) for name, unit in units.items() if name in self.bounds]
        return " and ".join(text for text in parts if text)


@dataclass(frozen=True)
class _Split:
    """A possible split of the node ``leaf`` along the variable ``name``."""

    leaf: int
    name: str
    basins: Basins
    score: float


@dataclass(frozen=True)
class _Frames:
    """Values (n,) of each usable variable (degrees where periodic), weights and lineages of all frames."""

    values: Mapping[str, FloatArray]
    periodic: Mapping[str, bool]
    weight: FloatArray
    lineage: IntArray
    min_share: float

    def enough(self, row: IntArray) -> bool:
        """Whether frames ``row`` are enough for a basin."""
        if len(row) < max(MIN_FRAMES, self.min_share * len(self.lineage)):
            return False
        available = len(np.unique(self.lineage))
        return len(np.unique(self.lineage[row])) >= min(MIN_LINEAGES, available)


def find_states(
    values: Mapping[str, FloatArray],
    cvs: Mapping[str, CollectiveVariable],
    *,
    lineage: IntArray | None = None,
    weight: FloatArray | None = None,
    max_states: int = MAX_STATES,
    min_share: float = MIN_SHARE,
) -> tuple[StateSection, ...]:
    """States s1, s2 … in order of their share among frames, as conditions that part all of space.

    ``values`` (n,) in rad (or reduced units) of every collective variable; only torsions and, for analytic systems,
    positions are used. ``lineage`` (n,) numbers independent pieces of dynamics (each frame its own if None);
    ``weight`` (n,) weighs the density (scaled to Kish's number of frames), never the number of frames a basin needs.
    Bounds are whole degrees. Nothing is random. Empty where no barrier is found: a single state says nothing.
    """
    leaves = find_basins(values, cvs, lineage=lineage, weight=weight, max_states=max_states, min_share=min_share)
    if len(leaves) < 2:
        return ()
    units = {name: "deg" if cv.periodic else "" for name, cv in cvs.items()}
    return tuple(StateSection(name=f"s{k + 1}", where=leaf.where(units)) for k, leaf in enumerate(leaves))


def parting_cvs(system: System) -> dict[str, CollectiveVariable]:
    """The variables of ``system`` by which its frames may be parted: no torsion that exchanges equivalent branches.

    Turning a CH3, a carboxylate or a phenyl ring leads from one labelling of the same configuration to another.
    """
    chosen = dict(build_cvs(system))
    if isinstance(system, MolecularSystem):
        bonds = turning_bonds(system)
        rotors = find_rotors(system.topology, system.positions, domain_of(system), bonds)
        symmetric = {frozenset((rotor.base, rotor.axis)) for rotor in rotors}
        for section in system.definition.cv:
            if section.torsion is not None and frozenset(section.torsion[1:3]) in symmetric:
                del chosen[section.name]
    return chosen


def find_basins(
    values: Mapping[str, FloatArray],
    cvs: Mapping[str, CollectiveVariable],
    *,
    lineage: IntArray | None = None,
    weight: FloatArray | None = None,
    max_states: int = MAX_STATES,
    min_share: float = MIN_SHARE,
) -> tuple[Leaf, ...]:
    """The leaves behind :func:`find_states`, the one with most frames first; a single one where nothing parts them."""
    frames = _usable(values, cvs, lineage, weight, min_share)
    leaves = [Leaf(np.arange(len(frames.lineage)), {})]
    splits: dict[int, _Split | None] = {}
    while len(leaves) < max_states:
        most = max_states - len(leaves) + 1
        for index, leaf in enumerate(leaves):
            if index not in splits:
                splits[index] = _best_split(index, leaf, frames, most)
        possible = [split for split in splits.values() if split is not None]
        if not possible:
            break
        best = max(possible, key=lambda split: (split.score, -split.leaf))
        fitting = _fitted(best, leaves[best.leaf], frames, most)
        splits[best.leaf] = None
        if fitting is None:
            continue
        children = _children(leaves[best.leaf], best.name, fitting, frames)
        del splits[best.leaf]
        leaves[best.leaf] = children[0]
        leaves.extend(children[1:])
    order = sorted(range(len(leaves)), key=lambda k: (-len(leaves[k].row), k))
    return tuple(leaves[k] for k in order)


def _usable(
    values: Mapping[str, FloatArray],
    cvs: Mapping[str, CollectiveVariable],
    lineage: IntArray | None,
    weight: FloatArray | None,
    min_share: float,
) -> _Frames:
    """Finite frames and the variables that can be parted: torsions and positions."""
    chosen = [name for name, cv in cvs.items() if cv.periodic or not cv.unit]
    n = len(next(iter(values.values()))) if values else 0
    finite = np.ones(n, dtype=np.bool_)
    for name in chosen:
        finite &= np.isfinite(values[name])
    lineage = np.arange(n) if lineage is None else lineage
    weight = np.ones(n) if weight is None else _effective(weight)
    scaled = {name: np.rad2deg(values[name]) if cvs[name].periodic else values[name] for name in chosen}
    return _Frames(
        {name: scaled[name][finite] for name in chosen},
        {name: cvs[name].periodic for name in chosen},
        weight[finite],
        lineage[finite],
        min_share,
    )


def _effective(weight: FloatArray) -> FloatArray:
    """Weights (n,) scaled to sum to Kish's number of frames: a heavy one is no crowd."""
    squares = float(np.sum(weight**2))
    return np.asarray(weight * (np.sum(weight) / squares if squares > 0.0 else 0.0), dtype=np.float64)


def _best_split(index: int, leaf: Leaf, frames: _Frames, most: int) -> _Split | None:
    found = []
    for name in frames.values:
        basins = _basins(leaf, name, frames, most)
        if basins is not None:
            lead = BACKBONE_LEAD_KT if name.startswith(_BACKBONE) else 0.0
            found.append(_Split(index, name, basins, basins.isolation + lead))
    return max(found, key=lambda split: split.score) if found else None


def _fitted(split: _Split, leaf: Leaf, frames: _Frames, most: int) -> Basins | None:
    """The basins of ``split``, found again if there is no longer room for all of them."""
    return split.basins if len(split.basins.cuts) < most else _basins(leaf, split.name, frames, most)


def _basins(leaf: Leaf, name: str, frames: _Frames, most: int) -> Basins | None:
    values = frames.values[name][leaf.row]
    bound = leaf.bounds.get(name)
    grid = Grid.over(values, circle=frames.periodic[name], bound=None if bound is None else (bound.low, bound.high))
    if grid is None:
        return None

    def enough(inside: BoolArray) -> bool:
        return frames.enough(leaf.row[inside])

    return part(grid, values, frames.weight[leaf.row], enough, least=math.log(MIN_RATIO), most=most)


def _children(leaf: Leaf, name: str, basins: Basins, frames: _Frames) -> list[Leaf]:
    bound = leaf.bounds.get(name)
    intervals = _intervals(basins, bound, circle=frames.periodic[name])
    inside = [_holds(interval, frames.values[name][leaf.row]) for interval in intervals]
    return [
        replace(leaf, row=leaf.row[rows], bounds={**leaf.bounds, name: interval})
        for interval, rows in zip(intervals, inside, strict=True)
    ]


def _intervals(basins: Basins, bound: Interval | None, *, circle: bool) -> list[Interval]:
    """Intervals between the cuts, which ascend from the start of ``bound`` and do not leave it."""
    cuts: Sequence[float] = basins.cuts
    if circle and bound is None:
        ends = [*cuts, cuts[0]]
    else:
        outer = bound or Interval(-math.inf, math.inf)
        ends = [outer.low, *cuts, outer.high]
    pairs = list(itertools.pairwise(ends))
    if not circle:
        return [Interval(low, high) for low, high in pairs]
    return [_on_circle(low, high) for low, high in pairs]


def _on_circle(low: float, high: float) -> Interval:
    """From ``low`` to ``high`` on the circle, where -180 and 180 degrees are no bounds but its end."""
    if low >= 180.0 or low <= -180.0:
        low = -math.inf
    if high >= 180.0 or high <= -180.0:
        high = math.inf
    return Interval(low, high)


def _holds(interval: Interval, values: FloatArray) -> BoolArray:
    if interval.low > interval.high:
        return np.asarray((values >= interval.low) | (values < interval.high))
    return np.asarray((values >= interval.low) & (values < interval.high))
