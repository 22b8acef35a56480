"""A spring on a collective variable."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch

from molgen.bias.base import Parameter, VariableBias, displacement, displacement_expression
from molgen.observables.base import CollectiveVariable


@dataclass(frozen=True)
class Harmonic(VariableBias):
    """B = k/2 (s − c)²; on a periodic variable k (1 − cos(s − c)), whose curvature at c is k as well.

    ``center`` c in rad, nm or reduced units, ``stiffness`` k in kT per its square. The periodic form is smooth on the
    whole circle (see :func:`molgen.bias.base.displacement`); at 60 degrees from c it is 9 % below the parabola.
    """

    PARAMETERS: ClassVar[Mapping[str, Parameter]] = {
        "center": Parameter("value"),
        "k": Parameter("stiffness", positive=True),
    }
    cv: CollectiveVariable
    center: float
    stiffness: float
    text: str

    @classmethod
    def build(cls, cv: CollectiveVariable, values: Mapping[str, Any], text: str) -> Self:
        """See :class:`molgen.bias.base.VariableBias`."""
        return cls(cv, values["center"], values["k"], text)

    def profile(self, values: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.bias.base.VariableBias`."""
        return 0.5 * self.stiffness * displacement(values, self.center, self.cv.periodic).square()

    @property
    def expression(self) -> str:
        """See :class:`molgen.bias.base.VariableBias`."""
        return f"{0.5 * self.stiffness!r}*d^2; d={displacement_expression(self.center, self.cv.periodic)}"

    @property
    def slope_bound(self) -> float:
        """k on a circle, none on a line."""
        return self.stiffness if self.cv.periodic else math.inf

    @property
    def curvature_bound(self) -> float:
        """k."""
        return self.stiffness
