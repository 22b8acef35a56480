"""Free-energy differences between states, in kT."""

import math
from collections.abc import Sequence

from molgen.analysis.intervals import Estimate, WeightedRows, plain_interval, share_influence
from molgen.arrays import IntArray


def free_energy_difference(rows: WeightedRows, labels: IntArray, first: int, second: int) -> Estimate:
    """ΔF = F_second - F_first = -ln(p_second / p_first) in kT, its interval made on this (log) scale.

    ±inf with an unbounded interval where one of the two states holds no weight, NaN where neither does.
    """
    p_first, psi_first = share_influence(rows, labels == first)
    p_second, psi_second = share_influence(rows, labels == second)
    if p_first <= 0.0 or p_second <= 0.0:
        value = math.nan if p_first <= 0.0 and p_second <= 0.0 else math.inf if p_second <= 0.0 else -math.inf
        return Estimate(value, -math.inf, math.inf, math.inf)
    error = rows.standard_error(psi_second / p_second - psi_first / p_first)
    return plain_interval(math.log(p_first / p_second), error, rows)


def all_differences(rows: WeightedRows, labels: IntArray, names: Sequence[str]) -> dict[str, Estimate]:
    """ΔF of every pair, keyed ``"b->a"`` for a named before b."""
    return {
        f"{names[j]}->{names[i]}": free_energy_difference(rows, labels, j, i)
        for i in range(len(names))
        for j in range(i + 1, len(names))
    }
