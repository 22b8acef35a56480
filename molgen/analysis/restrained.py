r"""Populations and means under weights that were fitted to data, with the errors of draws and data.

The tilt μ depends on the draws. With z_i the standardised observables, w_i the fitted weights and H = Cov(z) + θ the
Hessian of the dual, the influence of a draw on the mean of f is

.. math:: \psi_i = w_i [ f_i - \bar f - \mathrm{Cov}(f, z)\, H^{-1} (z_i - \bar z) ],

the residual of f regressed on what is restrained. The errors of the data move the mean of f by Cov(f, z) H⁻¹ δ, δ
standard normal; intervals hold both, which are independent. What restraining itself may get wrong, they do not hold.
"""

import math

import numpy as np

from molgen.analysis.intervals import Estimate, WeightedRows, plain_interval, share_interval
from molgen.arrays import BoolArray, FloatArray


def restrained_population(
    rows: WeightedRows, inside: BoolArray, z: FloatArray, hessian: FloatArray
) -> tuple[Estimate, float]:
    """The share of rows ``inside`` ``(n,)`` with its interval, and how much of its error is that of the data.

    ``rows`` have the fitted weights, ``z`` is ``(n, m)``, ``hessian`` ``(m, m)`` is H (:class:`Tilt`).
    """
    value, error, from_data = _mean(rows, inside.astype(np.float64), z, hessian)
    return share_interval(value, error, rows), from_data


def restrained_mean(
    rows: WeightedRows, values: FloatArray, z: FloatArray, hessian: FloatArray
) -> tuple[Estimate, float]:
    """The mean of ``values`` ``(n,)`` with its interval, and how much of its error is that of the data."""
    value, error, from_data = _mean(rows, values, z, hessian)
    return plain_interval(value, error, rows), from_data


def _mean(rows: WeightedRows, values: FloatArray, z: FloatArray, hessian: FloatArray) -> tuple[float, float, float]:
    used = rows.share > 0.0
    f, observed = np.where(used, values, 0.0), np.where(used[:, None], z, 0.0)
    value, centre = float(rows.share @ f), rows.share @ observed
    centred = observed - centre
    covariance = (rows.share * (f - value)) @ centred
    # A direction without spread carries no information: the pseudo-inverse leaves it out.
    slope = np.linalg.pinv(hessian, hermitian=True) @ covariance
    influence = rows.share * (f - value - centred @ slope)
    from_data = math.sqrt(float(slope @ slope))
    return value, math.hypot(rows.standard_error(influence), from_data), from_data
