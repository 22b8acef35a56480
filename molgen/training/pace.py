"""How far a stage of training has come: by steps, or by the clock where a time limit is tighter."""

import time
from dataclasses import dataclass, field


@dataclass
class Pace:
    """Fraction of a stage that is done after ``step`` of ``steps`` steps.

    With ``limit_s`` the stage ends early after that many seconds of work; ``spent_s`` counts those of an earlier
    process. Without it the result depends on steps alone and is reproducible.
    """

    steps: int
    limit_s: float | None = None
    spent_s: float = 0.0
    _started: float = field(default_factory=time.monotonic)

    @property
    def elapsed_s(self) -> float:
        """Seconds of work in this stage, earlier processes included."""
        return self.spent_s + time.monotonic() - self._started

    def fraction(self, step: int) -> float:
        """Between 0 and 1; the stage is over at 1."""
        done = step / self.steps if self.steps else 1.0
        if self.limit_s is not None:
            done = max(done, self.elapsed_s / max(self.limit_s, 1e-9))
        return min(done, 1.0)

    @property
    def timed(self) -> bool:
        """Whether the clock can end the stage."""
        return self.limit_s is not None
