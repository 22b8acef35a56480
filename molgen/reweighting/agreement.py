"""Whether models that were trained independently say the same of each state, each from its own draws alone.

A mode that training has lost is lost in one model and rarely in another as well; weights of one of them cannot know.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.weights import effective_count, normalised

FALSE_ALARM = 0.01
"""Probability that any of the comparisons of right models is called a disagreement."""


@dataclass(frozen=True)
class Comparison:
    """The population of ``state`` by ``first`` and by ``second`` alone; z of the difference of their logits."""

    state: str
    first: str
    second: str
    shares: tuple[float, float]
    z: float
    limit: float

    @property
    def agrees(self) -> bool:
        """Whether the difference is no more than chance."""
        return abs(self.z) <= self.limit

    @property
    def sentence(self) -> str:
        """The disagreement in words."""
        one, other = self.shares
        return (
            f"By its own draws alone {self.first} gives {self.state} {one:.2%}, and {self.second} {other:.2%}: "
            "beyond both errors."
        )

    def to_json(self) -> dict[str, Any]:
        """The record in result.json."""
        record: dict[str, Any] = {"state": self.state, "between": [self.first, self.second]}
        z = self.z if math.isfinite(self.z) else None
        return record | {"populations": list(self.shares), "z": z, "agrees": self.agrees}


def compare_models(
    names: Sequence[str], log_weights: Sequence[FloatArray], labels: Sequence[IntArray], states: Sequence[str]
) -> list[Comparison]:
    """Every state by every pair of models; ``log_weights`` and ``labels`` hold those of each model's own draws.

    The limit of |z| is that of :data:`FALSE_ALARM` over all comparisons together.
    """
    from scipy.stats import norm

    pairs = list(combinations(range(len(names)), 2))
    if not pairs or not states:
        return []
    limit = float(norm.isf(0.5 * FALSE_ALARM / (len(pairs) * len(states))))
    found = []
    for index, state in enumerate(states):
        logits = [_logit(weight, label == index) for weight, label in zip(log_weights, labels, strict=True)]
        for one, other in pairs:
            (p, x, s), (q, y, t) = logits[one], logits[other]
            apart = (x - y) / math.hypot(s, t) if s > 0.0 or t > 0.0 else 0.0
            found.append(Comparison(state, names[one], names[other], (p, q), apart, limit))
    return found


def _logit(log_weight: FloatArray, inside: np.ndarray) -> tuple[float, float, float]:
    """The weighted share of ``inside`` ``(n,)``, its logit and the logit's standard error.

    Half an effective draw is added on both sides, so that a state without draws has a logit as well, with an error that
    says how little an empty state means.
    """
    share = normalised(log_weight)
    effective = effective_count(log_weight)
    p = float(np.sum(share[inside]))
    if effective <= 0.0:
        return 0.0, 0.0, math.inf
    hits, misses = p * effective + 0.5, (1.0 - p) * effective + 0.5
    spread = float(np.sum((share * (inside - p)) ** 2))
    floor = 1.0 / hits + 1.0 / misses
    smoothed = (hits / (effective + 1.0)) * (misses / (effective + 1.0))
    error = max(math.sqrt(spread) / smoothed, math.sqrt(floor) if min(hits, misses) < 5.0 else 0.0)
    return p, math.log(hits / misses), error
