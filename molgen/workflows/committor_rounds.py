"""The rounds of the adaptive loop: which configurations there are to choose from, the choice, and the plan of shots."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.committor.choosing import choice_share, even_share
from molgen.committor.model import Committor
from molgen.dynamics.passage import Trail
from molgen.energies.base import Energy
from molgen.errors import UsageError
from molgen.seeds import numpy_generator
from molgen.shooting.points import ShootingPoints, draw_systematically

LEAST_PAIRS = 50
"""Fewer pairs of shots make no round."""
TRANSITION_SHARE = 0.5
"""Share of the points that come from transition paths."""


@dataclass(frozen=True)
class Round:
    """``points`` with ``pairs`` pairs each to fit to, ``held`` points with ``held_pairs`` pairs each to judge by."""

    points: int
    pairs: int
    held: int
    held_pairs: int

    @property
    def all_pairs(self) -> int:
        """Pairs of shots in all."""
        return self.points * self.pairs + self.held * self.held_pairs

    @property
    def configuration(self) -> IntArray:
        """The point (n,) of every pair, those to fit to first."""
        fitted = np.repeat(np.arange(self.points), self.pairs)
        return np.concatenate([fitted, self.points + np.repeat(np.arange(self.held), self.held_pairs)])


def plan_rounds(shots: int, rounds: int, pairs: int, held_pairs: int, held_share: float) -> tuple[Round, ...]:
    """``rounds`` equal rounds of ``shots`` shots in all, or fewer where they would be small; rounding loses a few.

    ``UsageError`` where it is not enough for one.
    """
    total = shots // 2
    number = min(rounds, total // LEAST_PAIRS)
    if number < 1:
        raise UsageError(f"{shots} shots are too few.", f"Ask for at least {2 * LEAST_PAIRS}.")
    plan = []
    for index in range(number):
        here = (index + 1) * total // number - index * total // number
        held = max(1, round(held_share * here / held_pairs))
        plan.append(Round(max(1, (here - held * held_pairs) // pairs), pairs, held, held_pairs))
    return tuple(plan)


@dataclass(frozen=True, eq=False)
class Pool:
    """Configurations (n, N, D) outside the states to choose from, row-aligned.

    ``lineage`` (n,) is the excursion of dynamics or the point that they come from, ``held_out`` (n,) says which serve
    for judging with all that comes of them, ``transition`` (n,) which lie on a transition path: on the way of shots
    from a point that led to both states.
    """

    positions: FloatArray
    lineage: IntArray
    held_out: BoolArray
    transition: BoolArray

    @classmethod
    def begin(cls, positions: FloatArray, lineage: IntArray, *, held_share: float, seed: int) -> "Pool":
        """The pool before the first shot; ``held_share`` of the lineages is drawn for judging."""
        names = np.unique(lineage)
        held = min(max(1, round(held_share * len(names))), len(names) - 1)
        chosen = numpy_generator(seed, "held out").choice(names, size=held, replace=False)
        return cls(positions, lineage, np.isin(lineage, chosen), np.zeros(len(positions), dtype=np.bool_))

    def grown(self, trail: Trail, points: ShootingPoints, both: BoolArray) -> "Pool":
        """With the frames on the way of shots from ``points`` (P,); ``both`` (P,) led to A and B.

        They are held out if their point is, and of one lineage, a negative number, if of one point: their own shots
        know nothing of those from elsewhere, while all that ever came of one way may be half of the pool.
        """
        return Pool(
            np.concatenate([self.positions, trail.positions]),
            np.concatenate([self.lineage, -1 - trail.passage]),
            np.concatenate([self.held_out, points.held_out[trail.passage]]),
            np.concatenate([self.transition, both[trail.passage]]),
        )

    def below(self, energy: Energy, ceiling: float | None) -> BoolArray:
        """Which frames (n,) lie at most ``ceiling`` kT above the median of those on transition paths.

        Beyond, dynamics at the temperature does not go. All frames without a ceiling, and before there is such a path.
        """
        if ceiling is None or not self.transition.any():
            return np.ones(len(self.positions), dtype=np.bool_)
        potential = energy.reduced(self.positions, purpose="data")
        return np.asarray(potential <= np.median(potential[self.transition]) + ceiling)

    def choose(
        self, model: Committor | None, plan: Round, number: int, seed: int, usable: BoolArray | None = None
    ) -> ShootingPoints:
        """The points of round ``number``: to fit to where ``model`` teaches most, to judge by evenly along its q̂.

        Half of them come from transition paths, once there are any: these cross the region where the committor changes,
        however thin it is. Without a model all are drawn alike. ``selection`` is how often one is drawn relative to
        drawing alike. Only ``usable`` frames (n,) are, all unless given.
        """
        parts = []
        usable = np.ones(len(self.positions), dtype=np.bool_) if usable is None else usable
        for held_out, count in ((False, plan.points), (True, plan.held)):
            rows = np.flatnonzero(usable & (self.held_out == held_out))
            share = self._share(rows, model, held_out)
            on_path = self.transition[rows]
            if on_path.any():
                share *= 1.0 - TRANSITION_SHARE
                share[on_path] += TRANSITION_SHARE * self._share(rows[on_path], model, held_out)
            part = draw_systematically(share, count, numpy_generator(seed, "points", number, int(held_out)))
            parts.append((rows[part], share[part] * len(rows)))
        chosen = np.concatenate([rows for rows, _ in parts])
        return ShootingPoints(
            self.positions[chosen],
            np.concatenate([selection for _, selection in parts]),
            self.lineage[chosen],
            chosen,
            np.full(len(chosen), number, dtype=np.int64),
            np.repeat([False, True], [plan.points, plan.held]),
        )

    def _share(self, rows: IntArray, model: Committor | None, held_out: bool) -> FloatArray:
        """The chance of each of ``rows`` where they alone are drawn from."""
        if model is None:
            return np.full(len(rows), 1.0 / len(rows))
        positions = self.positions[rows]
        q = model.probability(positions)
        return even_share(q) if held_out else choice_share(q, model.disagreement(positions))


def spent(rounds: Sequence[Round], batch: int) -> tuple[int, int, int]:
    """Points, pairs and batches of ``batch`` pairs in ``rounds`` together."""
    return (
        sum(entry.points + entry.held for entry in rounds),
        sum(entry.all_pairs for entry in rounds),
        sum(math.ceil(entry.all_pairs / batch) for entry in rounds),
    )
