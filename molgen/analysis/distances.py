"""Distances between the weighted ensemble and a reference, always beside their floor.

The floor is the same distance, from as many points, between two halves of the reference: what two perfect samples
show. Figures from different numbers of points cannot be compared, so the number is part of the record.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from molgen.arrays import FloatArray, IntArray

PSEUDOCOUNT = 1e-6
"""Added to every bin's share before Ramachandran divergences, which are then normalised again."""
RAMACHANDRAN_BINS = 100


@dataclass(frozen=True)
class Distance:
    """Mean over repeats, their spread, the floor, and the number of points in each sample."""

    value: float
    spread: float
    floor: float
    points: int
    repeats: int

    def to_json(self) -> dict[str, Any]:
        """The record in result.json."""
        return {
            "value": self.value,
            "spread": self.spread,
            "floor": self.floor,
            "points": self.points,
            "repeats": self.repeats,
        }


def energy_w2(first: FloatArray, second: FloatArray) -> float:
    """E-W2 of two equally long samples of u ``(m,)``: √ of the mean squared difference of the sorted values, kT."""
    return math.sqrt(float(np.mean((np.sort(first) - np.sort(second)) ** 2)))


def weighted_energy_w2(
    first: FloatArray, first_share: FloatArray, second: FloatArray, second_share: FloatArray
) -> float:
    """Exact E-W2 of two weighted samples of any length (shares sum to 1): ∫₀¹ (F⁻¹(t) - G⁻¹(t))² dt, its root, kT.

    Rows of share 0 are not looked at.
    """
    x, p = _sorted_positive(first, first_share)
    y, q = _sorted_positive(second, second_share)
    p_ends, q_ends = np.cumsum(p) / np.sum(p), np.cumsum(q) / np.sum(q)
    ends = np.union1d(p_ends, q_ends)
    middle = ends - 0.5 * np.diff(ends, prepend=0.0)
    a = x[np.minimum(np.searchsorted(p_ends, middle), len(x) - 1)]
    b = y[np.minimum(np.searchsorted(q_ends, middle), len(y) - 1)]
    return math.sqrt(float(np.sum((a - b) ** 2 * np.diff(ends, prepend=0.0))))


def torsion_w2(first: FloatArray, second: FloatArray) -> float:
    """T-W2 of two samples of torsions ``(m, t)`` in rad: √ of the exact transport cost Σ min(|Δ|, 2π - |Δ|)²."""
    import ot

    cost = np.zeros((len(first), len(second)))
    for column in range(first.shape[1]):
        difference = np.abs(first[:, column, None] - second[None, :, column]) % (2.0 * np.pi)
        cost += np.minimum(difference, 2.0 * np.pi - difference) ** 2
    return math.sqrt(max(float(ot.emd2([], [], cost, numItermax=10_000_000)), 0.0))


