r"""Monotone rational-quadratic splines (Durkan et al., NeurIPS 2019, arXiv:1906.04032), on an interval or a circle.

Between knots (x_k, y_k), (x_{k+1}, y_{k+1}) with slopes d_k, d_{k+1}, s = (y_{k+1} - y_k) / (x_{k+1} - x_k) and
xi = (x - x_k) / (x_{k+1} - x_k):

.. math:: y = y_k + \frac{(y_{k+1}-y_k)\,[s\xi^2 + d_k\xi(1-\xi)]}{s + (d_{k+1}+d_k-2s)\xi(1-\xi)}

Symbols ↔ variables: x_k ↔ ``x0``, x_{k+1} - x_k ↔ ``width``, y_k ↔ ``y0``, y_{k+1} - y_k ↔ ``height``, d_k ↔ ``d0``,
d_{k+1} ↔ ``d1``, s ↔ ``slope``.
"""

import math

import torch

MIN_BIN = 1e-3
MAX_BINS = 500
"""More bins would leave less than half of the interval to be shared out."""
MIN_SLOPE = 1e-3
_SLOPE_ONE = math.log(math.expm1(1.0 - MIN_SLOPE))
"""Pre-softplus value at which a slope is 1: parameters of zero give the identity."""


def _knots(raw: torch.Tensor, bound: float) -> torch.Tensor:
    """Knots (..., K + 1) from -bound to bound of unnormalised bin sizes (..., K)."""
    bins = raw.shape[-1]
    # Over a short last axis softmax is not vectorised: across the second to last it takes a fifth of the time.
    shares = torch.softmax(raw.transpose(-1, -2), -2).transpose(-1, -2)
    sizes = shares * (1.0 - MIN_BIN * bins) + MIN_BIN
    inner = torch.cumsum(sizes[..., :-1], -1) * (2.0 * bound) - bound
    ends = torch.full_like(raw[..., :1], bound)
    return torch.cat([-ends, inner, ends], -1)


def _slopes(raw: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.softplus(raw + _SLOPE_ONE) + MIN_SLOPE


def _bin(table: torch.Tensor, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    pair = torch.gather(table, -1, torch.stack([index, index + 1], -1))
    return pair[..., 0], pair[..., 1]


def _transform(
    values: torch.Tensor, x: torch.Tensor, y: torch.Tensor, d: torch.Tensor, *, inverse: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Values inside the outermost knots through the spline, with log |derivative| of the direction asked for."""
    index = (values.detach()[..., None] >= (y if inverse else x).detach()[..., 1:-1]).sum(-1)
    (x0, x1), (y0, y1), (d0, d1) = _bin(x, index), _bin(y, index), _bin(d, index)
    width, height = x1 - x0, y1 - y0
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
    """A spline on [-bound, bound] continued by the identity; parameters (..., 3 * bins - 1).

    Returns the transformed values and log |derivative|, both shaped like ``values``.
    """
    raw_x, raw_y, raw_d = torch.tensor_split(parameters, (bins, 2 * bins), -1)
    ones = torch.ones_like(raw_x[..., :1])
    inside = values.abs() < bound
    safe = torch.where(inside, values, torch.zeros_like(values))
    slopes = torch.cat([ones, _slopes(raw_d), ones], -1)
    moved, log_derivative = _transform(safe, _knots(raw_x, bound), _knots(raw_y, bound), slopes, inverse=inverse)
    return torch.where(inside, moved, values), torch.where(inside, log_derivative, torch.zeros_like(values))


def circular(
    values: torch.Tensor, parameters: torch.Tensor, bins: int, *, inverse: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """A spline of the circle [-pi, pi) that fixes -pi, with equal slopes at both ends; parameters (..., 3 * bins)."""
    raw_x, raw_y, raw_d = torch.tensor_split(parameters, (bins, 2 * bins), -1)
    slopes = _slopes(raw_d)
    slopes = torch.cat([slopes, slopes[..., :1]], -1)
    return _transform(values, _knots(raw_x, math.pi), _knots(raw_y, math.pi), slopes, inverse=inverse)
