"""What every propagator does: independent pieces of dynamics from given frames, all randomness in one seed."""

from dataclasses import dataclass
from typing import Protocol

from molgen.arrays import FloatArray
from molgen.errors import UsageError


@dataclass(frozen=True)
class Piece:
    """A stretch of dynamics: ``steps`` steps at ``temperature_k``, a frame kept after every ``every`` of them.

    ``discard_steps`` steps go before (equilibration); velocities are drawn afresh from Maxwell-Boltzmann at its start.
    """

    temperature_k: float
    steps: int
    every: int
    discard_steps: int = 0

    def __post_init__(self) -> None:
        if self.every < 1 or self.steps < self.every or self.discard_steps < 0:
            raise UsageError(
                f"{self.steps} steps with a frame every {self.every} keep no frame.",
                "Save frames more often, or simulate longer.",
            )

    @property
    def frames(self) -> int:
        """Number of frames kept."""
        return self.steps // self.every

    @property
    def evaluations(self) -> int:
        """Steps, each of which costs one evaluation of the forces."""
        return self.steps + self.discard_steps


class Propagator(Protocol):
    """Dynamics of one system; ``timestep_ps`` is in ps (or the reduced time of an analytic system)."""

    timestep_ps: float

    def run(self, start: FloatArray, piece: Piece, seed: int) -> FloatArray:
        """Frames (W, piece.frames, N, D) of W independent pieces from the frames ``start`` (W, N, D).

        Depends on its arguments alone, not on what this object or process has done before.
        """
        ...


def steps_of(time_ps: float, timestep_ps: float) -> int:
    """Whole steps nearest to ``time_ps``."""
    return round(time_ps / timestep_ps)