def repeated(
    distance: Callable[[FloatArray, FloatArray], float],
    values: FloatArray,
    share: FloatArray,
    reference: FloatArray,
    reference_share: FloatArray,
    *,
    points: int,
    repeats: int,
    generator: np.random.Generator,
) -> Distance | None:
    """``distance`` between resampled rows, the mean of ``repeats``, with the floor from halves of the reference.

    ``values`` ``(n, …)`` with ``share`` ``(n,)``, ``reference`` ``(m, …)`` with its own. Samples have ``points`` rows,
    fewer where half the reference has fewer. None with less than four reference rows or without any weight.
    """
    size = min(points, len(reference) // 2)
    if size < 2 or not np.any(share > 0.0):
        return None
    found, floor = [], []
    for _ in range(repeats):
        draws = values[resample(share, size, generator)]
        found.append(distance(draws, reference[resample(reference_share, size, generator)]))
        order = generator.permutation(len(reference))
        halves = order[: len(order) // 2], order[len(order) // 2 :]
        parts = [reference[half[resample(_normal(reference_share[half]), size, generator)]] for half in halves]
        floor.append(distance(parts[0], parts[1]))
    spread = float(np.std(found, ddof=1)) if repeats > 1 else 0.0
    return Distance(float(np.mean(found)), spread, float(np.mean(floor)), size, repeats)


def resample(share: FloatArray, count: int, generator: np.random.Generator) -> IntArray:
    """``count`` row numbers drawn with probability ``share`` ``(n,)`` by systematic resampling, in random order.

    Equal shares and count ≤ n give rows without repetition.
    """
    order = generator.permutation(np.flatnonzero(share > 0.0))
    ends = np.cumsum(share[order])
    steps = (np.arange(count) + generator.random()) / count * ends[-1]
    rows = order[np.minimum(np.searchsorted(ends, steps, side="right"), len(order) - 1)]
    return generator.permutation(rows).astype(np.int64)


def ramachandran(
    first: FloatArray, first_share: FloatArray, second: FloatArray, second_share: FloatArray
) -> dict[str, float]:
    """Total variation, KL(second‖first) in nat and Jensen-Shannon divergence (base 2) of two torsions ``(n, 2)``.

    100 × 100 bins over [-π, π)², weights summing to 1, ``PSEUDOCOUNT`` added to every bin.
    """
    p, q = (_torsion_histogram(*item) for item in ((first, first_share), (second, second_share)))
    total_variation = 0.5 * float(np.sum(np.abs(p - q)))
    jsd = jensen_shannon(p, q)
    p, q = _normal(p + PSEUDOCOUNT), _normal(q + PSEUDOCOUNT)
    kl = float(np.sum(q * np.log(q / p)))
    return {
        "total_variation": total_variation,
        "kl": kl,
        "jsd": jsd,
        "bins": RAMACHANDRAN_BINS,
        "pseudocount": PSEUDOCOUNT,
    }


def jensen_shannon(first: FloatArray, second: FloatArray) -> float:
    """Jensen-Shannon divergence (base 2) of two histograms ``(m,)`` of sum 1, ``PSEUDOCOUNT`` added to every bin."""
    p, q = _normal(first + PSEUDOCOUNT), _normal(second + PSEUDOCOUNT)
    mixed = 0.5 * (p + q)
    return 0.5 * float(np.sum(p * np.log2(p / mixed)) + np.sum(q * np.log2(q / mixed)))


def divergence_along(
    values: FloatArray,
    share: FloatArray,
    reference: FloatArray,
    reference_share: FloatArray,
    edges: FloatArray,
    generator: np.random.Generator,
) -> dict[str, float]:
    """Jensen-Shannon divergence along one variable, beside its floor: that between two halves of the reference.

    ``values`` ``(n,)`` with ``share``, ``reference`` ``(m,)`` with its own, in the bins of ``edges``.
    """

    def histogram(x: FloatArray, weight: FloatArray) -> FloatArray:
        used = weight > 0.0
        return _normal(np.histogram(x[used], edges, weights=weight[used])[0].astype(np.float64) + 1e-300)

    order = generator.permutation(len(reference))
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    halves = [histogram(reference[half], reference_share[half]) for half in (first, second)]
    found = jensen_shannon(histogram(values, share), histogram(reference, reference_share))
    return {"value": found, "floor": jensen_shannon(*halves), "bins": len(edges) - 1, "pseudocount": PSEUDOCOUNT}


def _torsion_histogram(values: FloatArray, share: FloatArray) -> FloatArray:
    wrapped = np.mod(values + np.pi, 2.0 * np.pi) - np.pi
    edges = np.linspace(-np.pi, np.pi, RAMACHANDRAN_BINS + 1)
    used = share > 0.0
    counts, _, _ = np.histogram2d(wrapped[used, 0], wrapped[used, 1], bins=(edges, edges), weights=share[used])
    return _normal(counts.ravel())


def _sorted_positive(values: FloatArray, share: FloatArray) -> tuple[FloatArray, FloatArray]:
    used = share > 0.0
    order = np.argsort(values[used])
    return values[used][order], share[used][order]


def _normal(values: FloatArray) -> FloatArray:
    return values / np.sum(values)
