"""Guidance: a bias drives the velocity field of a continuous flow, whose density stays exact.

    dx/dt = v(x, t) + c(d),    c(d) = d / √(1 + |d|²/limit²),
    d = −Σ_j s(t) m_j ∇_x B_j / (1 + s(t) K_j |∇_x s_j|²/rate)

in standard coordinates x = centred positions / scale, with t from 0 (noise) to 1 (data), for a bias that is the sum of
B_j(s_j(scale·x)) of curvature at most K_j. The sum is again a velocity field: its density follows from its own
Jacobian, that of the drift (second derivatives of the bias) included, and is exact for any strength. What the strength
changes is where the draws lie and how even their weights are.

For x_t = (1 − t) z + t x₁ the flow of q e^{−B} has the additional velocity ((1 − t)/t) ∇ ln E[e^{−B(x₁)} | x_t],
to leading order in 1 − t that is −((1 − t)/t) ∇B(x_t): strength 1. Frames at small t are nearly noise, in which a
collective variable means nothing, so the drift begins at ``start``.

The denominator is what an implicit step has: a variable moves towards where its bias is least at no more than
``rate`` e-folds a unit of time however stiff the bias and however steep the variable, so that the steps of the flow,
which are few, stay invertible. m_j = s_j/√(s_j² + δ²) for lengths, 1 for other variables, since a length has no
direction to grow in where it is 0. All of it is smooth, as is the bound c on the speed; nothing is cut off.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from molgen.bias.base import VariableBias
from molgen.settings import Settings


class GuidanceSettings(Settings):
    """How a bias is applied.

    s(t) = ``strength`` · (1 − t)/t · S((t − ``start``)/((1 − ``start``)/2)), S(a) = 3a² − 2a³ held at 0 and 1: nothing
    before ``start``, the whole of it halfway from there to the end. ``rate`` bounds the relaxation of each variable,
    per unit of time, ``limit`` the speed of a frame, in standard units per unit of time. The guided flow takes
    ``refine`` steps for one of the model, and at least 2 ``rate``, so that each can be inverted. ``base_share`` of the
    draws come from the model without the bias, so that no draw weighs more than 1/``base_share`` of what it would
    without.
    """

    strength: NonNegativeFloat = 1.0
    start: float = Field(default=0.3, gt=0.0, lt=1.0)
    rate: PositiveFloat = 4.0
    limit: PositiveFloat = 20.0
    refine: PositiveInt = 2
    base_share: float = Field(default=0.1, ge=0.1, lt=1.0)


class VelocityField(Protocol):
    """The velocity of a continuous flow in standard coordinates, with its Jacobian."""

    def field(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Velocity (n, N, D) at ``x`` (n, N, D) and ``t`` (n,)."""
        ...

    def field_with_jacobian(self, x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The velocity and its derivative (n, N·D, N·D) by x."""
        ...


@dataclass(frozen=True)
class GuidedField:
    """A :class:`VelocityField` with the drift of biases ``terms`` added; ``scale`` in nm, the drift in float64.

    The drift has no mean over particles, since no variable changes under translation, and turns with the frame.
    """

    base: VelocityField
    terms: Sequence[VariableBias]
    scale: float
    settings: GuidanceSettings

    def schedule(self, t: torch.Tensor) -> torch.Tensor:
        """s at times ``t`` of any shape: zero up to ``start`` and at 1, once continuously differentiable."""
        start = self.settings.start
        ramp = ((t - start) / (0.5 * (1.0 - start))).clamp(0.0, 1.0)
        after = t.clamp(min=start)
        return self.settings.strength * (1.0 - t) / after * ramp.square() * (3.0 - 2.0 * ramp)

    def field(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """See :class:`VelocityField`."""
        velocity = self.base.field(x, t)
        factor = self._factor(t)
        if not bool((factor > 0).any()):
            return velocity
        return velocity + self._drift(x.double(), factor).to(velocity)

    def field_with_jacobian(self, x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See :class:`VelocityField`; forward over reverse, one direction at a time for all rows together."""
        velocity, jacobian = self.base.field_with_jacobian(x, t)
        factor = self._factor(t)
        if not bool((factor > 0).any()) or not len(x):
            return velocity, jacobian
        precise, n, size = x.double(), len(x), x[0].numel()
        units = torch.eye(size, dtype=torch.float64, device=x.device)
        directions = units.reshape(size, 1, *x.shape[1:]).expand(size, *x.shape)

        def along(direction: torch.Tensor) -> torch.Tensor:
            return cast(torch.Tensor, torch.func.jvp(lambda y: self._drift(y, factor), (precise,), (direction,))[1])

        columns = torch.func.vmap(along)(directions)
        derivative = columns.reshape(size, n, size).permute(1, 2, 0)
        return velocity + self._drift(precise, factor).to(velocity), jacobian + derivative.to(jacobian)

    def _factor(self, t: torch.Tensor) -> torch.Tensor:
        """s(t) as (n, 1, 1)."""
        return self.schedule(t.double().reshape(-1, 1, 1))

    def _drift(self, x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        """c(d) (n, N, D); rows of a batch do not touch, so that the gradient of a sum holds each row's own."""
        total = torch.zeros_like(x)
        for term in self.terms:
            slope, steep = (_gradient(function, self.scale * x) * self.scale for function in (term.reduced, term.cv))
            slope = slope * self._softening(term, x)
            stiffness = term.curvature_bound * steep.square().sum((-2, -1), keepdim=True)
            total = total - factor * slope / (1.0 + factor * stiffness / self.settings.rate)
        square = total.square().sum((-2, -1), keepdim=True) / self.settings.limit**2
        return total / torch.sqrt(1.0 + square)

    def _softening(self, term: VariableBias, x: torch.Tensor) -> torch.Tensor | float:
        """m = s/√(s² + δ²) (n, 1, 1) of a length s, 1 for other variables.

        The gradient of a length has no direction where the length is 0, and frames pushed away from there would leave
        a hole that no noise is carried to. δ is the bias's centre, or the spread of the frames where it has none.
        """
        if term.cv.unit != "nm":
            return 1.0
        value = term.cv(self.scale * x)[:, None, None]
        return value / torch.sqrt(value.square() + float(getattr(term, "center", self.scale)) ** 2)


def _gradient(function: Callable[[torch.Tensor], torch.Tensor], positions: torch.Tensor) -> torch.Tensor:
    """Gradient (n, N, D) of a number a frame."""
    return cast(torch.Tensor, torch.func.grad(lambda frames: function(frames).sum())(positions))
