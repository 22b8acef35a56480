"""Shooting points: configurations between the two states, with the chance at which each was chosen."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.errors import InputError
from molgen.observables.boundary import NEITHER, A, B, Boundary
from molgen.shooting.lineages import independent_blocks
from molgen.weights import normalised

LEAST_BLOCKS = 20
"""Fewer independent blocks give no interval of a rate."""
LEAST_IN_REGION = 20
"""Fewer frames in a region are too few to shoot from."""


@dataclass(frozen=True, eq=False)
class ShootingPoints:
    """Configurations ``positions`` (P, N, D) in no state, row-aligned with what is known of each.

    ``selection`` (P,) is the expected number of times that a draw of the source became this point, relative to what its
    weight in the target would give: dividing by it makes sums over points averages over the target outside the states.
    It is not a number where points were picked by what was known of them.
    ``lineage`` (P,) numbers the pieces of dynamics (or draws) they come from, ``source`` (P,) the row among the usable
    frames, ``round`` (P,) the round of choosing. Those ``held_out`` (P,) are kept for judging, never fitted to.
    """

    positions: FloatArray
    selection: FloatArray
    lineage: IntArray
    source: IntArray
    round: IntArray
    held_out: BoolArray

    def __post_init__(self) -> None:
        n = len(self.positions)
        for name in ("selection", "lineage", "source", "round", "held_out"):
            if getattr(self, name).shape != (n,):
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, not ({n},)")

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, eq=False)
class BlockShares:
    """Weight of each independent block (L,) of the source in A, in B and outside both, 1 in all; the block of a point.

    Blocks are lineages, or stretches of time of them where they are few; ``point`` (P,) is that of each point chosen.
    """

    a: FloatArray
    b: FloatArray
    outside: FloatArray
    point: IntArray

    @classmethod
    def of(cls, label: IntArray, share: FloatArray, lineage: IntArray, chosen: IntArray) -> "BlockShares":
        """The sums over frames of states ``label``, weights ``share`` and ``lineage``, (n,) each."""
        block = independent_blocks(lineage, LEAST_BLOCKS)
        a, b, outside = (np.bincount(block, share * (label == state)).astype(np.float64) for state in (A, B, NEITHER))
        return cls(a, b, outside, block[chosen])


@dataclass(frozen=True)
class Choice:
    """The points chosen, and how the source's weight is divided: outside both states, in A, in B; by block too."""

    points: ShootingPoints
    outside_share: float
    share_a: float
    share_b: float
    population: BlockShares


def choose_points(
    boundary: Boundary,
    positions: FloatArray,
    count: int,
    generator: np.random.Generator,
    *,
    log_weight: FloatArray | None = None,
    lineage: IntArray | None = None,
    chance: Callable[[FloatArray, FloatArray], FloatArray] | None = None,
    region: BoolArray | None = None,
    round_number: int = 0,
) -> Choice:
    """``count`` of the frames ``positions`` (n, N, D) outside both states, in proportion to their weights.

    Without ``log_weight`` (n,) all frames weigh the same, and none is taken twice. With it they are drawn
    systematically with replacement, so that a heavy frame may be taken more than once. ``chance`` gives the chances
    (m,) of frames (m, N, D) with the weights (m,) instead; then, too, none is taken twice. With a ``region`` (n,) half
    of the points are drawn from the frames in it, and ``selection`` says how much more often that makes them.
    ``InputError`` if no frame lies outside, or fewer than ``count`` where each may be taken once.
    """
    label = boundary.assign(positions)
    outside = label == NEITHER
    share = normalised(np.zeros(len(positions)) if log_weight is None else log_weight)
    usable = np.flatnonzero(outside & (share > 0.0))
    if not len(usable):
        raise InputError(
            f"None of the {len(positions)} frames lies outside {boundary.a} and {boundary.b}.",
            "Give frames between the states, such as those of molgen sample --bias or molgen simulate --explore.",
        )
    selection = np.ones(count)
    if chance is not None:
        given = chance(positions[usable], share[usable])
        if np.count_nonzero(given) < count:
            raise InputError(
                f"Only {np.count_nonzero(given)} of {len(usable)} frames outside the states may be chosen.",
                "Ask for fewer points, or give more frames.",
            )
        chosen = np.sort(generator.choice(usable, size=count, replace=False, p=given / given.sum()))
        selection = np.full(count, np.nan)
    elif region is not None:
        chosen, selection = _half_in(region, usable, share, count, generator)
    elif log_weight is None:
        if len(usable) < count:
            raise InputError(
                f"Only {len(usable)} of {len(positions)} frames lie outside {boundary.a} and {boundary.b}.",
                f"Ask for at most {len(usable)} points, or give more frames.",
            )
        chosen = np.sort(generator.choice(usable, size=count, replace=False))
    else:
        chosen = usable[draw_systematically(share[usable], count, generator)]
    numbers = np.arange(len(positions)) if lineage is None else lineage
    points = ShootingPoints(
        np.asarray(positions[chosen], dtype=np.float64),
        selection,
        np.asarray(numbers[chosen], dtype=np.int64),
        chosen.astype(np.int64),
        np.full(len(chosen), round_number, dtype=np.int64),
        np.zeros(len(chosen), dtype=np.bool_),
    )
    population = BlockShares.of(label, share, np.asarray(numbers, dtype=np.int64), chosen)
    sums = {"outside_share": population.outside, "share_a": population.a, "share_b": population.b}
    return Choice(points, population=population, **{name: float(part.sum()) for name, part in sums.items()})


def draw_systematically(share: FloatArray, count: int, generator: np.random.Generator) -> IntArray:
    """``count`` rows, ascending; row i is drawn ``count`` · ``share`` [i] times on average, to within one time."""
    ticks = (generator.random() + np.arange(count)) / count
    edges = np.cumsum(share / share.sum())
    return np.minimum(np.searchsorted(edges, ticks, side="right"), len(share) - 1).astype(np.int64)


def _half_in(
    region: BoolArray, usable: IntArray, share: FloatArray, count: int, generator: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Half of ``count`` rows by weight from all of ``usable``, half from those in ``region``; ``selection`` of each."""
    there = usable[region[usable]]
    if len(there) < LEAST_IN_REGION or not share[there].sum() > 0.0:
        raise InputError(
            f"Only {len(there)} of {len(usable)} frames outside the states lie in the region.",
            "Make it larger, or give frames that go there, such as those of molgen sample --bias, reweighted.",
        )
    more = count // 2
    chosen = np.concatenate(
        [rows[draw_systematically(share[rows], n, generator)] for rows, n in ((usable, count - more), (there, more))]
    )
    chosen.sort()
    each = more / count * share[usable].sum() / share[there].sum()
    return chosen, (1.0 - more / count) + each * region[chosen]
