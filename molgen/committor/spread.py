"""The histogram test: configurations predicted to have q = ½ must have it, all of them."""

import math
from dataclasses import dataclass

import numpy as np

from molgen.arrays import FloatArray
from molgen.observables.boundary import A, B
from molgen.shooting.shots import Shots

HALF_WIDTH = 0.02
"""Configurations with q̂ this near ½ take part."""
_REPEATS = 2000


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of the true committors of ``points`` configurations, the noise of shots taken off.

    ``upper`` is the upper end of a one-sided 95 % interval of the standard deviation.
    """

    points: int
    mean: float
    mean_error: float
    deviation: float
    upper: float


def histogram_test(
    shots: Shots, q: FloatArray, generator: np.random.Generator, half_width: float = HALF_WIDTH
) -> Spread:
    """Var(q) = Var(S/K) − ⟨variance of pair means within a point / (K/2)⟩ over points with |q̂ − ½| < ``half_width``.

    ``q`` (P,) are predictions for the configurations of ``shots``. Pairs, not shots, are the independent units. The
    upper bound is a bootstrap over points. NaN where fewer than three points have two decided pairs.
    """
    outcome = np.where(shots.outcome == B, 1.0, np.where(shots.outcome == A, 0.0, np.nan))
    order = np.lexsort((shots.sign, shots.pair))
    pair_mean = outcome[order].reshape(-1, 2).mean(axis=1)
    where = shots.configuration[order].reshape(-1, 2)[:, 0]
    decided = np.isfinite(pair_mean)
    shares, within = [], []
    for point in np.flatnonzero(np.abs(q - 0.5) < half_width):
        values = pair_mean[decided & (where == point)]
        if len(values) >= 2:
            shares.append(values.mean())
            within.append(values.var(ddof=1) / len(values))
    if len(shares) < 3:
        return Spread(len(shares), math.nan, math.nan, math.nan, math.nan)
    share, noise = np.array(shares), np.array(within)
    picks = generator.integers(len(share), size=(_REPEATS, len(share)))
    variances = share[picks].var(axis=1, ddof=1) - noise[picks].mean(axis=1)
    upper = math.sqrt(max(float(np.quantile(variances, 0.95)), 0.0))
    variance = float(share.var(ddof=1) - noise.mean())
    return Spread(
        len(share),
        float(share.mean()),
        float(share.std(ddof=1) / math.sqrt(len(share))),
        math.sqrt(max(variance, 0.0)),
        upper,
    )
