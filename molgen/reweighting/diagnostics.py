"""The figures that describe one set of weights, for all draws and for the draws of each state."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molgen import weights
from molgen.arrays import FloatArray, IntArray
from molgen.reweighting.pareto import pareto_k, pareto_threshold


@dataclass(frozen=True)
class WeightDiagnostics:
    """All draws: ESS as fractions of n, tail index with its threshold, largest share, ln of the mean weight."""

    n: int
    n_out_of_domain: int
    n_non_finite: int
    n_log_q_non_finite: int
    ess_raw: float
    ess_winsorised: float
    ess_trimmed: float
    pareto_k: float
    pareto_k_threshold: float
    largest_weight_share: float
    log_z: float

    @property
    def failed_fraction(self) -> float:
        """Share of draws outside the domain or with an energy that is not finite."""
        return (self.n_out_of_domain + self.n_non_finite) / self.n if self.n else 1.0


@dataclass(frozen=True)
class StateDiagnostics:
    """Draws of one state: their number, effective number, tail index with threshold, largest share of its sum."""

    name: str
    n_draws: int
    ess: float
    pareto_k: float
    pareto_k_threshold: float
    largest_weight_share: float
    share: float


def describe(
    log_weight: FloatArray, *, n_out_of_domain: int = 0, n_non_finite: int = 0, n_log_q_non_finite: int = 0
) -> WeightDiagnostics:
    """Diagnostics of ``log_weight`` ``(n,)``; the counts are of rows inside the domain with a failed u or log q."""
    return WeightDiagnostics(
        n=len(log_weight),
        n_out_of_domain=n_out_of_domain,
        n_non_finite=n_non_finite,
        n_log_q_non_finite=n_log_q_non_finite,
        ess_raw=weights.kish_ess(log_weight),
        ess_winsorised=weights.winsorised_ess(log_weight),
        ess_trimmed=weights.trimmed_ess(log_weight),
        pareto_k=pareto_k(log_weight),
        pareto_k_threshold=pareto_threshold(len(log_weight)),
        largest_weight_share=weights.largest_share(log_weight),
        log_z=weights.log_mean_exp(log_weight),
    )


def describe_states(names: Sequence[str], log_weight: FloatArray, labels: IntArray) -> dict[str, StateDiagnostics]:
    """Diagnostics of w restricted to each state; ``labels`` ``(n,)`` are indices into ``names``, -1 for none."""
    shares = weights.normalised(log_weight)
    result = {}
    for index, name in enumerate(names):
        inside = np.asarray(log_weight)[labels == index]
        result[name] = StateDiagnostics(
            name=name,
            n_draws=len(inside),
            ess=weights.effective_count(inside),
            pareto_k=pareto_k(inside),
            pareto_k_threshold=pareto_threshold(len(inside)),
            largest_weight_share=weights.largest_share(inside),
            share=float(np.sum(shares[labels == index])),
        )
    return result
