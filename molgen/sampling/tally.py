"""What happened to the draws of a run: counts, the noise of their densities, the first one that was lost."""

from dataclasses import dataclass

import numpy as np

from molgen.ensemble import Ensemble
from molgen.errors import PartialError
from molgen.models.base import Draws

MAX_STOPPED = 0.5
"""Share of a piece whose trajectories may stop being finite before the run is given up."""


@dataclass
class Tally:
    """Counts over the pieces drawn so far; ``first`` is the first draw that stopped being finite and the time then."""

    done: int = 0
    outside: int = 0
    not_finite: int = 0
    stopped: int = 0
    first: tuple[int, float] | None = None
    earliest: float = np.inf
    squares: float = 0.0
    noisy: int = 0

    def add(self, draws: Draws, rows: Ensemble) -> None:
        """Count a piece; ``PartialError`` if most of its trajectories stopped."""
        assert rows.log_q is not None
        start, size = self.done, len(rows)
        self.done += size
        self.outside += int((~rows.in_domain).sum())
        self.not_finite += int((~(np.isfinite(rows.positions).all(axis=(1, 2)) & np.isfinite(rows.log_q))).sum())
        if rows.log_q_error is not None:
            known = rows.log_q_error[np.isfinite(rows.log_q_error)]
            self.squares, self.noisy = self.squares + float(np.sum(known**2)), self.noisy + len(known)
        if draws.stopped_at is None:
            return
        times = draws.stopped_at.double().numpy()
        stopped = np.flatnonzero(np.isfinite(times))
        if not len(stopped):
            return
        self.stopped += len(stopped)
        self.earliest = min(self.earliest, float(times[stopped].min()))
        self.first = self.first or (start + int(stopped[0]), float(times[stopped[0]]))
        if len(stopped) > MAX_STOPPED * size:
            raise PartialError(
                f"{self._sentence(self.done)} Most draws of a piece were lost, so the run was given up.",
                "Take more steps (--set steps=...), or train longer.",
            )

    @property
    def log_q_error(self) -> float | None:
        """Root mean square of the standard errors of log q, None where it has none."""
        return float(np.sqrt(self.squares / self.noisy)) if self.noisy else None

    def notes(self, n: int) -> tuple[str, ...]:
        """What a user should know, in sentences."""
        return (self._sentence(n),) if self.first is not None else ()

    def _sentence(self, n: int) -> str:
        assert self.first is not None
        number, when = self.first
        what = "draw was" if self.stopped == 1 else "draws were"
        return (
            f"{self.stopped} of {n} {what} no longer finite before the end of the trajectory: first draw {number} "
            f"(counted from 0) at time {when:.3g}, none before time {self.earliest:.3g}."
        )
