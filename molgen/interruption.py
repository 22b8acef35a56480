"""Stopping in good order: a time limit or a signal is noticed at safe points, never in the middle of a write."""

import time

from molgen.errors import InterruptedRunError


class Interruption:
    """Says whether the run should stop at the next safe point.

    ``max_time_s`` limits the wall-clock time from construction on; :meth:`request` (for a signal handler)
    stops it at once.
    """

    def __init__(self, max_time_s: float | None = None) -> None:
        self.started = time.monotonic()
        self.max_time_s = max_time_s
        self._reason: str | None = None

    def request(self, reason: str) -> None:
        """Ask the run to stop at its next safe point."""
        self._reason = reason

    @property
    def elapsed_s(self) -> float:
        """Seconds since construction."""
        return time.monotonic() - self.started

    @property
    def reason(self) -> str | None:
        """Why the run should stop, or None."""
        if self._reason is None and self.max_time_s is not None and self.elapsed_s >= self.max_time_s:
            self._reason = f"the time limit of {self.max_time_s:.0f} s was reached"
        return self._reason

    def check(self) -> None:
        """Raise ``InterruptedRunError`` if the run should stop; what is on disk must be complete by then."""
        if self.reason is not None:
            raise InterruptedRunError(f"Stopped because {self.reason}.", "The same command again continues the run.")
