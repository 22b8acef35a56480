r"""Energy and entropy of states, in kT.

With p_s the population of a state and ⟨u⟩ the mean reduced energy, relative to the whole ensemble

.. math:: \Delta F_s = -\ln p_s,\quad \Delta U_s = \langle u\rangle_s - \langle u\rangle,\quad
          -T\Delta S_s = \Delta F_s - \Delta U_s.

u may hold an arbitrary zero, which drops out of everything but ⟨u⟩_s itself. U is the potential energy (of an implicit
solvent the free energy of solvation, whose entropy counts as energy here).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from molgen.analysis.intervals import Estimate, WeightedRows, mean_influence, plain_interval, share_influence
from molgen.arrays import FloatArray, IntArray

_UNKNOWN = Estimate(math.nan, math.nan, math.nan, math.inf)


@dataclass(frozen=True)
class StateThermodynamics:
    """⟨u⟩_s and, relative to the whole ensemble, ΔU_s, -TΔS_s and ΔF_s of one state, in kT."""

    energy: Estimate
    delta_u: Estimate
    minus_t_delta_s: Estimate
    delta_f: Estimate

    def to_json(self) -> dict[str, Any]:
        """The record in result.json."""
        return {name: estimate.to_json() for name, estimate in self.__dict__.items()}


def state_thermodynamics(rows: WeightedRows, labels: IntArray, state: int, energy: FloatArray) -> StateThermodynamics:
    """Of the state ``state`` with reduced energies ``energy`` ``(n,)``; NaN where it holds no weight.

    All four come from one set of weights, and their influences are joined before anything is squared: what ⟨u⟩_s and
    p_s have in common drops out of -TΔS as it should.
    """
    inside = labels == state
    share, psi_share = share_influence(rows, inside)
    if share <= 0.0:
        return StateThermodynamics(_UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN)
    used = np.where(rows.share > 0.0, energy, 0.0)
    total, psi_total = mean_influence(rows, energy)
    mean = float(np.sum(rows.share[inside] * used[inside])) / share
    # A ratio of two averages: ⟨u 1_s⟩/⟨1_s⟩.
    psi_mean = rows.share * inside * (used - mean) / share
    free, psi_free = -math.log(share), -psi_share / share

    def estimate(value: float, influence: FloatArray) -> Estimate:
        return plain_interval(value, rows.standard_error(influence), rows)

    psi_shift = psi_mean - psi_total
    return StateThermodynamics(
        energy=estimate(mean, psi_mean),
        delta_u=estimate(mean - total, psi_shift),
        minus_t_delta_s=estimate(free - (mean - total), psi_free - psi_shift),
        delta_f=estimate(free, psi_free),
    )
