"""Shots: rows that say where each started, how it ended and after how many steps.

A *pair* of shots starts from one configuration with velocities v and −v, drawn afresh from Maxwell-Boltzmann. Both are
shots from the configuration, and together they are a trajectory through it: the leg with −v, turned round, leads to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.dynamics.passage import CRASHED, Keeping, PassageDynamics, PhasePoints, Trail
from molgen.observables.boundary import NEITHER, A, B
from molgen.seeds import child_seed, numpy_generator


@dataclass(frozen=True, eq=False)
class Shots:
    """One value a shot ``(n,)``, aligned.

    ``configuration`` is a row of the ledger's points, ``pair`` numbers the pairs, ``sign`` is +1 for v and −1 for −v;
    ``outcome`` is A, B, NEITHER (undecided so far) or CRASHED, after ``steps`` steps. ``open`` are the positions and
    velocities at which undecided shots stopped, in the order of their rows. ``looks`` counts those on the way at which
    a shot was in the region of the dynamics, if that has one.
    """

    configuration: IntArray
    pair: IntArray
    sign: IntArray
    outcome: IntArray
    steps: IntArray
    open: PhasePoints
    looks: IntArray | None = None

    def __post_init__(self) -> None:
        n = len(self.configuration)
        for item in fields(self):
            values = getattr(self, item.name)
            if item.name != "open" and values is not None and values.shape != (n,):
                raise ValueError(f"{item.name} has shape {values.shape}, not ({n},)")
        if len(self.open) != int(np.sum(self.undecided)):
            raise ValueError(f"{len(self.open)} open shots are kept of {int(np.sum(self.undecided))}")

    def __len__(self) -> int:
        return len(self.configuration)

    @property
    def undecided(self) -> np.ndarray:
        """Shots (n,) that have reached neither state yet."""
        return np.asarray(self.outcome == NEITHER)

    def of_configurations(self, used: BoolArray) -> "Shots":
        """The shots from the configurations ``used`` (P,), which are numbered anew in their order."""
        rows = used[self.configuration]
        number = np.cumsum(used) - 1
        kept = self.open.rows(np.flatnonzero(rows[self.undecided]))
        pair, sign, outcome, steps = (part[rows] for part in (self.pair, self.sign, self.outcome, self.steps))
        looks = None if self.looks is None else self.looks[rows]
        return Shots(number[self.configuration[rows]], pair, sign, outcome, steps, kept, looks)

    @property
    def total_steps(self) -> int:
        """Steps of dynamics in all."""
        return int(self.steps.sum())


MAX_UNDECIDED = 0.02
"""With more of the shots undecided q is not known: the quick shots alone are no fair sample."""


@dataclass(frozen=True, eq=False)
class Counts:
    """What became of the shots from each of P configurations, (P,) each: reached A, reached B, undecided, crashed."""

    a: IntArray
    b: IntArray
    undecided: IntArray
    crashed: IntArray

    @property
    def decided(self) -> IntArray:
        """Shots (P,) that reached a state."""
        return self.a + self.b

    @property
    def undecided_share(self) -> float:
        """U/(K + U) of all shots that have not failed: so far apart are the bounds S/(K + U) and (S + U)/(K + U) of q,
        of K decided shots that reached B S times and U undecided ones."""
        undecided = int(self.undecided.sum())
        return undecided / max(1, undecided + int(self.decided.sum()))


def shoot_pairs(
    dynamics: PassageDynamics, positions: FloatArray, configuration: IntArray, pair: IntArray, limit: int, seed: int
) -> Shots:
    """A pair of shots from each of ``positions`` (W, N, D), of at most ``limit`` steps: 2 W rows, v then −v.

    ``configuration`` and ``pair`` (W,) are written into the rows. The result depends on the arguments alone.
    """
    return shoot_and_keep(dynamics, positions, configuration, pair, limit, seed, None)[0]


def shoot_and_keep(
    dynamics: PassageDynamics,
    positions: FloatArray,
    configuration: IntArray,
    pair: IntArray,
    limit: int,
    seed: int,
    keep: Keeping | None,
) -> tuple[Shots, Trail | None]:
    """:func:`shoot_pairs`, the same shots, with the frames on their way that ``keep`` wants.

    ``passage`` of the trail is the configuration that the frame was reached from.
    """
    velocities = dynamics.velocities(positions, numpy_generator(seed, "velocities"))
    start = PhasePoints(np.repeat(positions, 2, axis=0), np.repeat(velocities, 2, axis=0))
    start.velocities[1::2] *= -1.0
    found = dynamics.run(start, limit, child_seed(seed, "passages"), keep)
    sign = np.tile(np.array([1, -1], dtype=np.int64), len(positions))
    open_rows = np.flatnonzero(found.label == NEITHER)
    both = np.repeat(configuration, 2)
    kept = found.end.rows(open_rows)
    shots = Shots(both, np.repeat(pair, 2), sign, found.label, found.steps, kept, found.looks)
    trail = found.trail
    return shots, None if trail is None else Trail(both[trail.passage], trail.positions)


def go_on(dynamics: PassageDynamics, shots: Shots, limit: int, seed: int) -> Shots:
    """``shots`` with the undecided ones taken up to ``limit`` steps in all; the others are as they were.

    Those that have ``limit`` steps already stay.
    """
    rows = np.flatnonzero(shots.undecided)
    left = limit - shots.steps[rows]
    outcome, steps = shots.outcome.copy(), shots.steps.copy()
    looks = None if shots.looks is None else shots.looks.copy()
    positions, velocities = shots.open.positions.copy(), shots.open.velocities.copy()
    for number, more in enumerate(np.unique(left[left > 0])):
        chosen = np.flatnonzero(left == more)
        found = dynamics.run(shots.open.rows(chosen), int(more), child_seed(seed, "continued", number))
        outcome[rows[chosen]] = found.label
        steps[rows[chosen]] += found.steps
        if looks is not None and found.looks is not None:
            looks[rows[chosen]] += found.looks
        positions[chosen], velocities[chosen] = found.end.positions, found.end.velocities
    still = np.flatnonzero(outcome[rows] == NEITHER)
    kept = PhasePoints(positions, velocities).rows(still)
    return Shots(shots.configuration, shots.pair, shots.sign, outcome, steps, kept, looks)


def count(shots: Shots, configurations: int) -> Counts:
    """Shots from each of ``configurations`` configurations by what became of them."""
    tallies = [
        np.bincount(shots.configuration[shots.outcome == outcome], minlength=configurations).astype(np.int64)
        for outcome in (A, B, NEITHER, CRASHED)
    ]
    return Counts(*tallies)


def joined(parts: Sequence[Shots]) -> Shots:
    """All shots of ``parts`` in one table."""
    columns: dict[str, Any] = {
        item.name: np.concatenate([getattr(part, item.name) for part in parts])
        for item in fields(Shots)
        if item.name != "open" and all(getattr(part, item.name) is not None for part in parts)
    }
    kept = PhasePoints(
        np.concatenate([part.open.positions for part in parts]),
        np.concatenate([part.open.velocities for part in parts]),
    )
    return Shots(**columns, open=kept)
