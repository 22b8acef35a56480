r"""Weights that agree with measured averages and differ as little as they can from given ones.

With shares w⁰_i of rows, observables s_j and measured means d_j ± σ_j, the weights

.. math:: w_i \propto w^0_i \exp\Bigl(-\sum_j \mu_j z_{ij}\Bigr), \qquad z_{ij} = (s_j(x_i) - d_j) / \sigma_j

minimise ½ Σ_j ⟨z_j⟩² + θ D(w‖w⁰), D the relative entropy, where μ minimises the convex dual

.. math:: \Gamma(\mu) = \ln \sum_i w^0_i e^{-\mu \cdot z_i} + \tfrac{\theta}{2} |\mu|^2

with gradient −⟨z⟩ + θμ and Hessian Cov(z) + θ. θ → ∞ leaves the weights alone, θ → 0 meets the data exactly.
(G. Hummer and J. Köfinger, J. Chem. Phys. 143, 243150 (2015), doi:10.1063/1.4937786; A. Cesari, S. Reißer and
G. Bussi, Computation 6, 15 (2018), doi:10.3390/computation6010015; S. Bottaro, T. Bengtsen and K. Lindorff-Larsen,
Methods Mol. Biol. 2112, 219 (2020), doi:10.1007/978-1-0716-0270-6_15, whose λ_j are μ_j/σ_j here.)
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.errors import PartialError

THETAS: FloatArray = np.logspace(4.0, -2.0, 25)
"""θ that are tried, from leaving the weights alone towards the data."""
FEWEST_HELD_OUT = 3
"""With fewer observables none can be held out."""
FOLDS = 5
GRADIENT_TOLERANCE = 1e-8
_ACCEPTED_GRADIENT = 1e-5
_TIE = 1e-3


@dataclass(frozen=True)
class Tilt:
    """μ ``(m,)``, the new shares ``(n,)``, ⟨z⟩ ``(m,)`` under them, D(w‖w⁰), and the Hessian of the dual ``(m, m)``."""

    mu: FloatArray
    share: FloatArray
    mean: FloatArray
    relative_entropy: float
    hessian: FloatArray

    @property
    def chi_square(self) -> float:
        """Mean of ⟨z_j⟩² over the observables: 1 where they agree within their errors."""
        return float(np.mean(self.mean**2))


@dataclass(frozen=True)
class ThetaChoice:
    """The θ taken (inf: the weights are left alone), the rule in words, and χ² of held-out observables by θ."""

    theta: float
    rule: str
    held_out: dict[float, float]


def fit_tilt(share: FloatArray, z: FloatArray, theta: float, start: FloatArray | None = None) -> Tilt:
    """The weights nearest to ``share`` ``(n,)`` (summing to 1) for standardised observables ``z`` ``(n, m)``.

    ``theta`` > 0, inf for the weights as they are; ``start`` is a first guess of μ. Rows of share 0 keep it, whatever
    stands in z. ``PartialError`` if the minimum is not found.
    """
    used = share > 0.0
    log_share, rows = np.log(share[used]), z[used]
    mu = np.zeros(z.shape[1])
    if math.isfinite(theta):
        mu = _minimise(log_share, rows, theta, mu if start is None else start)
    weights, log_norm = _tilted(log_share, rows, mu)
    mean = weights @ rows
    tilted = np.zeros(len(share))
    tilted[used] = weights
    hessian = _covariance(weights, rows, mean) + (theta if math.isfinite(theta) else 0.0) * np.eye(len(mu))
    return Tilt(mu, tilted, mean, max(0.0, float(-mu @ mean) - log_norm), hessian)


def _minimise(log_share: FloatArray, rows: FloatArray, theta: float, start: FloatArray) -> FloatArray:
    from scipy.optimize import minimize

    def value(mu: FloatArray) -> tuple[float, FloatArray]:
        weights, log_norm = _tilted(log_share, rows, mu)
        return log_norm + 0.5 * theta * float(mu @ mu), theta * mu - weights @ rows

    def hessian(mu: FloatArray) -> FloatArray:
        weights, _ = _tilted(log_share, rows, mu)
        return _covariance(weights, rows, weights @ rows) + theta * np.eye(len(mu))

    options: Any = {"gtol": GRADIENT_TOLERANCE, "maxiter": 500}
    found = minimize(value, start, jac=True, hess=hessian, method="trust-exact", options=options)
    mu = np.asarray(found.x, dtype=np.float64)
    slope = float(np.max(np.abs(value(mu)[1])))
    if not math.isfinite(slope) or slope > _ACCEPTED_GRADIENT * max(1.0, theta * float(np.max(np.abs(mu)))):
        raise PartialError(
            f"The weights that agree with the data were not found (the slope of the dual is {slope:.2g}).",
            "Check the errors of the observables, or give a larger theta (--set restraints.theta=...).",
        )
    return mu


def _tilted(log_share: FloatArray, rows: FloatArray, mu: FloatArray) -> tuple[FloatArray, float]:
    """Normalised weights (n,) and ln Σ w⁰ exp(-μ·z)."""
    exponent = log_share - rows @ mu
    peak = float(np.max(exponent))
    weights = np.exp(exponent - peak)
    total = float(np.sum(weights))
    return weights / total, peak + math.log(total)


def _covariance(weights: FloatArray, rows: FloatArray, mean: FloatArray) -> FloatArray:
    centred = rows - mean
    return np.asarray((weights[:, None] * centred).T @ centred, dtype=np.float64)


def choose_theta(share: FloatArray, z: FloatArray, generator: np.random.Generator) -> ThetaChoice:
    """θ by observables that are held out; with fewer than three by the errors alone.

    Three or more: the observables are parted at random into at most ``FOLDS`` folds, each is predicted by the weights
    fitted to the others, and the largest θ is taken whose χ² of the held-out ones is the smallest but for a thousandth
    (inf where no θ predicts them better than the weights as they are). Fewer: the largest θ whose χ² is at most 1,
    that is, no step further than the errors ask for.
    """
    m = z.shape[1]
    return _by_errors(share, z) if m < FEWEST_HELD_OUT else _by_held_out(share, z, generator.permutation(m))


def _by_held_out(share: FloatArray, z: FloatArray, order: IntArray) -> ThetaChoice:
    m = len(order)
    folds = [order[k :: min(FOLDS, m)] for k in range(min(FOLDS, m))]
    squares = {math.inf: np.square(fit_tilt(share, z, math.inf).mean)}
    starts = [np.zeros(m - len(fold)) for fold in folds]
    for theta in map(float, THETAS):
        squares[theta] = np.empty(m)
        for k, fold in enumerate(folds):
            rest = np.setdiff1d(order, fold)
            tilt = fit_tilt(share, z[:, rest], theta, starts[k])
            starts[k] = tilt.mu
            used = share > 0.0
            squares[theta][fold] = np.square(tilt.share[used] @ z[used][:, fold])
    held_out = {theta: float(np.mean(values)) for theta, values in squares.items()}
    limit = min(held_out.values()) * (1.0 + _TIE)
    theta = max(theta for theta, value in held_out.items() if value <= limit)
    return ThetaChoice(theta, f"least χ² of held-out observables in {len(folds)} folds", held_out)


def _by_errors(share: FloatArray, z: FloatArray) -> ThetaChoice:
    rule = f"largest θ that agrees within the errors (fewer than {FEWEST_HELD_OUT} observables)"
    if fit_tilt(share, z, math.inf).chi_square <= 1.0:
        return ThetaChoice(math.inf, rule, {})
    high, low = float(THETAS[0]), float(THETAS[-1])
    if fit_tilt(share, z, high).chi_square <= 1.0:
        return ThetaChoice(high, rule, {})
    if fit_tilt(share, z, low).chi_square > 1.0:
        return ThetaChoice(low, f"{rule}; none does, so the smallest", {})
    while high / low > 1.0 + _TIE:
        middle = math.sqrt(high * low)
        low, high = (low, middle) if fit_tilt(share, z, middle).chi_square > 1.0 else (middle, high)
    return ThetaChoice(low, rule, {})
