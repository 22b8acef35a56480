"""Direct passages: trajectories that go to and fro between two states, and how long each way takes.

A passage begins where a trajectory enters a state coming from the other one, and ends where it first enters that other
one: its mean time is the mean first passage time from the stationary entrance distribution, whose inverse is the rate,

    k_AB = 1/E[T_AB] = ν/⟨1 − q⟩_π.

The first passage of a trajectory that was begun anywhere else is not counted.
"""

from dataclasses import dataclass, replace

import numpy as np

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.dynamics.passage import CRASHED, PassageDynamics, PhasePoints
from molgen.errors import PartialError
from molgen.observables.boundary import NEITHER, A, B, Boundary
from molgen.observables.regions import OneState
from molgen.seeds import child_seed
from molgen.shooting.stages import Content


@dataclass(frozen=True, eq=False)
class Travellers:
    """W trajectories under way, row-aligned.

    ``origin`` (W,) is the state that each was in last (NEITHER before it was in any), ``elapsed`` (W,) the steps since
    it entered it, ``left`` (W,) how many passages it still has to make; ``counts`` (W,) says whether the present one is
    a passage from an entrance.
    """

    number: IntArray
    origin: IntArray
    elapsed: IntArray
    left: IntArray
    counts: BoolArray
    phase: PhasePoints

    @classmethod
    def entering(cls, number: IntArray, state: IntArray, phase: PhasePoints, passages: int) -> "Travellers":
        """Trajectories that enter ``state`` (W,) at ``phase`` and are to make ``passages`` passages each."""
        n = len(number)
        return cls(number, state, np.zeros(n, np.int64), np.full(n, passages), np.ones(n, np.bool_), phase)

    @classmethod
    def anywhere(cls, number: IntArray, label: IntArray, phase: PhasePoints, passages: int) -> "Travellers":
        """Trajectories from ``phase`` with the states ``label`` (W,): one passage more, that does not count."""
        n = len(number)
        return cls(number, label, np.zeros(n, np.int64), np.full(n, passages + 1), np.zeros(n, np.bool_), phase)

    @property
    def finished(self) -> bool:
        """Whether all passages have been made."""
        return not self.left.any()

    def to_content(self) -> dict[str, np.ndarray]:
        """Everything as arrays."""
        columns = {name: getattr(self, name) for name in ("number", "origin", "elapsed", "left", "counts")}
        return {**columns, "positions": self.phase.positions, "velocities": self.phase.velocities}

    @classmethod
    def of_content(cls, content: Content) -> "Travellers":
        """What :meth:`to_content` gave."""
        columns = {name: content[name] for name in ("number", "origin", "elapsed", "left", "counts")}
        return cls(**columns, phase=PhasePoints(content["positions"], content["velocities"]))


@dataclass(frozen=True, eq=False)
class DirectPassages:
    """Passages that were made (n,): the ``number`` of the trajectory, the state ``origin`` it left, its ``steps``."""

    number: IntArray
    origin: IntArray
    steps: IntArray

    def __len__(self) -> int:
        return len(self.number)


def travel(
    dynamics: PassageDynamics, boundary: Boundary, travellers: Travellers, limit: int, seed: int
) -> tuple[Travellers, DirectPassages, int]:
    """Every trajectory that is not finished to the other state, or by ``limit`` steps; the passages made, the steps.

    ``PartialError`` if one leaves the finite numbers.
    """
    left, origin, elapsed = travellers.left.copy(), travellers.origin.copy(), travellers.elapsed.copy()
    counts = travellers.counts.copy()
    positions, velocities = travellers.phase.positions.copy(), travellers.phase.velocities.copy()
    passages: list[tuple[int, int, int]] = []
    spent = 0
    for state in (NEITHER, A, B):
        rows = np.flatnonzero((travellers.origin == state) & (travellers.left > 0))
        if not len(rows):
            continue
        ends = boundary if state == NEITHER else OneState(boundary, other(state))
        start = travellers.phase.rows(rows)
        found = dynamics.ending_at(ends).run(start, limit, child_seed(seed, "travel", int(state) + 1))
        check_finite(found.label)
        positions[rows], velocities[rows] = found.end.positions, found.end.velocities
        elapsed[rows] += found.steps
        spent += int(found.steps.sum())
        for row, label in zip(rows, found.label, strict=True):
            if label == NEITHER:
                continue
            if state != NEITHER:
                left[row] -= 1
                if counts[row]:
                    passages.append((int(travellers.number[row]), state, int(elapsed[row])))
                counts[row] = True
            origin[row], elapsed[row] = label, 0
    now = replace(
        travellers, origin=origin, elapsed=elapsed, left=left, counts=counts, phase=PhasePoints(positions, velocities)
    )
    table = np.array(passages, dtype=np.int64).reshape(-1, 3)
    return now, DirectPassages(*table.T), spent


def other(state: int) -> int:
    """B for A and A for B."""
    return B if state == A else A


def check_finite(label: IntArray) -> None:
    """``PartialError`` if a trajectory has crashed."""
    if np.any(label == CRASHED):
        raise PartialError(
            "A trajectory left the finite numbers.", "Give a shorter time step under [dynamics] in the system.toml."
        )


@dataclass(frozen=True, eq=False)
class BlockTimes:
    """Sums over independent blocks (L,): times of passages from A and from B, and their numbers."""

    time_ab: FloatArray
    count_ab: FloatArray
    time_ba: FloatArray
    count_ba: FloatArray

    @classmethod
    def of(cls, passages: DirectPassages, block: IntArray, timestep: float) -> "BlockTimes":
        """The sums of ``passages`` in the blocks ``block`` (n,), numbered from 0."""
        size = int(block.max()) + 1 if len(block) else 0
        sums: list[FloatArray] = []
        for state in (A, B):
            here = passages.origin == state
            for values in (passages.steps * timestep, np.ones(len(block))):
                sums.append(np.bincount(block, np.where(here, values, 0.0), minlength=size).astype(np.float64))
        return cls(*sums)
