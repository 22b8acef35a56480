"""Frames in a flow's standard coordinates together with what the energy says of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch

from molgen.arrays import FloatArray
from molgen.energies.base import Energy
from molgen.models.spline_flow import SplineFlow
from molgen.training.felt_biases import FeltBiases

CHUNK = 8192
"""Frames converted at a time, to bound memory."""


@dataclass(frozen=True)
class LabelledFrames:
    r"""Rows of (t, r), the pulled-back reduced potential and its gradient.

    With x(t, r) the flow's placement of standard coordinates,
    ``potential`` ↔ U(t, r) = u(x) - log |dx/d(t, r)| and ``slope_t``, ``slope_r`` ↔ its derivatives: minus the score of
    the target in standard coordinates. Shapes: t, slope_t (n, m); r, slope_r (n, k); potential, log_weight (n,).
    ``log_weight`` is the logarithm of the weight with which a row counts in training. The slopes of a frame made under
    a bias are those of U + B, the score of what it is a sample of; its potential is the target's all the same.
    """

    t: torch.Tensor
    r: torch.Tensor
    slope_t: torch.Tensor
    slope_r: torch.Tensor
    potential: torch.Tensor
    log_weight: torch.Tensor

    def __len__(self) -> int:
        return len(self.t)

    def rows(self, index: torch.Tensor) -> Self:
        """The rows ``index``."""
        return type(self)(*(column[index] for column in self._columns()))

    def weighted(self, log_weight: torch.Tensor) -> Self:
        """The same rows with other weights."""
        return replace(self, log_weight=log_weight.to(self.log_weight))

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """All rows of ``parts``, in order."""
        return cls(*(torch.cat(columns) for columns in zip(*(p._columns() for p in parts), strict=True)))

    def importance(self, flow: SplineFlow) -> FloatArray:
        """log w (n,) = -u - log q of each row under ``flow``.

        In standard coordinates: the chart's volume element cancels, the order of the fold does not.
        """
        with torch.no_grad():
            _, z_r, log_derivative = flow.pull(self.t, self.r)
            log_q = (flow.log_latent(z_r) + log_derivative).double()
        return np.asarray((-self.potential - log_q).numpy() + flow.chart.log_order, dtype=np.float64)

    def _columns(self) -> tuple[torch.Tensor, ...]:
        return self.t, self.r, self.slope_t, self.slope_r, self.potential, self.log_weight


@dataclass(frozen=True)
class DrawnFrames(LabelledFrames):
    """Draws of a flow with ``log_q`` (n,), their log-density in standard coordinates under the flow that drew them."""

    log_q: torch.Tensor

    def _columns(self) -> tuple[torch.Tensor, ...]:
        return *super()._columns(), self.log_q


def label_frames(
    flow: SplineFlow, positions: FloatArray, energy: Energy, biases: FeltBiases | None = None
) -> LabelledFrames:
    """Standard coordinates, potential and slopes of frames (n, N, D); one energy-and-force evaluation each.

    ``biases`` are those the frames were made under. Rows without a finite energy are kept with potential +inf and
    slopes 0.
    """
    starts = range(0, len(positions), CHUNK)
    return LabelledFrames.concatenate([_label(flow, positions, energy, biases, start) for start in starts])


def _label(
    flow: SplineFlow, positions: FloatArray, energy: Energy, biases: FeltBiases | None, start: int
) -> LabelledFrames:
    chunk = np.asarray(positions[start : start + CHUNK], dtype=np.float64)
    frames = flow.chart.canonical(torch.as_tensor(chunk))
    reduced, slope = energy.reduced_and_gradient(frames.numpy(), purpose="training")
    gradient = torch.as_tensor(slope)
    if biases is not None:
        gradient = gradient + biases.gradient(frames, start)
    with torch.no_grad():
        t, r = flow.whitening(flow.chart.encode(frames))
    return pulled_back(flow, t, r, frames, torch.as_tensor(reduced), gradient)


def slopes(
    outputs: list[torch.Tensor], inputs: list[torch.Tensor], gradients: list[torch.Tensor]
) -> list[torch.Tensor]:
    """Derivatives of sum(outputs * gradients) with respect to each of ``inputs``: zeros for one that is not used."""
    # A volume element that is a constant, as that of an analytic system, hangs on nothing.
    linked = [(y, gradient) for y, gradient in zip(outputs, gradients, strict=True) if y.requires_grad]
    found: tuple[torch.Tensor | None, ...] = torch.autograd.grad(
        [y for y, _ in linked], inputs, [gradient for _, gradient in linked], allow_unused=True
    )
    return [torch.zeros_like(x) if slope is None else slope for x, slope in zip(inputs, found, strict=True)]


def pulled_back(
    flow: SplineFlow,
    t: torch.Tensor,
    r: torch.Tensor,
    frames: torch.Tensor,
    reduced: torch.Tensor,
    gradient: torch.Tensor,
) -> LabelledFrames:
    """Labels from energies (n,) and Cartesian gradients (n, N, D) at ``frames``: (t, r) placed, up to rotation."""
    t, r = t.double().requires_grad_(), r.double().requires_grad_()
    placed, log_volume, inside = flow.place(t, r)
    aligned = flow.chart.aligned_gradient(frames, placed.detach(), gradient)
    slope_t, slope_r = slopes([placed, log_volume], [t, r], [aligned, -torch.ones_like(log_volume)])
    potential = reduced - log_volume.detach()
    good = inside & torch.isfinite(potential) & torch.isfinite(slope_r).all(1) & torch.isfinite(slope_t).all(1)
    dtype = flow.dtype
    return LabelledFrames(
        t.detach().to(dtype),
        r.detach().to(dtype),
        torch.where(good[:, None], slope_t, 0.0).to(dtype),
        torch.where(good[:, None], slope_r, 0.0).to(dtype),
        torch.where(good, potential, torch.inf),
        torch.zeros(len(potential), dtype=torch.float64),
    )
