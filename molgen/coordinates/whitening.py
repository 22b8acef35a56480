r"""Standard coordinates: angles on the circle as they are, everything else centred, decorrelated and scaled.

The stiff coordinates s (bonds, angles, narrow torsions) of a molecule follow its free torsions t almost linearly in
Fourier terms, so that is removed first:

.. math:: r = L^{-1}\,[(s - \bar s)/\sigma - B\,F(t)]

with bar s ↔ ``centre`` (circular mean for torsions), sigma ↔ ``scale``, B ↔ ``regression``, F ↔ Fourier terms of the
free torsions and their products, L ↔ ``cholesky`` of the residual's covariance. The log-Jacobian is a constant.
"""

import math
from typing import Self

import torch
from torch import nn

from molgen.coordinates.internal import wrap


def fourier_terms(angles: torch.Tensor, pairs: torch.Tensor, order: int = 3) -> torch.Tensor:
    """1, cos(k t), sin(k t) of angles (n, m) and the products of the first ones of ``pairs`` (p, 2)."""
    single = [f(k * angles) for k in range(1, order + 1) for f in (torch.cos, torch.sin)]
    a, b = angles[:, pairs[:, 0]], angles[:, pairs[:, 1]]
    products = [a.cos() * b.cos(), a.cos() * b.sin(), a.sin() * b.cos(), a.sin() * b.sin()]
    return torch.cat([angles.new_ones(len(angles), 1), *single, *products], 1)


class Whitening(nn.Module):
    """Splits coordinates y (n, d) into angles t (n, m) on [-pi, pi) and residuals r (n, d - m), and back.

    ``circular`` are the columns of the free torsions with their ``periods`` (2 pi, or 2 pi / 3 for folded groups):
    t = 2 pi y / period. ``narrow`` are columns of torsions that stay near their circular mean. ``pairs`` of free
    torsions (by place in ``circular``) enter the regression together; all pairs if None.
    """

    def __init__(
        self,
        dimension: int,
        circular: list[int],
        periods: list[float],
        narrow: list[int],
        pairs: list[tuple[int, int]] | None = None,
    ) -> None:
        super().__init__()
        linear = [k for k in range(dimension) if k not in set(circular)]
        self.dimension = dimension
        self.n_circular, self.n_linear = len(circular), len(linear)
        self.register_buffer("circular", torch.tensor(circular, dtype=torch.long))
        self.register_buffer("linear", torch.tensor(linear, dtype=torch.long))
        self.register_buffer("narrow", torch.tensor([k in set(narrow) for k in linear], dtype=torch.bool))
        self.register_buffer("multiplier", torch.tensor([2.0 * math.pi / p for p in periods], dtype=torch.float64))
        if pairs is None:
            pairs = [(k, m) for k in range(self.n_circular) for m in range(k + 1, self.n_circular)]
        self.register_buffer("pairs", torch.tensor(pairs, dtype=torch.long).reshape(-1, 2))
        terms = fourier_terms(torch.zeros(1, self.n_circular), self.pairs).shape[1]
        double = torch.float64
        self.register_buffer("centre", torch.zeros(self.n_linear, dtype=double))
        self.register_buffer("scale", torch.ones(self.n_linear, dtype=double))
        self.register_buffer("regression", torch.zeros(terms, self.n_linear, dtype=double))
        self.register_buffer("cholesky", torch.eye(self.n_linear, dtype=double))

    circular: torch.Tensor
    linear: torch.Tensor
    narrow: torch.Tensor
    multiplier: torch.Tensor
    pairs: torch.Tensor
    centre: torch.Tensor
    scale: torch.Tensor
    regression: torch.Tensor
    cholesky: torch.Tensor

    @torch.no_grad()
    def fit(self, y: torch.Tensor, ridge: float = 1e-6) -> Self:
        """Estimate centre, scale, regression and covariance from coordinates ``y`` (n, d)."""
        y = y.double()
        s = y[:, self.linear]
        circular_mean = torch.atan2(s.sin().mean(0), s.cos().mean(0))
        self.centre.copy_(torch.where(self.narrow, circular_mean, s.mean(0)))
        deviation = self._centred(s)
        self.scale.copy_(deviation.square().mean(0).sqrt().clamp_min(1e-8))
        standard = deviation / self.scale
        terms = fourier_terms(y[:, self.circular] * self.multiplier, self.pairs)
        gram = terms.T @ terms + ridge * len(y) * torch.eye(terms.shape[1], dtype=y.dtype)
        self.regression.copy_(torch.linalg.solve(gram, terms.T @ standard))
        residual = standard - terms @ self.regression
        covariance = residual.T @ residual / len(y) + ridge * torch.eye(self.n_linear, dtype=y.dtype)
        self.cholesky.copy_(torch.linalg.cholesky(covariance))
        return self

    def _centred(self, s: torch.Tensor) -> torch.Tensor:
        deviation = s - self.centre.to(s.dtype)
        return torch.where(self.narrow, wrap(deviation), deviation)

    @property
    def log_volume(self) -> float:
        """log |d(t, r) / dy|, a constant."""
        log_linear = self.scale.log().sum() + self.cholesky.diagonal().log().sum()
        return float(self.multiplier.log().sum() - log_linear)

    def forward(self, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Angles t (n, m) in [-pi, pi) and residuals r (n, d - m) of coordinates y (n, d)."""
        t = wrap(y[:, self.circular] * self.multiplier.to(y.dtype))
        standard = self._centred(y[:, self.linear]) / self.scale.to(y.dtype)
        residual = standard - fourier_terms(t, self.pairs) @ self.regression.to(y.dtype)
        return t, torch.linalg.solve_triangular(self.cholesky.to(y.dtype), residual.T, upper=False).T

    def inverse(self, t: torch.Tensor, r: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Coordinates y (n, d) of angles and residuals, and whether each narrow torsion is within pi of its centre."""
        standard = r @ self.cholesky.to(r.dtype).T + fourier_terms(t, self.pairs) @ self.regression.to(r.dtype)
        deviation = standard * self.scale.to(r.dtype)
        y = r.new_zeros(len(r), self.dimension)
        y = y.index_copy(1, self.circular, t / self.multiplier.to(t.dtype))
        y = y.index_copy(1, self.linear, deviation + self.centre.to(r.dtype))
        inside = ((deviation.abs() < math.pi) | ~self.narrow).all(1)
        return y, inside
