"""ln Z of a target from both sides: draws of a model weighed forward, frames of the target weighed backward.

With w = exp(-u)/q the draws give Z = E_q[w], the frames 1/Z = E_p[1/w], and both together Bennett's acceptance ratio
(C. H. Bennett, J. Comput. Phys. 22, 245 (1976), doi:10.1016/0021-9991(76)90078-4), the best estimate from the two
samples. Draws that miss a part of the target make the forward value too low, and then the frames show more evidence
than the draws; frames that miss a part make the backward value wrong.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.errors import InputError
from molgen.reweighting.mixture import responsibilities
from molgen.reweighting.multistate import solve_free_energies
from molgen.weights import (
    MAX_ALLOWANCE_KT,
    MAX_DISAGREEMENT_KT,
    effective_count,
    log_mean_exp,
    masked,
)


@dataclass(frozen=True)
class Bidirectional:
    """ln Z by draws, by frames and by both, each with its standard error in kT; ``combined`` NaN without overlap."""

    forward: float
    forward_error: float
    backward: float
    backward_error: float
    combined: float
    combined_error: float

    @property
    def disagreement_kt(self) -> float:
        """How much more evidence the frames show than the draws."""
        return self.backward - self.forward

    @property
    def error_kt(self) -> float:
        """Standard error of the disagreement."""
        return math.hypot(self.forward_error, self.backward_error)

    @property
    def agrees(self) -> bool:
        """Whether both directions agree as the guard of training asks (docs/statistics.md, section 2), either way."""
        allowed = MAX_DISAGREEMENT_KT + min(1.96 * self.error_kt, MAX_ALLOWANCE_KT)
        return abs(self.disagreement_kt) <= allowed if math.isfinite(self.disagreement_kt) else False

    def to_json(self) -> dict[str, Any]:
        """The record in result.json."""
        return {
            "forward": self.forward,
            "forward_error": self.forward_error,
            "backward": self.backward,
            "backward_error": self.backward_error,
            "bar": self.combined,
            "bar_error": self.combined_error,
            "disagreement_kt": self.disagreement_kt,
            "error_kt": self.error_kt,
            "agrees": self.agrees,
        }


def both_directions(draw_log_weight: FloatArray, frame_log_weight: FloatArray) -> Bidirectional:
    """From log w = -u - ln q of draws of q ``(n,)`` and of independent frames of the target ``(m,)``.

    What is not finite is a weight of 0 on a draw (it cannot be in the target), and 1/w = 0 on a frame (q gives it no
    density). Errors of the one-sided values are those of ln of a mean by the delta method.
    """
    inverse = masked(-np.asarray(frame_log_weight, dtype=np.float64))
    combined, error = _bar(draw_log_weight, inverse)
    return Bidirectional(
        log_mean_exp(draw_log_weight),
        _log_mean_error(draw_log_weight),
        -log_mean_exp(inverse),
        _log_mean_error(inverse),
        combined,
        error,
    )


def _log_mean_error(log_weight: FloatArray) -> float:
    """Standard error of ln of the mean of w ``(n,)``: √(1/ESS - 1/n)."""
    effective = effective_count(log_weight)
    return math.sqrt(max(0.0, 1.0 / effective - 1.0 / len(log_weight))) if effective > 0.0 else math.inf


def _bar(draw_log_weight: FloatArray, inverse: FloatArray) -> tuple[float, float]:
    """Bennett's ln Z and its standard error; NaN where one side gives the other nothing at all.

    Two samples of which one has a known density: -f of :mod:`molgen.reweighting.multistate`. With r the probability
    that a row came from the other sample, Var = (E_q[r²]/E_q[r]² - 1)/n + (E_p[r²]/E_p[r]² - 1)/m (Bennett, eq. 10).
    """
    n, m = len(draw_log_weight), len(inverse)
    if not (np.any(np.isfinite(draw_log_weight)) and np.any(np.isfinite(inverse))):
        return math.nan, math.inf
    # ln q is 0 and -u = log w; a frame to which q gives nothing has ln q = -inf and -u = 0.
    columns = np.zeros((n + m, 2))
    columns[:n, 1] = masked(draw_log_weight)
    columns[n:, 1] = np.where(np.isfinite(inverse), -inverse, 0.0)
    columns[n:, 0][~np.isfinite(inverse)] = -np.inf
    counts = np.array([n, m], dtype=np.float64)
    try:
        f = solve_free_energies(columns, counts, np.array([True, False]))
    except InputError:
        return math.nan, math.inf
    share = responsibilities(columns + f, counts)
    variance = _relative_variance(share[:n, 1]) + _relative_variance(share[n:, 0])
    return -float(f[1]), math.sqrt(variance)


def _relative_variance(values: FloatArray) -> float:
    """Variance of the mean of ``values`` ``(n,)`` over its square."""
    mean = float(np.mean(values))
    if mean <= 0.0:
        return math.inf
    return max(float(np.mean(values**2)) / mean**2 - 1.0, 0.0) / len(values)
