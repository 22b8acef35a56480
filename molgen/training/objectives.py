r"""What a step of training makes smaller: objectives that add up.

Divergences between the target p ∝ e^{-U} and the flow q are followed along their *path gradient*: the derivative that
goes through the sample alone. Its score term, which has mean zero, is left out, and what remains vanishes on every
single sample once q = p, so the noise dies away as the model gets better (Roeder et al., arXiv:1703.09194; Vaitl et
al., arXiv:2206.09016 and arXiv:2403.15881). It uses the energy's forces: 3N - 6 numbers a frame where a likelihood uses
one.

With z = f(x) ↔ ``flow.pull`` and x = g(z) ↔ ``flow.push`` both divergences have the same path gradient on a row,

.. math:: \partial_\theta KL(p \| q) = E_p[\nabla_z h \cdot \partial_\theta f_\theta(x)], \qquad
    \partial_\theta KL(q \| p) = E_q[\nabla_z h \cdot \partial_\theta f_\theta(x)], \qquad
    h(z) = \log p(g(z)) - \log q(g(z)),

because at fixed x = g(f(x)) the reverse one's sample moves by
:math:`\partial_\theta g = -\nabla g\,\partial_\theta f`. They differ in the distribution of the rows alone. So every
objective is a pure function that gives the rows of a batch two numbers each, those of :class:`Coefficients`, and the
step's loss is their weighted sum: one pull, and at most one push, whatever the number of objectives.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from molgen.models.spline_flow import SplineFlow
from molgen.training.labelled import DrawnFrames, LabelledFrames, slopes

MAX_SLOPE = 30.0
"""Bound on each component of a path gradient (kT per whitened unit): only for training, weights never see it."""
RATIO_CLIP = 0.99
"""Quantile at which the reverse divergence clips the ratios of the flow's density to that of the flow that drew."""
WINSORISED = 0.01
"""Share of the rows on each side whose residual of the log-variance is pulled in to the next one's."""


@contextmanager
def frozen(flow: SplineFlow) -> Iterator[None]:
    """The flow's parameters without gradients, for derivatives with respect to coordinates alone."""
    for parameter in flow.parameters():
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in flow.parameters():
            parameter.requires_grad_(True)


@dataclass(frozen=True, eq=False)
class PulledRows:
    """Rows of a batch in the latent space: z_t (n, m), z_r (n, k) and log q (n,) in standard coordinates."""

    flow: SplineFlow
    batch: LabelledFrames
    z_t: torch.Tensor
    z_r: torch.Tensor
    log_q: torch.Tensor

    @classmethod
    def of(cls, flow: SplineFlow, batch: LabelledFrames) -> "PulledRows":
        """Pull ``batch`` through ``flow``."""
        z_t, z_r, log_derivative = flow.pull(batch.t, batch.r)
        return cls(flow, batch, z_t, z_r, flow.log_latent(z_r) + log_derivative)

    def path(self) -> torch.Tensor:
        r"""The surrogate (n,) whose gradient is :math:`\nabla_z h \cdot \partial_\theta f`, see the module."""
        z_t, z_r = self.z_t, self.z_r
        with frozen(self.flow):
            latent_t, latent_r = z_t.detach().requires_grad_(), z_r.detach().requires_grad_()
            t, r, back = self.flow.push(latent_t, latent_r)
            gradients = [self.batch.slope_t, self.batch.slope_r, -torch.ones_like(back)]
            slope_t, slope_r = slopes([t, r, back], [latent_t, latent_r], gradients)
        path_t = (-slope_t).nan_to_num().clamp(-MAX_SLOPE, MAX_SLOPE)
        path_r = (z_r.detach() - slope_r).nan_to_num().clamp(-MAX_SLOPE, MAX_SLOPE)
        return (z_t * path_t).sum(1) + (z_r * path_r).sum(1)


