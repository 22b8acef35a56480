"""Free torsions one after the other: each a circular spline whose shape depends on those before it."""

import math

import torch
from torch import nn

from molgen.models import rational_quadratic
from molgen.networks.conditioner import AutoregressiveConditioner


class AutoregressiveTorsions(nn.Module):
    """A map of angles t (n, m) in [-pi, pi) to the uniform distribution of the torus, and back.

    A one-dimensional circular spline of many bins can take any shape, several wells included; the chain of
    conditionals then gives populations of states their own few parameters.
    """

    def __init__(self, angles: int, hidden: int, bins: int, order: int) -> None:
        super().__init__()
        self.angles, self.bins = angles, bins
        self.conditioner = AutoregressiveConditioner(angles, hidden, 3 * bins, order)

    def forward(self, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Latent angles (n, m) and log |dz/dt| (n,)."""
        if self.angles == 0:
            return t, t.new_zeros(len(t))
        z, log_derivative = rational_quadratic.circular(t.t(), self.conditioner(t), self.bins, inverse=False)
        return z.t(), log_derivative.sum(0)

    def inverse(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Angles (n, m) of latent angles and log |dt/dz| (n,); m passes."""
        columns: list[torch.Tensor] = []
        total = z.new_zeros(len(z))
        for k in range(self.angles):
            parameters = self.conditioner.column(columns, k, z)
            t, log_derivative = rational_quadratic.circular(z[:, k], parameters, self.bins, inverse=True)
            columns.append(t)
            total = total + log_derivative
        return (torch.stack(columns, 1) if columns else z), total

    @property
    def log_latent(self) -> float:
        """Log-density of the uniform distribution on the torus."""
        return -self.angles * math.log(2.0 * math.pi)
