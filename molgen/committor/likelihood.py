r"""The binomial likelihood of shots, and what it is measured against.

From a configuration of committor q = σ(z), S of K decided shots reach B: :math:`-\ln L = K\,\mathrm{softplus}(z) - S z`
up to the binomial coefficient, which no model changes. No importance weights are needed to fit q: each configuration
has its own.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import expit, xlogy
from scipy.stats import binom

from molgen.arrays import FloatArray, IntArray


def negative_log_likelihood(logit: torch.Tensor, reached: torch.Tensor, decided: torch.Tensor) -> torch.Tensor:
    """-ln L (..., n) of ``reached`` of ``decided`` shots (n,) at logits z (..., n), without the coefficient."""
    return decided * torch.nn.functional.softplus(logit) - reached * logit


_ROWS = 512
"""Configurations whose binomial distributions are looked at together."""


@dataclass(frozen=True)
class Fidelity:
    """How well committors describe shots: log loss and Brier score a shot, and the least log loss there could be.

    ``log_loss_floor`` is the entropy of each configuration's own share S/K, raised by what the true q costs more on
    average than the share that was fitted to the same shots: about ½ a configuration, less near q = 0 and 1.
    ``dispersion`` is Σ (S − K q)² / Σ K q (1 − q), 1 for binomial counts around these q. Pearson's χ² would be
    that of a single configuration where q is 1e-9 and some shots reached B.
    """

    configurations: int
    shots: int
    log_loss: float
    log_loss_floor: float
    brier: float
    dispersion: float


def fidelity(q: FloatArray, reached: IntArray, decided: IntArray) -> Fidelity:
    """The :class:`Fidelity` of committors ``q`` (n,) for ``reached`` of ``decided`` shots (n,); rows without are left
    out.

    q of exactly 0 or 1 against shots that say otherwise gives an infinite loss.
    """
    used = decided > 0
    p, s, k = q[used], reached[used].astype(np.float64), decided[used].astype(np.float64)
    shots = float(k.sum())
    with np.errstate(divide="ignore"):
        loss = -(xlogy(s, p) + xlogy(k - s, 1.0 - p)).sum()
    share = s / k
    least = -(xlogy(s, share) + xlogy(k - s, 1.0 - share)).sum() + _gain_of_own_share(p, k).sum()
    brier = (s * (1.0 - p) ** 2 + (k - s) * p**2).sum()
    variance = k * p * (1.0 - p)
    dispersion = ((s - k * p) ** 2).sum() / variance.sum() if variance.sum() > 0.0 else math.nan
    return Fidelity(len(k), int(shots), loss / shots, least / shots, brier / shots, float(dispersion))


def _gain_of_own_share(q: FloatArray, decided: FloatArray) -> FloatArray:
    """What a configuration's own share costs less than its q on average, (n,), over binomial counts S of K with that q.

    K H(q) − E[K H(S/K)], H the entropy: ½ where K q (1 − q) is large, next to nothing where q is near 0 or 1.
    """
    gain = np.zeros(len(q))
    for k in np.unique(decided):
        rows = np.flatnonzero(decided == k)
        counts = np.arange(int(k) + 1)
        own = -(xlogy(counts, counts / k) + xlogy(k - counts, 1.0 - counts / k))
        for piece in np.array_split(rows, -(-len(rows) // _ROWS)):
            p = q[piece]
            entropy = -k * (xlogy(p, p) + xlogy(1.0 - p, 1.0 - p))
            gain[piece] = entropy - binom.pmf(counts, int(k), p[:, None]) @ own
    return gain


@dataclass(frozen=True)
class Recalibration:
    """logit q = ``intercept`` + ``slope`` · logit q̂ fitted to shots, with standard errors; 0 and 1 are perfect."""

    slope: float
    slope_error: float
    intercept: float
    intercept_error: float


def recalibrate(logit: FloatArray, reached: IntArray, decided: IntArray) -> Recalibration:
    """The recalibration of logits (n,) by Newton's method on the binomial likelihood.

    Errors are those of configurations, whose shots may be more alike than binomial ones (:func:`_fitted`). NaN where
    the shots do not determine both numbers.
    """
    beta, error = _fitted(logit, reached, decided, np.arange(len(logit)), intercept=True)
    return Recalibration(float(beta[1]), float(error[1]), float(beta[0]), float(error[0]))


def steepness(logit: FloatArray, reached: IntArray, decided: IntArray, lineage: IntArray) -> tuple[float, float]:
    """b of the likeliest σ(b z) for logits (n,), without an intercept, and its standard error; NaN where none is.

    Configurations of a ``lineage`` (n,) may err together.
    """
    beta, error = _fitted(logit, reached, decided, lineage, intercept=False)
    return float(beta[0]), float(error[0])


def _fitted(
    logit: FloatArray, reached: IntArray, decided: IntArray, group: IntArray, *, intercept: bool
) -> tuple[FloatArray, FloatArray]:
    r"""The likeliest (a, b) or (b,) of σ(a + b z), by Newton's method, and their standard errors.

    Members of a ``group`` (n,) may err together: the covariance is :math:`\frac{G}{G - 1} I^{-1} \sum_g U_g U_g^T
    I^{-1}` with the score :math:`U_g` of each of G groups and the information I (K.-Y. Liang and S. L. Zeger,
    Biometrika 73, 13 (1986), doi:10.1093/biomet/73.1.13).
    """
    used = (decided > 0) & np.isfinite(logit)
    z, s, k = logit[used], reached[used].astype(np.float64), decided[used].astype(np.float64)
    design = np.stack([np.ones_like(z), z], axis=1) if intercept else z[:, None]
    beta = np.array([0.0, 1.0]) if intercept else np.ones(1)
    unknown = np.full_like(beta, np.nan), np.full_like(beta, np.nan)
    names, number = np.unique(group[used], return_inverse=True)

    def loss(beta: FloatArray) -> float:
        return float((k * np.logaddexp(0.0, design @ beta) - s * (design @ beta)).sum())

    for _ in range(100):
        p = expit(design @ beta)
        information = design.T @ ((k * p * (1.0 - p))[:, None] * design)
        if len(names) < 2 or not np.isfinite(information).all() or not np.linalg.cond(information) < 1e12:
            return unknown
        change = np.linalg.solve(information, design.T @ (s - k * p))
        # The likelihood is concave: a whole step may jump over its top and go round for ever, a shorter one does not.
        while loss(beta + change) > loss(beta) + 1e-12 * abs(loss(beta)):
            change = 0.5 * change
        beta = beta + change
        if np.abs(change).max() < 1e-10:
            score = np.zeros((len(names), len(beta)))
            np.add.at(score, number, (s - k * p)[:, None] * design)
            each = np.linalg.solve(information, score.T)
            return beta, np.sqrt(len(names) / (len(names) - 1) * (each**2).sum(1))
    return unknown


@dataclass(frozen=True)
class ReliabilityBin:
    """Shots from configurations with q̂ in [``low``, ``high``): mean q̂, share that reached B, Wilson's interval."""

    low: float
    high: float
    configurations: int
    shots: int
    predicted: float
    observed: float
    interval: tuple[float, float]


