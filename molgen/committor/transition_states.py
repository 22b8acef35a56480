r"""The transition-state ensemble: the part of the Boltzmann distribution with |q̂ − ½| < δ, and what it is worth.

A share p of a stationary series of frames with statistical inefficiency g is known as from n/g independent ones, so
that n p frames inside the window are worth n p/g, g that of the window's own indicator: frames of one crossing are one
sample, not many.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from molgen.analysis.correlated import independent_rows
from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.reweighting.pareto import pareto_k, pareto_threshold
from molgen.reweighting.populations import population_evidence
from molgen.reweighting.verdict import CAUTION_PARETO_K, CAUTION_STATE_ESS, MAX_LARGEST_SHARE, MIN_STATE_ESS
from molgen.weights import effective_count, largest_share, normalised

FrameOrigin = Literal["draws", "dynamics", "populations"]
"""Frames are independent draws, pieces of dynamics in time order (their lineage), or annealed particles (theirs is the
population)."""


@dataclass(frozen=True, eq=False)
class TransitionStates:
    """The frames ``inside`` (n,) of the window, their ``share`` of all weight and ``ess``, and a verdict.

    ``inefficiency`` is g of the window's indicator, 1 for draws. The words are those of
    :mod:`molgen.reweighting.verdict`, with its bounds for a state.
    """

    inside: BoolArray
    share: float
    ess: float
    inefficiency: float
    largest_share: float
    pareto_k: float | None
    verdict: Literal["reliable", "caution", "refused"]
    reasons: tuple[str, ...]


def transition_states(
    q: FloatArray, log_weight: FloatArray | None, lineage: IntArray, origin: FrameOrigin, delta: float
) -> TransitionStates:
    """The frames with |q − ½| < ``delta`` of those with committors ``q`` (n,), weights and ``lineage`` (n,)."""
    inside = np.abs(q - 0.5) < delta
    weight = np.zeros(len(q)) if log_weight is None else log_weight
    within = np.where(inside, weight, -np.inf)
    if not np.isfinite(within).any():
        reason = f"No frame with any weight has a committor within {delta:g} of 1/2."
        return TransitionStates(inside, 0.0, 0.0, 1.0, 0.0, None, "refused", (reason,))
    share = float(normalised(weight)[inside].sum())
    ess, g = effective_count(within), 1.0
    if origin == "dynamics":
        g = independent_rows(lineage, [inside.astype(np.float64)]).inefficiency
        ess /= g
    elif origin == "populations":
        _, number = np.unique(lineage, return_inverse=True)
        label = np.where(inside, 0, -1).astype(np.int64)
        found = population_evidence(weight, number.astype(np.int64), ("transition states",), label)
        ess = min(ess, found.states["transition states"].ess)
    largest = largest_share(within)
    tail = None if log_weight is None or origin == "dynamics" else pareto_k(weight[inside])
    word, reasons = _verdict(ess, largest, tail, int(inside.sum()))
    return TransitionStates(inside, share, ess, g, largest, tail, word, reasons)


def _verdict(
    ess: float, largest: float, tail: float | None, n: int
) -> tuple[Literal["reliable", "caution", "refused"], tuple[str, ...]]:
    refused, caution = [], []
    if not ess >= MIN_STATE_ESS:
        shown = f"{ess:.0f}" if math.isfinite(ess) else "an unknown number of"
        refused.append(f"The transition states have {shown} effective samples, fewer than {MIN_STATE_ESS:.0f}.")
    elif ess < CAUTION_STATE_ESS:
        caution.append(f"The transition states have {ess:.0f} effective samples, fewer than {CAUTION_STATE_ESS:.0f}.")
    if not largest <= MAX_LARGEST_SHARE:
        refused.append(f"One frame carries {largest:.1%} of the weight of the transition states.")
    if tail is not None and not tail <= pareto_threshold(n):
        refused.append(f"The Pareto k of their weights is {tail:.2f}, above {pareto_threshold(n):.2f}.")
    elif tail is not None and tail > CAUTION_PARETO_K:
        caution.append(f"The Pareto k of their weights is {tail:.2f}, above {CAUTION_PARETO_K}.")
    if refused:
        return "refused", tuple(refused)
    return ("caution", tuple(caution)) if caution else ("reliable", ())
