"""Basins of one variable: where the smoothed histogram of frames has minima deep enough to be barriers."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from molgen.arrays import BoolArray, FloatArray, IntArray

SMOOTHING_DEG = 6.0
"""Standard deviation of the kernel on a circle."""
SMOOTHING_SHARE = 1.0 / 40.0
"""Standard deviation of the kernel on a line, as a part of the range of the frames."""
_LINE_BINS = 200
_REACH = 4.0
"""Kernels are cut off at this many standard deviations."""
_PLATEAU_FRAMES = 0.5
"""A minimum is as wide as the density stays within this many frames of it."""


@dataclass(frozen=True)
class Grid:
    """Bins of width ``step`` from ``start``; ``closed`` if the last is a neighbour of the first.

    ``smoothing`` is the kernel's standard deviation in bins. On a circle (degrees) values are unrolled from ``start``.
    """

    start: float
    step: float
    bins: int
    smoothing: float
    circle: bool
    closed: bool

    @classmethod
    def over(cls, values: FloatArray, *, circle: bool, bound: tuple[float, float] | None) -> "Grid | None":
        """The grid for ``values`` (n,): the circle or the arc ``bound`` of it, or a line with bounds of few digits.

        None where the values are all the same.
        """
        if circle:
            low, high = (-180.0, 180.0) if bound is None else bound
            low, high = max(low, -180.0), min(high, 180.0)
            width = (high - low) % 360.0 or 360.0
            return cls(low, 1.0, round(width), SMOOTHING_DEG, True, bound is None)
        low, high = (float(end) for end in np.quantile(values, [0.001, 0.999]))
        if high <= low:
            return None
        step = 10.0 ** math.floor(math.log10((high - low) / _LINE_BINS * 2.0))
        first, last = math.floor(values.min() / step), math.floor(values.max() / step)
        return cls(first * step, step, last - first + 1, (high - low) * SMOOTHING_SHARE / step, False, False)

    def bin_of(self, values: FloatArray) -> IntArray:
        """The bin (n,) of each value."""
        offset = np.mod(values - self.start, 360.0) if self.circle else values - self.start
        return np.clip(np.floor(offset / self.step), 0, self.bins - 1).astype(np.int64)

    def edge(self, index: int) -> float:
        """The lower end of bin ``index``, on a circle in [-180, 180), without digits beyond those of the step."""
        value = self.start + index * self.step
        if self.circle:
            return (value + 180.0) % 360.0 - 180.0
        return round(value, max(0, -math.floor(math.log10(self.step) + 0.5)))

    def smoothed(self, bins: IntArray, weight: FloatArray) -> FloatArray:
        """Density (bins,), as the number of frames in a window of the kernel's width √(2π)·σ."""
        counts = np.bincount(bins, weights=weight, minlength=self.bins).astype(np.float64)
        reach = min(math.ceil(_REACH * self.smoothing), self.bins)
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / self.smoothing) ** 2)
        padded = np.pad(counts, reach, mode="wrap" if self.closed else "constant")
        return np.asarray(np.convolve(padded, kernel, mode="valid"), dtype=np.float64)


@dataclass(frozen=True)
class Basins:
    """Basins between ``cuts`` (those of a circle across its end from the last to the first).

    ``isolation`` is the barrier in kT around the basin that is hardest to leave.
    """

    cuts: tuple[float, ...]
    isolation: float


def part(
    grid: Grid,
    values: FloatArray,
    weight: FloatArray,
    enough: Callable[[BoolArray], bool],
    *,
    least: float,
    most: int,
) -> Basins | None:
    """At most ``most`` basins of ``values`` (n,) whose barriers are at least ``least`` kT; None if there is only one.

    All minima are cuts at first; then the lowest barrier goes until every one is high enough, and basins whose frames
    are not ``enough`` (a function of the mask (n,) of those inside) join the neighbour behind their lower barrier.
    """
    bins = grid.bin_of(values)
    density = grid.smoothed(bins, weight)
    cuts = _minima(density, grid.closed)
    fewest = 2 if grid.closed else 1
    while len(cuts) >= fewest:
        barriers = _barriers(density, cuts, grid.closed)
        lowest = int(np.argmin(barriers))
        basins = len(cuts) if grid.closed else len(cuts) + 1
        if barriers[lowest] >= least and basins <= most:
            lonely = _lonely(bins, cuts, barriers, enough, grid.closed)
            if lonely is None:
                centred = [_centre(density, cut, grid.closed) for cut in cuts]
                return Basins(_ordered(grid, centred), _isolation(barriers, grid.closed))
            lowest = lonely
        del cuts[lowest]
    return None


