"""Passages: dynamics from given positions and velocities until one of two states is reached.

Positions and velocities are *on step*: of the same time. OpenMM's LangevinMiddle keeps velocities half a step behind,

    v(t - dt/2) = v(t) - (dt/2) F(x(t))/m,

so that half a kick is taken off before a passage starts and given back where it stops (Z. Zhang et al., J. Phys. Chem.
A 123, 6056 (2019), doi:10.1021/acs.jpca.9b02771). Without friction a passage then retraces itself when v is reversed.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.observables.boundary import Boundary

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
class Passages:
    """What became of W passages: ``label`` (W,) A, B, NEITHER at the limit or CRASHED, ``steps`` (W,), the ``end``."""

    label: IntArray
    steps: IntArray
    end: PhasePoints


class PassageDynamics(Protocol):
    """Dynamics between two states, as a picklable value: everything a committor depends on."""

    @property
    def boundary(self) -> Boundary:
        """The two states."""
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

    def run(self, start: PhasePoints, limit: int, seed: int) -> Passages:
        """Passages from each of ``start``, of at most ``limit`` steps (rounded up to whole checks).

        The state is tested after every ``check_every`` steps. The result depends on the arguments alone.
        """
        ...
