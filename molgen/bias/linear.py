"""A constant force along a collective variable."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch

from molgen.bias.base import Parameter, VariableBias
from molgen.errors import InputError
from molgen.observables.base import CollectiveVariable


@dataclass(frozen=True)
class Linear(VariableBias):
    """B = f s with ``slope`` f in kT per unit of the variable; there is none on a circle."""

    PARAMETERS: ClassVar[Mapping[str, Parameter]] = {"slope": Parameter("slope")}
    cv: CollectiveVariable
    slope: float
    text: str

    @classmethod
    def build(cls, cv: CollectiveVariable, values: Mapping[str, Any], text: str) -> Self:
        """See :class:`molgen.bias.base.VariableBias`; ``InputError`` for a periodic variable."""
        if cv.periodic:
            raise InputError(
                f"{text!r}: {cv.name} is periodic, and no linear function is.",
                f"Write harmonic({cv.name}, center=..., k=...).",
            )
        return cls(cv, values["slope"], text)

    def profile(self, values: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.bias.base.VariableBias`."""
        return self.slope * values

    @property
    def expression(self) -> str:
        """See :class:`molgen.bias.base.VariableBias`."""
        return f"({self.slope!r})*s"

    @property
    def slope_bound(self) -> float:
        """|f|."""
        return abs(self.slope)

    @property
    def curvature_bound(self) -> float:
        """Zero."""
        return 0.0
