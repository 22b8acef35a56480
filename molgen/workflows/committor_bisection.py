"""Bisection of ways from one state to the other: where on each of them the committor changes.

A way leaves A and ends in B, so that somewhere on it the committor passes 1/2; where the barrier is steep this is a few
frames of hundreds, which points drawn at random would hardly meet.
"""

from dataclasses import dataclass, replace

import numpy as np

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.shooting.points import ShootingPoints
from molgen.shooting.shots import Counts
from molgen.workflows.committor_rounds import Round


@dataclass(frozen=True, eq=False)
class Way:
    """Frames (m, N, D) outside both states on the way from A to B, in that order, and the dynamics they come from."""

    positions: FloatArray
    lineage: int


@dataclass(frozen=True, eq=False)
class Bisection:
    """The ways' frames ``positions`` (n, N, D), one way after the other, and what is known of each way (w,).

    Its frames up to ``low`` went to A, those from ``high`` on to B (rows of ``positions``; before the first row of the
    way and after its last at the start). From a frame of the ways ``found`` shots went both ways.
    """

    positions: FloatArray
    lineage: IntArray
    held_out: BoolArray
    low: IntArray
    high: IntArray
    found: BoolArray

    @classmethod
    def begin(cls, ways: list[Way], held_out: IntArray) -> "Bisection":
        """Nothing is known yet; ``held_out`` are the lineages kept for judging."""
        length = np.array([len(way.positions) for way in ways], dtype=np.int64)
        end = np.cumsum(length)
        lineage = np.array([way.lineage for way in ways], dtype=np.int64)
        positions = np.concatenate([way.positions for way in ways])
        held = np.isin(lineage, held_out)
        return cls(positions, lineage, held, end - length - 1, end, np.zeros(len(ways), dtype=np.bool_))

    @property
    def under_way(self) -> IntArray:
        """The ways that have frames left to ask, those to fit to first."""
        left = np.flatnonzero(~self.found & (self.high - self.low > 1))
        return left[np.argsort(self.held_out[left], kind="stable")]

    @property
    def round(self) -> Round:
        """One pair of shots from the middle of each way under way."""
        held = int(self.held_out[self.under_way].sum())
        return Round(len(self.under_way) - held, 1, held, 1)

    def points(self, number: int) -> ShootingPoints:
        """The middles, the points of round ``number``; nothing was drawn, so that ``selection`` is not a number."""
        ways, middle = self.under_way, self._middle
        return ShootingPoints(
            self.positions[middle],
            np.full(len(ways), np.nan),
            self.lineage[ways],
            middle,
            np.full(len(ways), number, dtype=np.int64),
            self.held_out[ways],
        )

    def narrowed(self, counts: Counts) -> "Bisection":
        """What is known after the shots from the middles, which had the outcomes ``counts``.

        A way whose shots all failed is given up: it counts as found.
        """
        ways, middle = self.under_way, self._middle
        low, high, found = self.low.copy(), self.high.copy(), self.found.copy()
        to_a, to_b = (counts.a > 0) & (counts.b == 0), (counts.b > 0) & (counts.a == 0)
        low[ways[to_a]], high[ways[to_b]] = middle[to_a], middle[to_b]
        found[ways] = ~(to_a | to_b)
        return replace(self, low=low, high=high, found=found)

    @property
    def _middle(self) -> IntArray:
        ways = self.under_way
        return (self.low[ways] + self.high[ways]) // 2
