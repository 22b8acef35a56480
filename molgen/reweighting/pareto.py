"""The Pareto tail index k̂ of importance weights.

Vehtari, Simpson, Gelman, Yao and Gabry, "Pareto smoothed importance sampling", J. Mach. Learn. Res. 25(72), 2024
(arXiv 1507.02646): a generalised Pareto distribution is fitted to the M largest weights; k is its shape. The mean of w
has a finite variance for k < 1/2, and its error can be estimated from n draws for k below the threshold.

The fit is Zhang and Stephens, Technometrics 51, 316 (2009), doi:10.1198/tech.2009.08017, with the weak prior of the
first paper, appendix C. It is written out here because the sign that library versions expect of their input has
changed between releases; the tests compare it with such a library and with samples of known index.
"""

import math

import numpy as np

from molgen.arrays import FloatArray
from molgen.weights import masked

SMALLEST_TAIL = 5
"""Fewer exceedances than this say nothing about a tail."""
_PRIOR_COUNT = 10.0
_PRIOR_SHAPE = 0.5


def pareto_threshold(n: int) -> float:
    """The largest k̂ that can be believed with ``n`` draws: min(1 - 1/log10 n, 0.7); 0 for fewer than 11."""
    if n <= 10:
        return 0.0
    return min(1.0 - 1.0 / math.log10(n), 0.7)


def tail_length(n: int) -> int:
    """M = min(n/5, 3√n), rounded up, the number of largest weights that enter the fit."""
    return math.ceil(min(0.2 * n, 3.0 * math.sqrt(n)))


def pareto_k(log_weight: FloatArray) -> float:
    """k̂ of the weights ``(n,)``; rows that are not finite are weights of 0 among the n.

    inf where fewer than ``SMALLEST_TAIL`` weights exceed the cutoff although they are not all equal (nothing can be
    said, so nothing is promised); 0 where the largest weights are all equal (no tail).
    """
    values = np.sort(masked(log_weight))
    count = tail_length(len(values))
    if len(values) == 0 or not math.isfinite(values[-1]):
        return math.inf
    if count < SMALLEST_TAIL or count >= len(values):
        return math.inf
    scaled = np.exp(values - values[-1])
    cutoff = scaled[-count - 1]
    if 1.0 - cutoff <= 1e-12:
        return 0.0
    exceedances = scaled[-count:] - cutoff
    exceedances = exceedances[exceedances > 0.0]
    if len(exceedances) < SMALLEST_TAIL:
        return math.inf
    return generalised_pareto_fit(exceedances)[0]


def generalised_pareto_fit(exceedances: FloatArray) -> tuple[float, float]:
    """(k, σ) of the generalised Pareto density (1 + k·y/σ)^(-1/k - 1)/σ for positive, ascending y ``(m,)``.

    The posterior mean of b = -k/σ over a grid of Zhang and Stephens' profile likelihood, then k = mean ln(1 - b·y),
    drawn towards 1/2 with the weight of 10 observations.
    """
    y = np.asarray(exceedances, dtype=np.float64)
    n = len(y)
    grid = 30 + int(math.sqrt(n))
    steps = 1.0 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))
    quartile = y[int(n / 4 + 0.5) - 1]
    b = steps / (3.0 * quartile) + 1.0 / y[-1]
    # At b = 0 the profile is a limit, which rounding would make 0/0; tied exceedances put a point of the grid there.
    b = np.where(np.abs(b) * y[-1] < 1e-9, 1e-9 / y[-1], b)
    shape = np.mean(np.log1p(-b[:, None] * y), axis=1)
    log_likelihood = n * (np.log(-b / shape) - shape - 1.0)
    posterior = np.exp(log_likelihood - np.max(log_likelihood))
    b_mean = float(np.sum(b * posterior) / np.sum(posterior))
    k = float(np.mean(np.log1p(-b_mean * y)))
    sigma = -k / b_mean
    return (n * k + _PRIOR_COUNT * _PRIOR_SHAPE) / (n + _PRIOR_COUNT), sigma
