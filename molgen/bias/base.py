"""What every bias offers, and the sum of several."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self

import torch

from molgen.observables.base import CollectiveVariable
from molgen.systems.system import System

Dimension = Literal["value", "slope", "stiffness", "energy", "energies", "path"]
"""What a parameter is: a value of the variable, an energy per its unit or per its unit squared, one energy, several
energies with one unit, or the path of a file."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kind of bias: its ``dimension``, whether it may be left out, whether it must be above 0."""

    dimension: Dimension
    optional: bool = False
    positive: bool = False


class Bias(Protocol):
    """B(x) in kT, twice continuously differentiable in its variables, the same after any rigid motion.

    ``text`` is the line that :func:`molgen.bias.parsing.parse_bias` reads back as an equal bias.
    """

    @property
    def text(self) -> str:
        """The bias in one line."""
        ...

    def reduced(self, positions: torch.Tensor) -> torch.Tensor:
        """B (n,) in kT, float64, of ``positions`` (n, N, D) in nm, differentiable by autograd (twice)."""
        ...


class VariableBias(Protocol):
    """A bias on one collective variable s: B = profile(s).

    The bounds are in kT per unit and per unit squared of the variable, infinite where there is none: a drift along a
    bias of bounded curvature is Lipschitz wherever the variable and its gradient are.
    """

    PARAMETERS: ClassVar[Mapping[str, Parameter]]
    cv: CollectiveVariable
    text: str

    @classmethod
    def expand(
        cls, cv: CollectiveVariable, written: Mapping[str, str], system: System, folder: Path, source: str
    ) -> dict[str, str]:
        """The parameters as they are written, with what stands in files put into the text itself.

        Paths are relative to ``folder``; ``InputError`` naming ``source`` for a file that cannot be used.
        """
        return dict(written)

    @classmethod
    def build(cls, cv: CollectiveVariable, values: Mapping[str, Any], text: str) -> Self:
        """The bias on ``cv`` with parameters in kT, rad and nm; ``InputError`` if they do not fit the variable."""
        ...

    def profile(self, values: torch.Tensor) -> torch.Tensor:
        """B (n,) in kT at ``values`` (n,) of the variable."""
        ...

    @property
    def expression(self) -> str | None:
        """B in kT as an expression of the variable ``s``, None if there is none: :meth:`profile` for OpenMM to follow.

        See :class:`molgen.observables.force.MechanicalVariable` for the grammar.
        """
        return None

    @property
    def slope_bound(self) -> float:
        """The largest |dB/ds|."""
        ...

    @property
    def curvature_bound(self) -> float:
        """The largest |d²B/ds²|."""
        ...

    def reduced(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`Bias`."""
        return self.profile(self.cv(positions.double()))


@dataclass(frozen=True)
class SumBias:
    """B = Σ B_k of one or more biases."""

    terms: tuple[VariableBias, ...]

    @property
    def text(self) -> str:
        """See :class:`Bias`."""
        return " + ".join(term.text for term in self.terms)

    def reduced(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`Bias`."""
        total = self.terms[0].reduced(positions)
        for term in self.terms[1:]:
            total = total + term.reduced(positions)
        return total


def displacement(values: torch.Tensor, center: float, periodic: bool) -> torch.Tensor:
    """s − c, and on a circle the signed chord 2 sin((s − c)/2), which has no corner opposite to the centre.

    The chord equals s − c up to (s − c)³/24, and even functions of it are smooth and periodic; the shortest angle,
    wrapped to (−π, π], would give a bias whose force jumps at c ± π, and a drift that is not Lipschitz there.
    """
    difference = values - center
    return 2.0 * torch.sin(0.5 * difference) if periodic else difference


def displacement_expression(center: float, periodic: bool) -> str:
    """:func:`displacement` as an expression of ``s``."""
    return f"2*sin(0.5*(s-({center!r})))" if periodic else f"s-({center!r})"