def reliability(q: FloatArray, reached: IntArray, decided: IntArray, bins: int = 10) -> tuple[ReliabilityBin, ...]:
    """The reliability diagram on ``bins`` equal bins of q̂; empty ones are left out."""
    edges = np.linspace(0.0, 1.0, bins + 1)
    place = np.clip(np.searchsorted(edges, q, side="right") - 1, 0, bins - 1)
    found = []
    for number in range(bins):
        inside = (place == number) & (decided > 0)
        shots = int(decided[inside].sum())
        if not shots:
            continue
        hits = int(reached[inside].sum())
        predicted = float((q[inside] * decided[inside]).sum() / shots)
        found.append(
            ReliabilityBin(
                float(edges[number]),
                float(edges[number + 1]),
                int(inside.sum()),
                shots,
                predicted,
                hits / shots,
                wilson(hits, shots),
            )
        )
    return tuple(found)


def expected_calibration_error(rows: tuple[ReliabilityBin, ...]) -> float:
    """Σ_b (shots in b) |observed - predicted| / (all shots)."""
    total = sum(row.shots for row in rows)
    return sum(row.shots * abs(row.observed - row.predicted) for row in rows) / total if total else math.nan


def wilson(hits: int, trials: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209)."""
    share, square = hits / trials, z * z / trials
    centre = (share + 0.5 * square) / (1.0 + square)
    half = z * math.sqrt(share * (1.0 - share) / trials + 0.25 * square / trials) / (1.0 + square)
    return max(0.0, centre - half), min(1.0, centre + half)
