"""Expectation values of collective variables."""

import math

import numpy as np

from molgen.analysis.intervals import Estimate, WeightedRows, mean_influence, plain_interval
from molgen.arrays import FloatArray


def expectation(rows: WeightedRows, values: FloatArray, *, periodic: bool = False) -> Estimate:
    """⟨x⟩ = Σ w̃_i x_i with a 95 % interval; for a periodic variable the circular mean atan2(⟨sin⟩, ⟨cos⟩) in rad.

    The interval of a circular mean may run beyond ±π, so that it stays connected.
    """
    if not np.any(rows.share > 0.0):
        return Estimate(math.nan, math.nan, math.nan, math.inf)
    if not periodic:
        value, influence = mean_influence(rows, values)
        return plain_interval(value, rows.standard_error(influence), rows)
    sine, psi_sine = mean_influence(rows, np.sin(values))
    cosine, psi_cosine = mean_influence(rows, np.cos(values))
    length = sine**2 + cosine**2
    if length <= 1e-24:
        return Estimate(math.nan, math.nan, math.nan, math.inf)
    influence = (cosine * psi_sine - sine * psi_cosine) / length
    return plain_interval(math.atan2(sine, cosine), rows.standard_error(influence), rows)
