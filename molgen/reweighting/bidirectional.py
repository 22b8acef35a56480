"""ln Z of a target from both sides: draws of a model weighed forward, frames of the target weighed backward.

With w = exp(-u)/q the draws give Z = E_q[w], the frames 1/Z = E_p[1/w], and both together Bennett's acceptance ratio
(C. H. Bennett, J. Comput. Phys. 22, 245 (1976), doi:10.1016/0021-9991(76)90078-4), the best estimate from the two
samples. Draws that miss a part of the target make the forward value too low, and then the frames show more evidence
than the draws; frames that miss a part make the backward value wrong.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.errors import InputError
from molgen.reweighting.mixture import responsibilities
from molgen.reweighting.multistate import solve_free_energies
from molgen.reweighting.pareto import pareto_k, pareto_threshold
from molgen.weights import (
    MAX_ALLOWANCE_KT,
    MAX_DISAGREEMENT_KT,
    effective_count,
    log_mean_exp,
    masked,
)


@dataclass(frozen=True)
class Direction:
    """ln Z from one side, its standard error in kT, and whether both are to be believed.

    They are not where Pareto's k of the averaged weights is too large, nor for the frames of a ``window``, a target
    that is meant to be narrower than the model: what they show is q(window)/Z, and nothing is wrong with either.
    """

    log_z: float
    error: float
    pareto_k: float
    believed: bool

    def to_json(self) -> dict[str, Any]:
        """The record in result.json."""
        return {**self.__dict__}


@dataclass(frozen=True)
class Bidirectional:
    """ln Z by draws, by frames, and by both (``combined``, NaN without overlap) with its standard error in kT."""

    forward: Direction
    backward: Direction
    combined: float
    combined_error: float
    window: bool = False

    @property
    def disagreement_kt(self) -> float:
        """How much more evidence the frames show than the draws; NaN where one of them is not to be believed."""
        if not (self.forward.believed and self.backward.believed):
            return math.nan
        return self.backward.log_z - self.forward.log_z

    @property
    def error_kt(self) -> float:
        """Standard error of the disagreement."""
        return math.hypot(self.forward.error, self.backward.error)

    @property
    def agrees(self) -> bool | None:
        """Whether both directions agree as the guard of training asks (docs/statistics.md, section 2), either way.

        None where one of them is not to be believed.
        """
        if math.isnan(self.disagreement_kt):
            return None
        return abs(self.disagreement_kt) <= MAX_DISAGREEMENT_KT + min(1.96 * self.error_kt, MAX_ALLOWANCE_KT)

    def sentence(self, name: str) -> str:
        """What was found, in words, of the target called ``name``."""
        draws, frames = self.forward, self.backward
        start = (
            f"ln Z of {name} is {draws.log_z:.2f} ± {draws.error:.2f} by the draws and {frames.log_z:.2f} ± "
            f"{frames.error:.2f} by its frames"
        )
        if self.agrees is None:
            why = "the frames see a window only"
            if not self.window:
                uneven = [side for side, found in (("draws", draws), ("frames", frames)) if not found.believed]
                why = f"the weights of the {' and '.join(uneven)} are too uneven"
            return f"{start}, whose difference says nothing: {why}."
        if self.agrees:
            return f"{start}: both directions agree."
        lost, seen = ("draws", "frames") if self.disagreement_kt > 0.0 else ("frames", "draws")
        return f"{start}: the {lost} miss a part of what the {seen} show."

    def to_json(self) -> dict[str, Any]:
        """The record in result.json."""
        return {
            "forward": self.forward.to_json(),
            "backward": self.backward.to_json(),
            "bar": self.combined,
            "bar_error": self.combined_error,
            "disagreement_kt": self.disagreement_kt,
            "error_kt": self.error_kt,
            "agrees": self.agrees,
        }


def both_directions(
    draw_log_weight: FloatArray, frame_log_weight: FloatArray, *, window: bool = False
) -> Bidirectional:
    """From log w = -u - ln q of draws of q ``(n,)`` and of independent frames of the target ``(m,)``.

    What is not finite is a weight of 0 on a draw (it cannot be in the target), and 1/w = 0 on a frame (q gives it no
    density). Errors of the one-sided values are those of ln of a mean by the delta method.
    """
    inverse = masked(-np.asarray(frame_log_weight, dtype=np.float64))
    combined, error = _bar(draw_log_weight, inverse)
    forward, backward = _direction(draw_log_weight), _direction(inverse)
    backward = replace(backward, log_z=-backward.log_z, believed=backward.believed and not window)
    return Bidirectional(forward, backward, combined, error, window)


def _direction(log_weight: FloatArray) -> Direction:
    """ln of the mean of w ``(n,)`` with its standard error √(1/ESS - 1/n)."""
    effective = effective_count(log_weight)
    error = math.sqrt(max(0.0, 1.0 / effective - 1.0 / len(log_weight))) if effective > 0.0 else math.inf
    tail = pareto_k(log_weight)
    believed = math.isfinite(error) and tail <= pareto_threshold(len(log_weight))
    return Direction(log_mean_exp(log_weight), error, tail, believed)


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
