"""Populations of states: weighted shares of rows."""

from collections.abc import Sequence

from molgen.analysis.intervals import Estimate, WeightedRows, share_influence, share_interval
from molgen.arrays import IntArray


def population(rows: WeightedRows, labels: IntArray, state: int) -> Estimate:
    """p_s = Σ w̃_i 1[label_i = s] with a 95 % interval on the logit scale; ``error`` is that of logit p_s."""
    value, influence = share_influence(rows, labels == state)
    return share_interval(value, rows.standard_error(influence), rows)


def populations(rows: WeightedRows, labels: IntArray, names: Sequence[str]) -> dict[str, Estimate]:
    """The population of every state; ``labels`` ``(n,)`` index ``names``, -1 for none."""
    return {name: population(rows, labels, index) for index, name in enumerate(names)}
