"""Estimates against the number of draws they were made from: what more draws have changed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from molgen.analysis.intervals import Estimate, WeightedRows
from molgen.analysis.populations import population
from molgen.arrays import FloatArray, IntArray

POINTS = 12
LEAST = 100
"""Fewer draws than this are not looked at."""


def numbers_of_draws(n: int) -> IntArray:
    """At most :data:`POINTS` numbers up to ``n``, evenly spaced on a logarithmic scale; empty for fewer than 100."""
    if n < LEAST:
        return np.zeros(0, dtype=np.int64)
    return np.unique(np.round(np.geomspace(LEAST, n, POINTS)).astype(np.int64))


def population_curves(
    log_weight: FloatArray, labels: IntArray, names: Sequence[str]
) -> dict[str, list[dict[str, Any]]] | None:
    """Of every state its population with its interval from the first k of the independent draws ``(n,)``, for each k.

    None without states or with too few draws.
    """
    sizes = numbers_of_draws(len(log_weight))
    if not names or not len(sizes):
        return None
    curves: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for size in sizes:
        rows = WeightedRows.from_log_weight(log_weight[:size])
        for index, name in enumerate(names):
            found = population(rows, labels[:size], index) if np.any(rows.share > 0.0) else None
            curves[name].append({"draws": int(size), **_json(found)})
    return curves


def _json(estimate: Estimate | None) -> Mapping[str, float | None]:
    return {"value": None, "low": None, "high": None} if estimate is None else estimate.to_json()
