"""Coupling layers on whitened residuals: some columns move, by amounts that the others and the torsions decide."""

import torch
from torch import nn

from molgen.models import rational_quadratic
from molgen.networks.conditioner import Conditioner

LOG_SCALE_LIMIT = 2.0


class Coupling(nn.Module):
    r"""v ↦ spline((v - m) e^{-a}) for the columns ``active``, with (m, a, spline) from the columns ``passive``.

    ``bins = 0`` leaves the spline out (an affine coupling); the log-scale a is bounded by ``LOG_SCALE_LIMIT``.
    """

    def __init__(self, active: torch.Tensor, passive: torch.Tensor, context: int, hidden: int, bins: int, bound: float):
        super().__init__()
        self.register_buffer("active", active)
        self.register_buffer("passive", passive)
        self.bins, self.bound = bins, bound
        self.width = 2 + (3 * bins - 1 if bins else 0)
        self.conditioner = Conditioner(context + len(passive), hidden, self.width * len(active))

    active: torch.Tensor
    passive: torch.Tensor

    def forward(self, r: torch.Tensor, context: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Towards the latent space: residuals (n, k) and log |derivative| (n,)."""
        shift, log_scale, spline = self._decide(r, context)
        value = (self._moving(r) - shift) * torch.exp(-log_scale)
        log_derivative = -log_scale
        if self.bins:
            value, extra = rational_quadratic.linear_tailed(value, spline, self.bins, self.bound, inverse=False)
            log_derivative = log_derivative + extra
        return r.index_copy(1, self.active, value.t()), log_derivative.sum(0)

    def inverse(self, r: torch.Tensor, context: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """From the latent space: the exact inverse of :meth:`forward`."""
        shift, log_scale, spline = self._decide(r, context)
        value, log_derivative = self._moving(r), log_scale
        if self.bins:
            value, extra = rational_quadratic.linear_tailed(value, spline, self.bins, self.bound, inverse=True)
            log_derivative = log_derivative + extra
        value = value * torch.exp(log_scale) + shift
        return r.index_copy(1, self.active, value.t()), log_derivative.sum(0)

    def _moving(self, r: torch.Tensor) -> torch.Tensor:
        """The active columns as rows (a, n), as the parameters stand."""
        return r.t().index_select(0, self.active)

    def _decide(self, r: torch.Tensor, context: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Shifts and log-scales (a, n) and the parameters of splines (P, a, n) of the active columns."""
        features = torch.cat([context, r[:, self.passive]], 1)
        raw = self.conditioner(features, columns=len(self.active), width=self.width)
        shift, log_scale, spline = torch.split(raw, [1, 1, self.width - 2])
        return shift[0], LOG_SCALE_LIMIT * torch.tanh(log_scale[0]), spline


def alternating_halves(
    columns: int, layers: int, generator: torch.Generator
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(active, passive) columns of each layer: random halves, swapped in every second layer; one column moves alone."""
    pairs: list[tuple[torch.Tensor, torch.Tensor]] = []
    order = torch.arange(columns)
    for layer in range(layers):
        if layer % 2 == 0:
            order = torch.randperm(columns, generator=generator)
        head, tail = order[: columns // 2].sort().values, order[columns // 2 :].sort().values
        pairs.append((tail, head) if layer % 2 == 0 or columns == 1 else (head, tail))
    return pairs
