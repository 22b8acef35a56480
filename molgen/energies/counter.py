"""How many energies or forces a piece of work has cost, by what they were for."""

from dataclasses import asdict, dataclass
from typing import Literal

Purpose = Literal["data", "training", "sampling", "reweighting"]


@dataclass
class EvaluationCounter:
    """Evaluations of the potential by purpose; an energy with its gradient is one, so is a step of dynamics."""

    data: int = 0
    training: int = 0
    sampling: int = 0
    reweighting: int = 0

    def add(self, purpose: Purpose, n: int) -> None:
        """Count ``n`` more evaluations made for ``purpose``."""
        setattr(self, purpose, getattr(self, purpose) + int(n))

    @property
    def total(self) -> int:
        """Evaluations for all purposes together."""
        return sum(self.as_dict().values())

    def as_dict(self) -> dict[str, int]:
        """The four counts by name."""
        return asdict(self)