def _minima(density: FloatArray, closed: bool) -> list[int]:
    """Edges in the middle of the local minima, ascending; those at the ends of a line are none."""
    n = len(density)
    change = np.sign(np.where(np.abs(step := np.diff(density, append=density[:1])) > 1e-9, step, 0.0))
    if not closed:
        change[-1] = 0.0
    moving = np.flatnonzero(change)
    if len(moving) == 0:
        return []
    found = []
    for position, following in zip(moving, [*moving[1:], moving[0] + n], strict=True):
        # The density falls after bin ``position`` and rises after bin ``following``: the bins between are a minimum.
        if change[position] < 0 < change[following % n] and (closed or following < n):
            found.append(int((position + 1 + following + 1) // 2) % n)
    return sorted(set(found))


def _barriers(density: FloatArray, cuts: list[int], closed: bool) -> list[float]:
    """Height in kT of the barrier at each cut, seen from the lower of the two peaks beside it."""
    peaks = [float(part.max()) for part in _parts(density, cuts, closed)]
    heights = []
    for index, cut in enumerate(cuts):
        left, right = (peaks[index - 1], peaks[index]) if closed else (peaks[index], peaks[index + 1])
        bottom = min(float(density[cut - 1]), float(density[cut]))
        heights.append(math.log(max(min(left, right), 1e-300) / (bottom + 1.0)))
    return heights


def _parts(array: FloatArray, cuts: list[int], closed: bool) -> list[FloatArray]:
    """``array`` between the cuts; on a circle part k runs from cut k on."""
    if closed:
        return np.split(np.roll(array, -cuts[0]), np.array(cuts[1:]) - cuts[0])
    return np.split(array, cuts)


def _lonely(
    bins: IntArray, cuts: list[int], barriers: list[float], enough: Callable[[BoolArray], bool], closed: bool
) -> int | None:
    """The cut to take away for the smallest basin without enough frames; None if all have enough."""
    member = np.searchsorted(np.array(cuts), bins, side="right")
    if closed:
        member = (member - 1) % len(cuts)
    basins = len(cuts) if closed else len(cuts) + 1
    sizes = np.bincount(member, minlength=basins)
    for basin in np.argsort(sizes, kind="stable"):
        if not enough(np.asarray(member == basin)):
            return min(_beside(int(basin), len(cuts), closed), key=lambda cut: barriers[cut])
    return None


def _beside(basin: int, cuts: int, closed: bool) -> list[int]:
    """Indices of the cuts that bound a basin."""
    if closed:
        return [basin, (basin + 1) % cuts]
    return [cut for cut in (basin - 1, basin) if 0 <= cut < cuts]


def _isolation(barriers: list[float], closed: bool) -> float:
    count = len(barriers)
    basins = count if closed else count + 1
    return max(min(barriers[cut] for cut in _beside(basin, count, closed)) for basin in range(basins))


def _centre(density: FloatArray, cut: int, closed: bool) -> int:
    """The middle of the bins around ``cut`` where the density is as low as there, within half a frame."""
    n = len(density)
    limit = min(float(density[cut - 1]), float(density[cut % n])) + _PLATEAU_FRAMES
    first, last = cut, cut
    while (closed or first > 1) and cut - first < n // 2 and density[(first - 1) % n] <= limit:
        first -= 1
    while (closed or last < n - 1) and last - cut < n // 2 and density[last % n] <= limit:
        last += 1
    return (first + last) // 2


def _ordered(grid: Grid, cuts: list[int]) -> tuple[float, ...]:
    """Positions of the cuts, ascending from the start of the grid (on a whole circle from -180 degrees)."""
    if not grid.closed:
        return tuple(grid.edge(cut) for cut in cuts)
    return tuple(sorted(grid.edge(cut % grid.bins) for cut in cuts))
