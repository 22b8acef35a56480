"""Nothing inside a range of a collective variable, walls outside."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch

from molgen.bias.base import Parameter, VariableBias, displacement, displacement_expression
from molgen.errors import InputError
from molgen.observables.base import CollectiveVariable

RAMP = 0.2
"""Default ``ramp`` as a part of the width."""


@dataclass(frozen=True)
class FlatBottom(VariableBias):
    """B = k g(e) with the excess e = max(|s − c| − width, 0) and, for a ramp r,

        g = e³ / (6 r) for e <= r,    g = e²/2 − e r/2 + r²/6 beyond.

    The curvature rises from 0 to k over the ramp, so that B is twice continuously differentiable where k/2 e² is only
    once. On a circle |s − c| and the width are chords, 2 |sin(·/2)|: the flat part is the same, and the wall is level
    opposite to the centre. ``center``, ``width`` and ``ramp`` in rad, nm or reduced units, ``stiffness`` k in kT per
    their square.
    """

    PARAMETERS: ClassVar[Mapping[str, Parameter]] = {
        "center": Parameter("value"),
        "width": Parameter("value", positive=True),
        "k": Parameter("stiffness", positive=True),
        "ramp": Parameter("value", optional=True, positive=True),
    }
    cv: CollectiveVariable
    center: float
    width: float
    stiffness: float
    ramp: float
    text: str

    @classmethod
    def build(cls, cv: CollectiveVariable, values: Mapping[str, Any], text: str) -> Self:
        """See :class:`molgen.bias.base.VariableBias`; ``InputError`` for a flat part wider than the circle."""
        width = values["width"]
        if cv.periodic and width >= math.pi:
            raise InputError(
                f"{text!r}: the flat part holds the whole circle.", "Give a width, half of the flat part, below 180deg."
            )
        return cls(cv, values["center"], width, values["k"], values.get("ramp", RAMP * width), text)

    def profile(self, values: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.bias.base.VariableBias`."""
        distance = displacement(values, self.center, self.cv.periodic).abs()
        excess = (distance - self._flat).clamp(min=0.0)
        wall = 0.5 * excess.square() - 0.5 * self.ramp * excess + self.ramp**2 / 6.0
        start = excess.clamp(max=self.ramp) ** 3 / (6.0 * self.ramp)
        return self.stiffness * torch.where(excess > self.ramp, wall, start)

    @property
    def expression(self) -> str:
        """See :class:`molgen.bias.base.VariableBias`."""
        r = self.ramp
        wall, start = f"0.5*e^2-{0.5 * r!r}*e+{r**2 / 6.0!r}", f"e^3/{6.0 * r!r}"
        distance = displacement_expression(self.center, self.cv.periodic)
        return f"{self.stiffness!r}*select(step(e-{r!r}),{wall},{start}); e=max(abs({distance})-{self._flat!r},0)"

    @property
    def _flat(self) -> float:
        """The width as a displacement."""
        return 2.0 * math.sin(0.5 * self.width) if self.cv.periodic else self.width

    @property
    def slope_bound(self) -> float:
        """None on a line; on a circle k times the maximum of (ρ − w) √(1 − ρ²/4) over chords ρ, w the width's."""
        if not self.cv.periodic:
            return math.inf
        chord = 0.25 * (self._flat + math.sqrt(self._flat**2 + 32.0))
        return self.stiffness * (chord - self._flat) * math.sqrt(1.0 - 0.25 * chord**2)

    @property
    def curvature_bound(self) -> float:
        """k on a line; on a circle the chord, whose second derivative is at most ½, adds half the largest excess."""
        return self.stiffness * (1.0 + 0.5 * (2.0 - self._flat)) if self.cv.periodic else self.stiffness
