"""The one schedule of refining: how fast it learns, and how much each objective counts."""

from collections.abc import Sequence
from dataclasses import dataclass

from molgen.training.settings import RefineSettings

MODE_SEEKING = ("reverse", "log_variance")
"""Objectives that can empty a state, in the order in which the guard switches them off."""
RISE = 0.2
"""Share of the stage over which mode-seeking objectives rise to their weights: the frames' own mistakes come first."""
FIRST = 0.1
"""Share of its weight with which a mode-seeking objective begins."""
WARMUP_ROUNDS = 4
FINAL_RATE = 0.05


@dataclass(frozen=True)
class Schedule:
    """Rates and weights by the fraction of the stage that is done; objectives in ``off`` count nothing."""

    settings: RefineSettings
    off: Sequence[str] = ()

    def rate(self, round_number: int, fraction: float) -> float:
        """Factor of the learning rate: up over the first rounds, then down in a straight line."""
        return min(1.0, (round_number + 1) / WARMUP_ROUNDS) * (1.0 - (1.0 - FINAL_RATE) * fraction)

    def on_frames(self, fraction: float) -> dict[str, float]:
        """Weights of the objectives on frames of dynamics."""
        return {"forward": self.settings.weights.frames, **self._seeking(fraction, ("log_variance",))}

    def on_draws(self, fraction: float) -> dict[str, float]:
        """Weights of the objectives on fresh draws."""
        weights = self.settings.weights
        asked = {"forward": weights.forward, "likelihood": weights.likelihood}
        return asked | self._seeking(fraction, MODE_SEEKING)

    @property
    def mode_seeking(self) -> tuple[str, ...]:
        """The mode-seeking objectives that are on, the first to be switched off first."""
        return tuple(n for n in MODE_SEEKING if n not in self.off and getattr(self.settings.weights, n) > 0.0)

    @property
    def empty(self) -> bool:
        """Whether nothing is left to learn from."""
        weights = self.settings.weights
        return not (self.mode_seeking or weights.frames or weights.forward or weights.likelihood)

    def _seeking(self, fraction: float, names: Sequence[str]) -> dict[str, float]:
        rise = min(1.0, FIRST + (1.0 - FIRST) * fraction / RISE)
        return {name: rise * getattr(self.settings.weights, name) for name in names if name in self.mode_seeking}
