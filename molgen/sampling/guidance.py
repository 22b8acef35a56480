"""Guidance: a bias drives the velocity field of a continuous flow, whose density stays exact.

    dx/dt = v(x, t) − s(t) c(g(x)),    g(x) = ∇_x B(scale·x),    c(g) = g / √(1 + |g|²/limit²)

in standard coordinates x = centred positions / scale, with t from 0 (noise) to 1 (data). The sum is again a velocity
field: its density follows from its own Jacobian, that of the drift (the Hessian of the bias) included, and is exact for
any strength. What the strength changes is where the draws lie and how even their weights are.

For x_t = (1 − t) z + t x₁ the flow of q e^{−B} has the additional velocity ((1 − t)/t) ∇ ln E[e^{−B(x₁)} | x_t],
to leading order in 1 − t that is −((1 − t)/t) ∇B(x_t): strength 1. Frames at small t are nearly noise, in which a
collective variable means nothing, so the drift begins at ``start``.
"""

from dataclasses import dataclass
from typing import Protocol, cast

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat

from molgen.bias.base import Bias
from molgen.settings import Settings


class GuidanceSettings(Settings):
    """How a bias is applied.

    s(t) = ``strength`` · (1 − t)/t · S((t − ``start``)/((1 − ``start``)/2)), S(a) = 3a² − 2a³ held at 0 and 1: nothing
    before ``start``, the whole of it halfway from there to the end. ``limit`` bounds |c(g)| of a frame, in kT per
    standard unit.
    """

    strength: NonNegativeFloat = 1.0
    start: float = Field(default=0.3, gt=0.0, lt=1.0)
    limit: PositiveFloat = 10.0


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
    """A :class:`VelocityField` with the drift of a ``bias`` added; ``scale`` in nm, the drift in double precision.

    The drift has no mean over particles, since no bias changes under translation, and turns with the frame.
    """

    base: VelocityField
    bias: Bias
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
        factor = self._factor(t, x)
        if not bool((factor != 0).any()):
            return velocity
        return velocity - factor * self._clipped(x.double()).to(x.dtype)

    def field_with_jacobian(self, x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See :class:`VelocityField`."""
        velocity, jacobian = self.base.field_with_jacobian(x, t)
        factor = self._factor(t, x)
        if not bool((factor != 0).any()):
            return velocity, jacobian
        drift, derivative = self._clipped_with_jacobian(x.double())
        return velocity - factor * drift.to(x.dtype), jacobian - factor * derivative.to(x.dtype)

    def _factor(self, t: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """s(t) as (n, 1, 1) or (1, 1, 1)."""
        times = torch.as_tensor(t, dtype=torch.float64, device=x.device).reshape(-1, 1, 1)
        return self.schedule(times).to(x.dtype)

    def _clipped(self, x: torch.Tensor) -> torch.Tensor:
        """c(g(x)) (n, N, D): rows of a batch do not touch, so that the gradient of the sum holds each row's own."""

        def total(positions: torch.Tensor) -> torch.Tensor:
            return self.bias.reduced(self.scale * positions).sum()

        gradient = cast(torch.Tensor, torch.func.grad(total)(x))
        square = gradient.square().sum((-2, -1), keepdim=True) / self.settings.limit**2
        return gradient / torch.sqrt(1.0 + square)

    def _clipped_with_jacobian(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """c(g(x)) and its derivative (n, N·D, N·D): forward over reverse, one direction for all rows at a time."""
        n, size = len(x), x[0].numel()
        units = torch.eye(size, dtype=x.dtype, device=x.device)
        directions = units.reshape(size, 1, *x.shape[1:]).expand(size, *x.shape)

        def along(direction: torch.Tensor) -> torch.Tensor:
            return cast(torch.Tensor, torch.func.jvp(self._clipped, (x,), (direction,))[1])

        columns = torch.func.vmap(along)(directions) if n else x.new_zeros(size, *x.shape)
        return self._clipped(x), columns.reshape(size, n, size).permute(1, 2, 0)
