r"""Populations and means under weights that were fitted to data, with the errors of draws and data.

The tilt μ depends on the draws. With z_i the standardised observables, w_i the fitted weights and H = Cov(z) + θ the
Hessian of the dual, the influence of a draw on the mean of f is

.. math:: \psi_i = w_i [ f_i - \bar f - \mathrm{Cov}(f, z)\, H^{-1} (z_i - \bar z) ],

the residual of f regressed on what is restrained. The data would move the mean of f by a·δ, with δ standard normal and
a = (Cov(z) + min(θ, 1))⁻¹ Cov(z, f), if they were believed as far as their errors say; and a fit that stops short of
them by z̄ may be off by a·z̄ as well. The error from the data is √(|a|² + (a·z̄)²), and intervals hold it beside that
of sampling. With a of a larger θ they would shrink with the trust in the force field, and miss the truth when that is
wrong.
"""

import math

import numpy as np

from molgen.analysis.intervals import Estimate, WeightedRows, plain_interval, share_interval
from molgen.arrays import BoolArray, FloatArray
from molgen.reweighting.maximum_entropy import BELIEVED, Tilt


def restrained_population(rows: WeightedRows, inside: BoolArray, z: FloatArray, tilt: Tilt) -> tuple[Estimate, float]:
    """The share of rows ``inside`` ``(n,)`` with its interval, and how much of its error is that of the data.

    ``rows`` have the fitted weights of ``tilt``, ``z`` is ``(n, m)``.
    """
    value, error, from_data = _mean(rows, inside.astype(np.float64), z, tilt)
    return share_interval(value, error, rows), from_data


def restrained_mean(rows: WeightedRows, values: FloatArray, z: FloatArray, tilt: Tilt) -> tuple[Estimate, float]:
    """The mean of ``values`` ``(n,)`` with its interval, and how much of its error is that of the data."""
    value, error, from_data = _mean(rows, values, z, tilt)
    return plain_interval(value, error, rows), from_data


def _mean(rows: WeightedRows, values: FloatArray, z: FloatArray, tilt: Tilt) -> tuple[float, float, float]:
    used = rows.share > 0.0
    f, observed = np.where(used, values, 0.0), np.where(used[:, None], z, 0.0)
    value, centre = float(rows.share @ f), rows.share @ observed
    centred = observed - centre
    covariance = (rows.share * (f - value)) @ centred
    influence = rows.share * (f - value)
    if math.isfinite(tilt.theta):
        influence = influence - rows.share * (centred @ _response(tilt, covariance, tilt.theta))
    believed = _response(tilt, covariance, min(tilt.theta, BELIEVED))
    from_data = math.hypot(float(np.linalg.norm(believed)), float(believed @ centre))
    return value, math.hypot(rows.standard_error(influence), from_data), from_data


def _response(tilt: Tilt, covariance: FloatArray, theta: float) -> FloatArray:
    """By how much the mean moves with each of the standardised data, at a θ."""
    return np.asarray(np.linalg.solve(tilt.covariance + theta * np.eye(len(covariance)), covariance), dtype=np.float64)
