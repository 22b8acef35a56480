"""A coordinate of an analytic system."""

from dataclasses import dataclass
from typing import ClassVar, Self

import torch

from molgen.systems.definition import CVSection
from molgen.systems.system import System


@dataclass(frozen=True)
class Position:
    """Component ``index`` of the pseudo-particle's position, in reduced units."""

    name: str
    index: int
    unit: ClassVar[str] = ""
    periodic: ClassVar[bool] = False

    @classmethod
    def build(cls, section: CVSection, system: System) -> Self:
        """The coordinate of ``section.position``."""
        assert section.position is not None
        return cls(section.name, section.position)

    def __call__(self, positions: torch.Tensor) -> torch.Tensor:
        """Coordinates (n,) at ``positions`` (n, 1, D)."""
        return positions[:, 0, self.index]
