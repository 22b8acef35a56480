"""From a reweighting to the data of its report."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from molgen.analysis.profiles import grid_edges
from molgen.arrays import IntArray
from molgen.observables.base import CollectiveVariable
from molgen.reports.data import EnergyHistograms, MemberHistograms, Profile1D, Profile2D, ReportData
from molgen.workflows.reweight_reference import Reference
from molgen.workflows.reweight_rows import RowTable

_BINS = 80
_MEMBER_BINS = 72


def report_data(
    result: Mapping[str, Any],
    profiles: Mapping[str, Any],
    table: RowTable,
    reference: Reference | None,
    training: Mapping[str, Any] | None,
    members: Sequence[MemberHistograms] = (),
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
        members=tuple(members),
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


def member_histograms(
    table: RowTable, member: IntArray, names: Sequence[str], cvs: Mapping[str, CollectiveVariable]
) -> list[MemberHistograms]:
    """Along every variable the rows of each ensemble, ``member`` ``(n,)`` ↔ which a row is of, and their weight."""
    share = table.rows.share
    result = []
    for name, cv in cvs.items():
        values = table.variables[name]
        known = np.isfinite(values)
        edges = grid_edges([values[known & np.isfinite(table.log_weight)]], periodic=cv.periodic, bins=_MEMBER_BINS)
        groups = [known & (member == index) for index in range(len(names))]
        rows = np.stack([np.histogram(values[group], edges)[0] for group in groups]).astype(np.float64)
        weight = np.stack([np.histogram(values[group], edges, weights=share[group])[0] for group in groups])
        result.append(MemberHistograms(name, cv.unit, edges, tuple(names), rows, weight))
    return result
