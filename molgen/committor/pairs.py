"""What two shots of a pair have in common beyond their configuration."""

import math
from dataclasses import dataclass

import numpy as np

from molgen.arrays import FloatArray
from molgen.observables.boundary import A, B
from molgen.shooting.shots import Shots


@dataclass(frozen=True)
class PairCorrelation:
    """Correlation of the outcomes of shots with v and −v from one configuration, with its standard error.

    Where it is above 0 two shots of a pair tell less than two shots; ``inflation`` 1 + correlation is the factor by
    which the variance of S/K exceeds the binomial one.
    """

    pairs: int
    correlation: float
    error: float

    @property
    def inflation(self) -> float:
        """1 + correlation; 1 where it is unknown."""
        return 1.0 + self.correlation if math.isfinite(self.correlation) else 1.0


def pair_correlation(shots: Shots, q: FloatArray) -> PairCorrelation:
    """The correlation over decided pairs, with ``q`` (P,) the committor of each configuration.

    ρ = Σ (b₊ − q)(b₋ − q) / Σ q (1 − q), b ↔ 1 for a shot that reached B; the error from the spread over pairs.
    """
    outcome = np.where(shots.outcome == B, 1.0, np.where(shots.outcome == A, 0.0, np.nan))
    order = np.lexsort((-shots.sign, shots.pair))
    both = outcome[order].reshape(-1, 2)
    p = q[shots.configuration[order].reshape(-1, 2)[:, 0]]
    used = np.isfinite(both).all(axis=1) & (p > 0.0) & (p < 1.0)
    both, p = both[used], p[used]
    variance = (p * (1.0 - p)).sum()
    if len(p) < 2 or variance <= 0.0:
        return PairCorrelation(len(p), math.nan, math.nan)
    products = (both[:, 0] - p) * (both[:, 1] - p)
    correlation = float(products.sum() / variance)
    residual = products - correlation * p * (1.0 - p)
    return PairCorrelation(len(p), correlation, float(np.sqrt((residual**2).sum()) / variance))
