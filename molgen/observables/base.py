"""What every collective variable offers."""

from typing import TYPE_CHECKING, Protocol, Self

from molgen.systems.definition import CVSection
from molgen.systems.system import System

if TYPE_CHECKING:
    import torch


class CollectiveVariable(Protocol):
    """A differentiable function of positions.

    ``unit`` is ``rad``, ``nm`` or empty (reduced units); a ``periodic`` variable has period 2π and values in (−π, π].
    Variables of molecules do not change under rotation and translation.
    """

    name: str
    unit: str
    periodic: bool

    @classmethod
    def build(cls, section: CVSection, system: System) -> Self:
        """The variable a checked definition ``section`` of ``system`` describes."""
        ...

    def __call__(self, positions: "torch.Tensor") -> "torch.Tensor":
        """Values (n,) at ``positions`` (n, N, D), differentiable by autograd."""
        ...
