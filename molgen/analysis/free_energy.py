"""Free-energy differences between states, in kT."""

import math
from collections.abc import Sequence

import numpy as np

from molgen.analysis.intervals import Estimate, WeightedRows, difference_error, plain_interval, share_influence
from molgen.arrays import IntArray


def free_energy_difference(rows: WeightedRows, labels: IntArray, first: int, second: int) -> Estimate:
    """ΔF = F_second - F_first = -ln(p_second / p_first) in kT, its interval made on this (log) scale.

    ±inf with an unbounded interval where one of the two states holds no weight, NaN where neither does.
    """
    p_first, psi_first = share_influence(rows, labels == first)
    p_second, psi_second = share_influence(rows, labels == second)
    if p_first <= 0.0 or p_second <= 0.0:
        return _unbounded(p_first, p_second)
    error = rows.standard_error(psi_second / p_second - psi_first / p_first)
    return plain_interval(math.log(p_first / p_second), error, rows)


def all_differences(rows: WeightedRows, labels: IntArray, names: Sequence[str]) -> dict[str, Estimate]:
    """ΔF of every pair, keyed ``"b->a"`` for a named before b."""
    return {
        f"{names[j]}->{names[i]}": free_energy_difference(rows, labels, j, i)
        for i in range(len(names))
        for j in range(i + 1, len(names))
    }


def state_shift(before: WeightedRows, after: WeightedRows, labels: IntArray, state: int) -> Estimate:
    """-ln(p_after / p_before) of a state in kT: how far its free energy, relative to all states, is raised.

    ``before`` and ``after`` are weights of the same rows under two Hamiltonians, so that what the two estimates have
    in common drops out of the error. ±inf or NaN where one or both of them give the state no weight.
    """
    first, psi_first = share_influence(before, labels == state)
    second, psi_second = share_influence(after, labels == state)
    if first <= 0.0 or second <= 0.0:
        return _unbounded(first, second)
    error = difference_error(after, psi_second / second, before, psi_first / first)
    return plain_interval(math.log(first / second), error, after)


def difference_shift(before: WeightedRows, after: WeightedRows, labels: IntArray, first: int, second: int) -> Estimate:
    """ΔΔF = ΔF_after - ΔF_before of two states in kT, its error from the same rows under both weights."""
    shares, influences = [], []
    for rows in (after, before):
        influence = np.zeros(len(labels))
        for state, end in ((second, -1.0), (first, 1.0)):
            share, psi = share_influence(rows, labels == state)
            shares.append(share)
            if share > 0.0:
                influence += end * psi / share
        influences.append(influence)
    if min(shares) <= 0.0:
        return Estimate(math.nan, -math.inf, math.inf, math.inf)
    value = -math.log(shares[0] / shares[1]) + math.log(shares[2] / shares[3])
    return plain_interval(value, difference_error(after, influences[0], before, influences[1]), after)


def _unbounded(first: float, second: float) -> Estimate:
    """Of -ln(second / first) where one of the two shares is 0."""
    value = math.nan if first <= 0.0 and second <= 0.0 else math.inf if second <= 0.0 else -math.inf
    return Estimate(value, -math.inf, math.inf, math.inf)
