r"""How probable measured means are under weighted draws: for one force field against another.

The predicted means ⟨s_j⟩ of the *unrestrained* weights have a sampling covariance C of their own. With standardised
observables z_j = (s_j − d_j)/σ_j the data d are normal about the true means with the errors σ, and the true means about
the predicted ones with C, so that

.. math:: \ln L = -\tfrac12 \bar z^T (1 + C)^{-1} \bar z - \tfrac12 \ln\det(1 + C) - \sum_j \ln(\sigma_j \sqrt{2\pi}).

Neither force field has a parameter left to fit, so the ratio of two likelihoods is the Bayes factor. It is worth what
the errors σ are worth: they hold that of the measurement and that of computing s from a structure.
"""

from dataclasses import dataclass

import numpy as np

from molgen.analysis.intervals import WeightedRows, difference_error
from molgen.arrays import FloatArray


@dataclass(frozen=True)
class LikelihoodRatio:
    """ln L₂ − ln L₁ with the standard error that sampling leaves, both ln L without the constant of the σ, and χ²."""

    log_ratio: float
    error: float
    log_likelihoods: tuple[float, float]
    chi_squares: tuple[float, float]


def likelihood_ratio(first: WeightedRows, second: WeightedRows, z: FloatArray) -> LikelihoodRatio:
    """Of the data under the ``second`` weights over the ``first``, both of the same rows ``(n,)``; ``z`` is ``(n, m)``.

    The error comes from the influence of each row on −½|z̄|² under both weights, so that what they share drops out.
    """
    logs, squares, influences = [], [], []
    for rows in (first, second):
        used = np.where((rows.share > 0.0)[:, None], z, 0.0)
        mean = rows.share @ used
        psi = rows.share[:, None] * (used - mean)
        influences.append(-(psi @ mean))
        logs.append(_log_likelihood(mean, _covariance(rows, psi)))
        squares.append(float(np.mean(mean**2)))
    error = difference_error(second, influences[1], first, influences[0])
    return LikelihoodRatio(logs[1] - logs[0], error, (logs[0], logs[1]), (squares[0], squares[1]))


def _log_likelihood(mean: FloatArray, covariance: FloatArray) -> float:
    total = np.eye(len(mean)) + covariance
    return float(-0.5 * mean @ np.linalg.solve(total, mean) - 0.5 * np.linalg.slogdet(total)[1])


def _covariance(rows: WeightedRows, influence: FloatArray) -> FloatArray:
    """Sampling covariance (m, m) of means whose influences are ``influence`` (n, m)."""
    if rows.replicates is not None:
        means = rows.replicates @ influence.astype(np.float32)
        return np.atleast_2d(np.cov(means.T, ddof=1)).astype(np.float64)
    if rows.block is not None:
        sums = np.zeros((int(np.max(rows.block)) + 1, influence.shape[1]))
        np.add.at(sums, rows.block, influence)
        influence = sums
    count = len(influence)
    factor = count / max(count - 1, 1)
    return np.asarray(factor * influence.T @ influence, dtype=np.float64)
