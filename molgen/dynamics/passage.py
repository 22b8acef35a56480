"""Passages: dynamics from given positions and velocities until one of two states is reached.

Positions and velocities are *on step*: of the same time. OpenMM's LangevinMiddle keeps velocities half a step behind,

    v(t - dt/2) = v(t) - (dt/2) F(x(t))/m,

so that half a kick is taken off before a passage starts and given back where it stops (Z. Zhang et al., J. Phys. Chem.
A 123, 6056 (2019), doi:10.1021/acs.jpca.9b02771). Without friction a passage then retraces itself when v is reversed.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from molgen.arrays import FloatArray, IntArray
from molgen.observables.regions import Labelling, Region

CRASHED = -2
"""Label of a passage that left the finite numbers; others are those of :mod:`molgen.observables.boundary`."""


@dataclass(frozen=True, eq=False)
class PhasePoints:
    """Positions and velocities (W, N, D) of the same time, in nm and nm/ps (or reduced units)."""

    positions: FloatArray
    velocities: FloatArray

    def __post_init__(self) -> None:
        if self.positions.ndim != 3 or self.positions.shape != self.velocities.shape:
            raise ValueError(f"positions {self.positions.shape} and velocities {self.velocities.shape} do not match")

    def __len__(self) -> int:
        return len(self.positions)

    def reversed(self) -> "PhasePoints":
        """The same positions with every velocity turned round."""
        return PhasePoints(self.positions, -self.velocities)

    def rows(self, index: IntArray) -> "PhasePoints":
        """The points ``index`` (m,), in that order."""
        return PhasePoints(self.positions[index], self.velocities[index])


@dataclass(frozen=True, eq=False)
class Trail:
    """Frames ``positions`` (m, N, D) on the way of passages, each of the passage ``passage`` (m,), outside the states.

    Which of them were kept is for a :class:`Keeping` to say.
    """

    passage: IntArray
    positions: FloatArray


class Keeping(Protocol):
    """Which frames on the way of a passage are kept."""

    def wanted(self, look: int) -> bool:
        """Whether the frame of the ``look``-th look at the state, counted from 1, is kept."""
        ...


@dataclass(frozen=True)
class EveryLook:
    """All of them: a path as it was looked at."""

    def wanted(self, look: int) -> bool:
        """See :class:`Keeping`."""
        return True


@dataclass(frozen=True)
class Doubling:
    """The 1st, 2nd, 4th, 8th ... look, at most ``most`` frames.

    What starts on a ridge has left it after a short time, however long it then takes to a state.
    """

    most: int

    def wanted(self, look: int) -> bool:
        """See :class:`Keeping`."""
        return not look & (look - 1) and look.bit_length() <= self.most


class TrailRecorder:
    """Collects the trail of passages that are all at the same time: the frames that ``keep`` wants, None for none."""

    def __init__(self, keep: Keeping | None) -> None:
        self.keep = keep
        self._rows: list[IntArray] = []
        self._frames: list[FloatArray] = []

    def add(self, check: int, rows: ArrayLike, frames: ArrayLike) -> None:
        """The ``frames`` of the passages ``rows`` still under way at the ``check``-th look at the state."""
        if self.keep is None or not self.keep.wanted(check):
            return
        self._rows.append(np.array(rows, dtype=np.int64))
        self._frames.append(np.array(frames))

    def trail(self, shape: tuple[int, ...]) -> Trail:
        """All frames, of ``shape`` (N, D) each, in the order of their passages."""
        if not self._rows:
            return Trail(np.empty(0, dtype=np.int64), np.empty((0, *shape)))
        rows = np.concatenate(self._rows)
        order = np.argsort(rows, kind="stable")
        return Trail(rows[order], np.concatenate(self._frames)[order])


@dataclass(frozen=True, eq=False)
class Passages:
    """What became of W passages: ``label`` (W,), ``steps`` (W,), the ``end``.

    The label is A, B (or what else ended it), NEITHER at the limit, or CRASHED.

    ``trail`` holds frames on the way if some were asked for, ``looks`` (W,) how many looks on the way were in the
    region of :meth:`PassageDynamics.counting`, if there is one.
    """

    label: IntArray
    steps: IntArray
    end: PhasePoints
    trail: Trail | None = None
    looks: IntArray | None = None


class PassageDynamics(Protocol):
    """Dynamics between two states, as a picklable value: everything a committor depends on."""

    @property
    def boundary(self) -> Labelling:
        """What ends a passage: the two states, unless :meth:`ending_at` said otherwise."""
        ...

    @property
    def temperature_k(self) -> float:
        """Temperature in kelvin."""
        ...

    @property
    def timestep_ps(self) -> float:
        """Time step in ps (or the reduced time of an analytic system)."""
        ...

    @property
    def check_every(self) -> int:
        """Steps between two looks at the state."""
        ...

    def velocities(self, positions: FloatArray, generator: np.random.Generator) -> FloatArray:
        """Maxwell-Boltzmann velocities (W, N, D) at ``positions`` (W, N, D), along constraints where there are any."""
        ...

    def ending_at(self, boundary: Labelling) -> "PassageDynamics":
        """The same dynamics, whose passages are ended by ``boundary``."""
        ...

    def counting(self, region: Region) -> "PassageDynamics":
        """The same dynamics, whose passages count the looks at which they are in ``region`` and in no state."""
        ...

    def run(self, start: PhasePoints, limit: int, seed: int, keep: Keeping | None = None) -> Passages:
        """Passages from each of ``start``, of at most ``limit`` steps (rounded up to whole checks).

        The state is tested after every ``check_every`` steps, and of the frames that are then in neither those
        that ``keep`` wants are kept. What becomes of a passage does not depend on ``keep``, and all depends on the
        arguments alone.
        """
        ...
