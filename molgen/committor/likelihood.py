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
    ``dispersion`` is Pearson's χ² a degree of freedom, 1 for binomial counts around these committors.
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
    known = variance > 0.0
    chi = (((s - k * p) ** 2)[known] / variance[known]).sum() / max(int(known.sum()), 1)
    return Fidelity(len(k), int(shots), loss / shots, least / shots, brier / shots, float(chi))


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


def recalibrate(logit: FloatArray, reached: IntArray, decided: IntArray, dispersion: float = 1.0) -> Recalibration:
    """The recalibration of logits (n,) by Newton's method on the binomial likelihood.

    Errors are those of the likelihood times √max(``dispersion``, 1): shots that are more alike than binomial ones know
    less. NaN where the shots do not determine both numbers.
    """
    beta, error = _fitted(logit, reached, decided, intercept=True)
    error = error * np.sqrt(max(dispersion, 1.0))
    return Recalibration(float(beta[1]), float(error[1]), float(beta[0]), float(error[0]))


def steepness(logit: FloatArray, reached: IntArray, decided: IntArray, lineage: IntArray) -> tuple[float, float]:
    r"""b of the likeliest σ(b z) for logits (n,), without an intercept, and its standard error; NaN where none is.

    Configurations of a ``lineage`` (n,) may err together: :math:`s^2 = \frac{G}{G - 1} \sum_g U_g^2 / I^2` with the
    score :math:`U_g = \sum_{i \in g} z_i (S_i - K_i \sigma(b z_i))` of each of G lineages and the information I
    (K.-Y. Liang and S. L. Zeger, Biometrika 73, 13 (1986), doi:10.1093/biomet/73.1.13).
    """
    beta, error = _fitted(logit, reached, decided, intercept=False)
    used = (decided > 0) & np.isfinite(logit)
    score = (logit * (reached - decided * expit(beta[0] * logit)))[used]
    _, group = np.unique(lineage[used], return_inverse=True)
    each = np.bincount(group, score)
    if len(each) < 2:
        return float(beta[0]), math.nan
    together = math.sqrt(len(each) / (len(each) - 1) * float(each @ each))
    return float(beta[0]), together * float(error[0]) ** 2


def _fitted(
    logit: FloatArray, reached: IntArray, decided: IntArray, *, intercept: bool
) -> tuple[FloatArray, FloatArray]:
    """The likeliest (a, b) or (b,) of σ(a + b z) and their standard errors, by Newton's method."""
    used = (decided > 0) & np.isfinite(logit)
    z, s, k = logit[used], reached[used].astype(np.float64), decided[used].astype(np.float64)
    design = np.stack([np.ones_like(z), z], axis=1) if intercept else z[:, None]
    beta = np.array([0.0, 1.0]) if intercept else np.ones(1)
    unknown = np.full_like(beta, np.nan), np.full_like(beta, np.nan)

    def loss(beta: FloatArray) -> float:
        return float((k * np.logaddexp(0.0, design @ beta) - s * (design @ beta)).sum())

    for _ in range(100):
        p = expit(design @ beta)
        information = design.T @ ((k * p * (1.0 - p))[:, None] * design)
        if not np.isfinite(information).all() or not np.linalg.cond(information) < 1e12:
            return unknown
        change = np.linalg.solve(information, design.T @ (s - k * p))
        # The likelihood is concave: a whole step may jump over its top and go round for ever, a shorter one does not.
        while loss(beta + change) > loss(beta) + 1e-12 * abs(loss(beta)):
            change = 0.5 * change
        beta = beta + change
        if np.abs(change).max() < 1e-10:
            return beta, np.sqrt(np.diag(np.linalg.inv(information)))
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
