"""From a reweighting to the data of its report."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from molgen.reports.data import EnergyHistograms, Profile1D, Profile2D, ReportData
from molgen.workflows.reweight_reference import Reference
from molgen.workflows.reweight_rows import RowTable

_BINS = 80


def report_data(
    result: Mapping[str, Any],
    profiles: Mapping[str, Any],
    table: RowTable,
    reference: Reference | None,
    training: Mapping[str, Any] | None,
) -> ReportData:
    """Everything the report shows, from the result, the profiles and the rows."""
    lines = [{key: value for key, value in item.items() if key != "edges"} for item in profiles["profiles_1d"]]
    hidden = {"low", "high", "reference_low", "reference_high"}
    surfaces = [{key: value for key, value in item.items() if key not in hidden} for item in profiles["profiles_2d"]]
    curve = training.get("curve") if training else None
    return ReportData(
        result=result,
        profiles_1d=tuple(Profile1D(**item) for item in lines),
        profiles_2d=tuple(Profile2D(**{**item, "state_names": tuple(item["state_names"])}) for item in surfaces),
        energies=_histograms(table, reference),
        log_weight=table.log_weight,
        training=curve,
        provenance=result["provenance"],
    )


def _histograms(table: RowTable, reference: Reference | None) -> EnergyHistograms | None:
    rows = table.rows
    used = rows.share > 0.0
    if not np.any(used):
        return None
    samples = [table.energy[used]]
    known = reference.energy[np.isfinite(reference.energy)] if reference is not None else None
    if known is not None and len(known):
        samples.append(known)
    low = min(float(np.quantile(sample, 0.001)) for sample in samples)
    high = max(float(np.quantile(sample, 0.98)) for sample in samples)
    edges = np.linspace(low, max(high, low + 1e-6), _BINS + 1)
    finite = np.isfinite(table.energy)
    raw = np.histogram(table.energy[finite], edges)[0].astype(np.float64)
    weighted = np.histogram(table.energy[used], edges, weights=rows.share[used])[0]
    shown = None
    if reference is not None and known is not None and len(known):
        share = reference.energy_share[np.isfinite(reference.energy)]
        shown = np.histogram(known, edges, weights=share)[0]
    return EnergyHistograms(edges, raw, weighted, shown, beyond=1.0 - float(np.sum(raw)) / len(table.energy))