@dataclass(frozen=True)
class Coefficients:
    """What an objective gives each row (n,): a number for its path, one for its log-density; None is zero."""

    path: torch.Tensor | None = None
    density: torch.Tensor | None = None

    def plus(self, other: "Coefficients", weight: float) -> "Coefficients":
        """These and ``weight`` times ``other``."""
        return Coefficients(_sum(self.path, other.path, weight), _sum(self.density, other.density, weight))


def _sum(one: torch.Tensor | None, other: torch.Tensor | None, weight: float) -> torch.Tensor | None:
    if other is None:
        return one
    return weight * other if one is None else one + weight * other


Objective = Callable[[PulledRows], Coefficients]
"""An objective: detached coefficients of the rows, each of mean about 1 in size."""


def forward(rows: PulledRows) -> Coefficients:
    """Forward divergence KL(p || q) by its path gradient; rows count by their weight p/q.

    It needs no right populations from the rows, only that they are where p has mass.
    """
    return Coefficients(path=relative_weights(rows.batch.log_weight).to(rows.z_r))


def likelihood(rows: PulledRows) -> Coefficients:
    """Negative log-likelihood -log q of weighted rows: the forward divergence by one number a row."""
    return Coefficients(density=-relative_weights(rows.batch.log_weight).to(rows.z_r))


def reverse(rows: PulledRows) -> Coefficients:
    """Reverse divergence KL(q || p) by its path gradient, on draws of the flow (``rows.batch``: ``DrawnFrames``).

    The flow has moved since it drew them: rows count by q/q_drawn, clipped at its ``RATIO_CLIP`` quantile. Seeks modes:
    where q draws nothing, it sees nothing.
    """
    batch = rows.batch
    if not isinstance(batch, DrawnFrames):
        raise TypeError("the reverse divergence is one of draws of the flow")
    ratio = rows.log_q.detach().double() - batch.log_q
    ratio = ratio.clamp_max(float(torch.quantile(ratio, RATIO_CLIP)))
    return Coefficients(path=relative_weights(ratio).to(rows.z_r))


def log_variance(rows: PulledRows) -> Coefficients:
    r"""Log-variance divergence, Var(log q + U) over the rows as they come (Richter et al., arXiv:2010.10436).

    Zero for q = p wherever the rows are from; neither ln Z nor the rows' shares matter. Half its gradient,
    :math:`Cov(\log q + U, \partial_\theta \log q)`, with the residuals winsorised on both sides (``WINSORISED``): the
    few rows far out pull no harder than the rest.
    """
    residual = (rows.log_q.detach().double() + rows.batch.potential).nan_to_num(posinf=1e30)
    low, high = torch.quantile(residual, WINSORISED), torch.quantile(residual, 1.0 - WINSORISED)
    residual = residual.clamp(low, high)
    return Coefficients(density=(residual - residual.mean()).to(rows.z_r))


OBJECTIVES: dict[str, Objective] = {
    "forward": forward,
    "likelihood": likelihood,
    "reverse": reverse,
    "log_variance": log_variance,
}
"""Every objective by the name it has in the settings."""


def total_loss(flow: SplineFlow, batch: LabelledFrames, weights: Mapping[str, float]) -> torch.Tensor:
    """The sum of the objectives named in ``weights``, times these, on one batch: a number with a gradient."""
    rows = PulledRows.of(flow, batch)
    asked = Coefficients()
    for name, weight in weights.items():
        if weight > 0.0:
            asked = asked.plus(OBJECTIVES[name](rows), weight)
    loss = torch.zeros_like(rows.log_q)
    if asked.path is not None:
        loss = loss + asked.path * rows.path()
    if asked.density is not None:
        loss = loss + asked.density * rows.log_q
    return loss.mean()


def relative_weights(log_weight: torch.Tensor) -> torch.Tensor:
    """exp(log_weight) (n,) scaled to mean 1."""
    return torch.softmax(log_weight, 0) * len(log_weight)


@torch.no_grad()
def negative_log_likelihood(flow: SplineFlow, t: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
    """-log q(t, r) (n,) in standard coordinates."""
    _, z_r, log_derivative = flow.pull(t, r)
    return -(flow.log_latent(z_r) + log_derivative)
