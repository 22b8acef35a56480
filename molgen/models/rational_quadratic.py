r"""Monotone rational-quadratic splines (Durkan et al., NeurIPS 2019, arXiv:1906.04032), on an interval or a circle.

Between knots (x_k, y_k), (x_{k+1}, y_{k+1}) with slopes d_k, d_{k+1}, s = (y_{k+1} - y_k) / (x_{k+1} - x_k) and
xi = (x - x_k) / (x_{k+1} - x_k):

.. math:: y = y_k + \frac{(y_{k+1}-y_k)\,[s\xi^2 + d_k\xi(1-\xi)]}{s + (d_{k+1}+d_k-2s)\xi(1-\xi)}

Symbols ↔ variables: x_k ↔ ``x0``, x_{k+1} - x_k ↔ ``width``, y_k ↔ ``y0``, y_{k+1} - y_k ↔ ``height``, d_k ↔ ``d0``,
d_{k+1} ↔ ``d1``, s ↔ ``slope``.
"""

import math
from collections.abc import Callable
from typing import Any

import torch

MIN_BIN = 1e-3
MAX_BINS = 500
"""More bins would leave less than half of the interval to be shared out."""
MIN_SLOPE = 1e-3
_SLOPE_ONE = math.log(math.expm1(1.0 - MIN_SLOPE))
"""Pre-softplus value at which a slope is 1: parameters of zero give the identity."""


class _Bins(torch.autograd.Function):
    """Starts and sizes (2, ...) of one bin (...) along x and along y, from unnormalised sizes (2, K, ...) of all.

    What autograd makes of softmax, cumulated sums and a choice passes over all K bins many times; with e_i ↔ the
    gradient by the size of bin i, that by the unnormalised size j is c share_j (e_j - sum_i share_i e_i), and e_i is
    the gradient by the start for all bins before the chosen one.
    """

    @staticmethod
    def forward(
        ctx: Any, raw: torch.Tensor, values: torch.Tensor, bound: float, inverse: bool
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        bins, whole = raw.shape[1], 2.0 * bound
        shared = whole * (1.0 - MIN_BIN * bins)
        shares = torch.softmax(raw, 1)
        # A product with a triangle is several times faster than a cumulated sum along a short axis.
        triangle = torch.full((bins - 1, bins), shared, dtype=raw.dtype, device=raw.device).tril()
        least = torch.arange(1, bins, dtype=raw.dtype, device=raw.device) * (whole * MIN_BIN) - bound
        ends = torch.baddbmm(least[:, None], triangle.expand(2, -1, -1), shares.flatten(2)).view(
            2, bins - 1, *raw.shape[2:]
        )
        before = values >= ends[1 if inverse else 0]
        index = before.sum(0)
        both = index.expand(2, 1, *index.shape)
        size = torch.gather(shares, 1, both).squeeze(1) * shared + whole * MIN_BIN
        start = torch.full_like(size, -bound)
        if bins > 1:
            start = torch.where(index == 0, start, torch.gather(ends, 1, (both - 1).clamp_min_(0)).squeeze(1))
        ctx.save_for_backward(shares, before, both)
        ctx.shared = shared
        ctx.mark_non_differentiable(index)
        return start, size, index

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, by_start: torch.Tensor, by_size: torch.Tensor, _: torch.Tensor
    ) -> tuple[torch.Tensor | None, ...]:
        shares, before, both = ctx.saved_tensors
        by_bin = torch.zeros_like(shares)
        torch.mul(by_start[:, None], before.to(shares.dtype), out=by_bin[:, :-1])
        by_bin.scatter_(1, both, by_size[:, None])
        total = (shares * by_bin).sum(1, keepdim=True)
        return by_bin.sub_(total).mul_(shares).mul_(ctx.shared), None, None, None


def _slopes(raw: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.softplus(raw + _SLOPE_ONE) + MIN_SLOPE


def _transform(
    values: torch.Tensor,
    raw: torch.Tensor,
    slopes: Callable[[torch.Tensor], torch.Tensor],
    bound: float,
    *,
    inverse: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Values (...) inside the outermost knots through the spline, with log |derivative| of the direction asked for.

    ``raw``: unnormalised sizes (2 K, ...), along x and then along y; ``slopes`` gives those at both knots of a bin,
    (2, ...) from its number (...).
    """
    start, size, index = _Bins.apply(  # type: ignore[no-untyped-call]
        raw.reshape(2, len(raw) // 2, *values.shape), values.detach(), bound, inverse
    )
    (x0, y0), (width, height) = start, size
    d0, d1 = slopes(index)
    slope = height / width
    curvature = d0 + d1 - 2.0 * slope
    if inverse:
        offset = values - y0
        a = height * (slope - d0) + offset * curvature
        b = height * d0 - offset * curvature
        c = -slope * offset
        xi = 2.0 * c / (-b - (b * b - 4.0 * a * c).clamp_min(0.0).sqrt())
    else:
        xi = (values - x0) / width
    mixed = xi * (1.0 - xi)
    denominator = slope + curvature * mixed
    numerator = slope * slope * (d1 * xi * xi + 2.0 * slope * mixed + d0 * (1.0 - xi) * (1.0 - xi))
    log_derivative = torch.log(numerator) - 2.0 * torch.log(denominator)
    if inverse:
        return xi * width + x0, -log_derivative
    return y0 + height * (slope * xi * xi + d0 * mixed) / denominator, log_derivative


def linear_tailed(
    values: torch.Tensor, parameters: torch.Tensor, bins: int, bound: float, *, inverse: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """A spline on [-bound, bound] continued by the identity; values (...), parameters (3 * bins - 1, ...).

    Returns the transformed values and log |derivative|, both shaped like ``values``. Parameters stand in front because
    sums and softmax across them are then vectorised.
    """
    raw, raw_slopes = torch.split(parameters, [2 * bins, bins - 1])
    inside = values.abs() < bound
    safe = torch.where(inside, values, torch.zeros_like(values))

    def slopes(index: torch.Tensor) -> torch.Tensor:
        knots = torch.stack([index, index + 1])
        one = torch.ones_like(knots, dtype=values.dtype)
        if bins == 1:
            return one
        inner = _slopes(torch.gather(raw_slopes, 0, (knots - 1).clamp(0, bins - 2)))
        return torch.where((knots == 0) | (knots == bins), one, inner)

    moved, log_derivative = _transform(safe, raw, slopes, bound, inverse=inverse)
    return torch.where(inside, moved, values), torch.where(inside, log_derivative, torch.zeros_like(values))


def circular(
    values: torch.Tensor, parameters: torch.Tensor, bins: int, *, inverse: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """A spline of the circle [-pi, pi) that fixes -pi, with equal slopes at both ends.

    Values (...), parameters (3 * bins, ...): see :func:`linear_tailed`.
    """
    raw, raw_slopes = torch.split(parameters, [2 * bins, bins])

    def slopes(index: torch.Tensor) -> torch.Tensor:
        return _slopes(torch.gather(raw_slopes, 0, torch.stack([index, (index + 1) % bins])))

    return _transform(values, raw, slopes, math.pi, inverse=inverse)
