"""What whole populations of annealed particles say: their evidences, and how far what they hold scatters.

Particles of one population have common ancestors, so that only populations are independent: Kish's number of particles
cannot see that all of them came from a few. Errors here are those of the jackknife that leaves out one population at a
time, with B of them and θ_(b) the estimate without the b-th: s² = (B − 1)/B Σ (θ_(b) − mean)² (B. Efron and C. Stein,
Ann. Statist. 9, 586 (1981), doi:10.1214/aos/1176345462).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from molgen import weights
from molgen.arrays import FloatArray, IntArray

_NOTHING = 1e-9


@dataclass(frozen=True)
class PopulationShares:
    """How the weight of all particles, or of those in a state, is spread over populations.

    ``effective`` is Kish's number of populations, ``largest_share`` the largest one's part of the weight. ``ess`` is
    the number of independent draws that would scatter as the populations do.
    """

    effective: float
    largest_share: float
    ess: float


@dataclass(frozen=True)
class PopulationEvidence:
    """``count`` populations: the spread of all weight over them and of that of each state by name.

    ``log_z`` of the target and its standard error by the jackknife.
    """

    count: int
    log_z: float
    log_z_error: float
    total: PopulationShares
    states: Mapping[str, PopulationShares] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The record in result.json."""
        return {
            "count": self.count,
            **asdict(self.total),
            "states": {name: asdict(shares) for name, shares in self.states.items()},
        }


def population_evidence(
    log_weight: FloatArray, population: IntArray, names: Sequence[str], labels: IntArray
) -> PopulationEvidence:
    """From ``log_weight``, ``population`` (0 … B-1) and state ``labels`` (n,) of all particles.

    Draws from the whole that are worth n_e scatter by 1/n_e − 1/n in the relative variance of their evidence, and those
    in a state of share p by (1 − p)/(p n_e) in that of p, with p n_e of them in the state: solved for the numbers.
    """
    n, count = len(log_weight), int(np.max(population, initial=-1)) + 1
    share = weights.normalised(log_weight)
    total = _sums(population, share, count)
    log_z = weights.log_mean_exp(log_weight)
    rows = np.bincount(population, minlength=count)
    error = jackknife_error(_without_each(total) / np.maximum(n - rows, 1) * n)
    worth = _inverse(error**2 + 1.0 / max(n, 1)) if np.any(share > 0.0) else 0.0
    spread = PopulationShares(*_concentration(total), ess=worth)
    states = {}
    for index, name in enumerate(names):
        inside = _sums(population, share * (labels == index), count)
        p = float(np.sum(inside))
        left = _without_each(total)
        # Where one population has all the weight, nothing is known without it.
        scatter = jackknife_error(_without_each(inside) / left) if np.all(left > _NOTHING) else math.inf
        worth = (1.0 - p) * _inverse((scatter / p) ** 2) if 0.0 < p < 1.0 else (spread.ess if p > 0.0 else 0.0)
        states[name] = PopulationShares(*_concentration(inside), ess=worth)
    return PopulationEvidence(count, log_z, error, spread, states)


def jackknife_error(without: FloatArray) -> float:
    """Standard error of an estimate from its values (B,) without each of B populations; inf for fewer than two."""
    count = len(without)
    if count < 2:
        return math.inf
    return math.sqrt((count - 1) / count * float(np.sum((without - np.mean(without)) ** 2)))


def _sums(population: IntArray, values: FloatArray, count: int) -> FloatArray:
    return np.bincount(population, weights=values, minlength=count).astype(np.float64)


def _without_each(parts: FloatArray) -> FloatArray:
    return np.asarray(np.sum(parts) - parts, dtype=np.float64)


def _concentration(parts: FloatArray) -> tuple[float, float]:
    """Kish's number of ``parts`` (B,), and the largest one's share."""
    total, squares = float(np.sum(parts)), float(np.sum(parts**2))
    return (total**2 / squares, float(np.max(parts)) / total) if squares > 0.0 else (0.0, 1.0)


def _inverse(value: float) -> float:
    return 1.0 / value if value > 0.0 else math.inf
