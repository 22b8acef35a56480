"""What a reweighting says of each state beside its population: energy and entropy, and how the estimate settled."""

import math
from collections.abc import Mapping
from typing import Any

from molgen.analysis.convergence import population_curves
from molgen.analysis.intervals import plain_interval
from molgen.analysis.thermodynamics import state_thermodynamics
from molgen.observables.states import StateSet
from molgen.reweighting.verdict import Verdict
from molgen.weights import kish_ess
from molgen.workflows.reweight_rows import RowTable


def thermodynamics(table: RowTable, states: StateSet, verdicts: Mapping[str, Verdict]) -> dict[str, Any]:
    """⟨u⟩, ΔU, -TΔS and ΔF of every state in kT, with the verdict on its population."""
    rows = table.rows
    result: dict[str, Any] = {}
    for index, name in enumerate(states.names):
        found = state_thermodynamics(rows, table.label, index, table.energy)
        result[name] = {**found.to_json(), "unit": "kT", "verdict": verdicts[f"population:{name}"].word}
    return result


def convergence(table: RowTable, states: StateSet) -> dict[str, Any] | None:
    """Populations from the first k draws; None where rows depend on each other, since their order says nothing."""
    if table.block is not None or table.replicates is not None:
        return None
    return population_curves(table.log_weight, table.label, states.names)


def log_z_interval(table: RowTable, log_z: float) -> dict[str, float | None] | None:
    """95 % interval of ln Z of independent draws by the delta method, Var = 1/(n·ESS) - 1/n; None for any others."""
    n = len(table.log_weight)
    ess = kish_ess(table.log_weight)
    if table.block is not None or table.replicates is not None or not math.isfinite(log_z) or ess <= 0.0:
        return None
    error = math.sqrt(max(0.0, 1.0 / (n * ess) - 1.0 / n))
    low_and_high = plain_interval(log_z, error, table.rows).to_json()
    return {name: low_and_high[name] for name in ("low", "high")}
