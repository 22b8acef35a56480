"""Whether each sample is distributed as it is said to be, by what all samples together say of its density.

The rows of all samples, weighed by the responsibilities r_k, are a sample of q_k as well. Where rows of sample k
itself fall otherwise, it is not what its record says (a bias forgotten, with another sign, in degrees taken for
radians), it was no equilibrium (a trapped trajectory), or another sample is wrong. Compared on cells of the collective
variables by the relative entropy of the observed to the expected shares, as F. Zhu and G. Hummer do for umbrella
windows (J. Comput. Chem. 33, 453 (2012), doi:10.1002/jcc.21989).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from molgen.arrays import FloatArray, IntArray

CELLS = 12
"""Cells along each variable."""
MAX_DIVERGENCE = 0.05
"""Relative entropy (nat) that a sample may show."""
MAX_FALSE_ALARM = 1e-6
"""Probability of the divergence found, if the sample were right, below which it is no chance."""
MAX_STATE_SCORE = 4.0
"""Standard errors by which the rows of a sample in a state may differ from what is expected."""


@dataclass(frozen=True)
class Divergence:
    """Relative entropy of the rows of ``sample`` to what is expected along ``variable``, in nat."""

    sample: int
    variable: str
    value: float
    probability: float

    @property
    def failed(self) -> bool:
        """Whether the sample cannot be what it is said to be."""
        return self.value > MAX_DIVERGENCE and self.probability < MAX_FALSE_ALARM


def divergences(share: FloatArray, origin: IntArray, cells: Mapping[str, IntArray]) -> list[Divergence]:
    """The largest :class:`Divergence` of each sample over all variables.

    ``share`` ``(n, K)`` are responsibilities, ``origin`` ``(n,)`` the sample of each row, ``cells`` for each variable
    the cell ``(n,)`` of each row, from 0. 2 n_k D is χ²-distributed with one degree less than there are cells for a
    right sample among many others, and smaller for one that makes up much of the expectation.
    """
    from scipy.stats import chi2

    found = []
    for sample in range(share.shape[1]):
        own = origin == sample
        number = int(np.sum(own))
        worst = Divergence(sample, "", 0.0, 1.0)
        for variable, cell in cells.items():
            observed = np.bincount(cell[own], minlength=int(np.max(cell)) + 1) / number
            mass: FloatArray = np.bincount(cell, weights=share[:, sample], minlength=len(observed)).astype(np.float64)
            expected = mass / np.sum(mass)
            full = observed > 0.0
            value = float(np.sum(observed[full] * np.log(observed[full] / np.maximum(expected[full], 1e-300))))
            freedom = max(int(np.sum(expected > 0.0)) - 1, 1)
            if value > worst.value:
                worst = Divergence(sample, variable, value, float(chi2.sf(2.0 * number * value, freedom)))
        found.append(worst)
    return found


def cells_of(values: FloatArray, periodic: bool) -> IntArray:
    """Cell ``(n,)`` of each value: of equal width on a circle, else of equal population; one more for NaN."""
    known = np.isfinite(values)
    if not np.any(known):
        return np.zeros(len(values), dtype=np.int64)
    if periodic:
        wrapped = np.mod(np.where(known, values, 0.0) + np.pi, 2.0 * np.pi)
        index = np.minimum((wrapped / (2.0 * np.pi) * CELLS).astype(np.int64), CELLS - 1)
    else:
        inner = np.quantile(values[known], np.linspace(0.0, 1.0, CELLS + 1)[1:-1])
        index = np.searchsorted(inner, np.where(known, values, inner[0]), side="right").astype(np.int64)
    return np.where(known, index, CELLS)


@dataclass(frozen=True)
class StateCount:
    """Rows of a sample in a state: how many there are, how many all samples expect, and z of the difference."""

    observed: int
    expected: float
    score: float

    @property
    def strange(self) -> bool:
        """Whether the difference is more than chance."""
        return abs(self.score) > MAX_STATE_SCORE


def state_count(share: FloatArray, origin: IntArray, sample: int, inside: FloatArray) -> StateCount:
    """Rows of ``sample`` with ``inside`` ``(n,)`` (1 or 0) against Σ r_k over all rows there.

    Expected is Σ r_k, e. The number of its own rows there is binomial, of variance e(1 - e/n_k), and e has the error of
    the rows of the other samples, Σ_j n_j Var_j(r_k). Less than one expected row counts as one.
    """
    weight = share[:, sample] * inside
    own = origin == sample
    number, expected = int(np.sum(own)), float(np.sum(weight))
    variance = max(1.0, expected * max(0.0, 1.0 - expected / number))
    for other in range(share.shape[1]):
        rows = weight[origin == other]
        if other != sample and len(rows) > 1:
            variance += len(rows) * float(np.var(rows, ddof=1))
    observed = int(np.sum(inside[own]))
    return StateCount(observed, expected, (observed - expected) / math.sqrt(variance))
