"""Shooting points: configurations between the two states, with the chance at which each was chosen."""

from dataclasses import dataclass

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.errors import InputError
from molgen.observables.boundary import NEITHER, Boundary
from molgen.weights import normalised


@dataclass(frozen=True, eq=False)
class ShootingPoints:
    """Configurations ``positions`` (P, N, D) in no state, row-aligned with what is known of each.

    ``selection`` (P,) is the expected number of times that a draw of the source became this point, relative to what its
    weight in the target would give: dividing by it makes sums over points averages over the target outside the states.
    ``lineage`` (P,) numbers the pieces of dynamics (or draws) they come from, ``source`` (P,) the row among the usable
    frames, ``round`` (P,) the round of choosing.
    """

    positions: FloatArray
    selection: FloatArray
    lineage: IntArray
    source: IntArray
    round: IntArray

    def __post_init__(self) -> None:
        n = len(self.positions)
        for name in ("selection", "lineage", "source", "round"):
            if getattr(self, name).shape != (n,):
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, not ({n},)")

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True)
class Choice:
    """The points chosen, and the share of the source's weight that lies outside both states."""

    points: ShootingPoints
    outside_share: float


def choose_points(
    boundary: Boundary,
    positions: FloatArray,
    count: int,
    generator: np.random.Generator,
    *,
    log_weight: FloatArray | None = None,
    lineage: IntArray | None = None,
    round_number: int = 0,
) -> Choice:
    """``count`` of the frames ``positions`` (n, N, D) outside both states, in proportion to their weights.

    Without ``log_weight`` (n,) all frames weigh the same, and none is taken twice. With it they are drawn
    systematically with replacement, so that a heavy frame may be taken more than once. ``InputError`` if no frame lies
    outside, or fewer than ``count`` where each may be taken once.
    """
    outside = boundary.assign(positions) == NEITHER
    share = normalised(np.zeros(len(positions)) if log_weight is None else log_weight)
    usable = np.flatnonzero(outside & (share > 0.0))
    if not len(usable):
        raise InputError(
            f"None of the {len(positions)} frames lies outside {boundary.a} and {boundary.b}.",
            "Give frames between the states, such as those of molgen sample --bias or molgen simulate --explore.",
        )
    if log_weight is None:
        if len(usable) < count:
            raise InputError(
                f"Only {len(usable)} of {len(positions)} frames lie outside {boundary.a} and {boundary.b}.",
                f"Ask for at most {len(usable)} points, or give more frames.",
            )
        chosen = np.sort(generator.choice(usable, size=count, replace=False))
    else:
        inside = share[usable] / share[usable].sum()
        ticks = (generator.random() + np.arange(count)) / count
        chosen = usable[np.minimum(np.searchsorted(np.cumsum(inside), ticks), len(usable) - 1)]
    numbers = np.arange(len(positions)) if lineage is None else lineage
    points = ShootingPoints(
        np.asarray(positions[chosen], dtype=np.float64),
        np.ones(len(chosen)),
        np.asarray(numbers[chosen], dtype=np.int64),
        chosen.astype(np.int64),
        np.full(len(chosen), round_number, dtype=np.int64),
    )
    return Choice(points, float(share[outside].sum()))
