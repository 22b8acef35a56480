"""Estimates of a reweighting, each with its verdict, as they stand in result.json and profiles.json."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from molgen.analysis.comparison import agrees, z_score
from molgen.analysis.distances import (
    divergence_along,
    energy_w2,
    ramachandran,
    repeated,
    torsion_w2,
    weighted_energy_w2,
)
from molgen.analysis.expectations import expectation
from molgen.analysis.free_energy import all_differences
from molgen.analysis.intervals import Estimate, WeightedRows
from molgen.analysis.populations import populations
from molgen.analysis.profiles import Profile, free_energy_profile, grid_edges
from molgen.arrays import FloatArray
from molgen.observables.base import CollectiveVariable
from molgen.observables.states import StateSet
from molgen.reweighting.diagnostics import StateDiagnostics
from molgen.reweighting.verdict import Evidence, Verdict, judge
from molgen.workflows.reweight_reference import Reference
from molgen.workflows.reweight_rows import RowTable
from molgen.workflows.reweight_settings import DistanceSettings, ProfileSettings


@dataclass(frozen=True)
class Estimates:
    """Records for result.json and the verdict on each estimate."""

    populations: dict[str, Any]
    delta_f: dict[str, Any]
    expectations: dict[str, Any]
    verdicts: dict[str, Verdict]


def estimate_all(
    table: RowTable,
    states: StateSet,
    cvs: Mapping[str, CollectiveVariable],
    diagnostics: Mapping[str, StateDiagnostics],
    evidence: Evidence,
    reference: Reference | None,
) -> Estimates:
    """Populations, ΔF of every pair of states and expectations, beside the reference's where there is one.

    ``evidence`` is that of an estimate without states; each estimate adds the states it involves.
    """
    rows = table.rows
    names = states.names
    verdicts: dict[str, Verdict] = {}
    other = populations(reference.rows, reference.label, names) if reference else {}
    shares: dict[str, Any] = {}
    for name, estimate in populations(rows, table.label, names).items():
        verdict = judge(replace(evidence, states=(diagnostics[name],)))
        verdicts[f"population:{name}"] = verdict
        shares[name] = _record(estimate, other.get(name), logit=True) | _state_record(diagnostics[name], verdict)
    differences: dict[str, Any] = {}
    other = all_differences(reference.rows, reference.label, names) if reference else {}
    for key, estimate in all_differences(rows, table.label, names).items():
        verdict = judge(replace(evidence, states=tuple(diagnostics[name] for name in key.split("->"))))
        verdicts[f"delta_f:{key}"] = verdict
        record = _record(estimate, other.get(key), logit=False)
        differences[key] = record | {"unit": "kT", "verdict": verdict.word}
    means: dict[str, Any] = {}
    for name, cv in cvs.items():
        estimate = expectation(rows, table.variables[name], periodic=cv.periodic)
        known = expectation(reference.rows, reference.variables[name], periodic=cv.periodic) if reference else None
        verdicts[f"expectation:{name}"] = judge(evidence)
        extra = {"unit": cv.unit, "circular": cv.periodic, "verdict": verdicts[f"expectation:{name}"].word}
        period = 2.0 * math.pi if cv.periodic else None
        means[name] = _record(estimate, known, logit=False, period=period) | extra
    return Estimates(shares, differences, means, verdicts)


def _state_record(state: StateDiagnostics, verdict: Verdict) -> dict[str, Any]:
    return {
        "ess": state.ess,
        "n_draws": state.n_draws,
        "pareto_k": state.pareto_k,
        "largest_weight_share": state.largest_weight_share,
        "verdict": verdict.word,
    }


def _record(
    estimate: Estimate, reference: Estimate | None, *, logit: bool, period: float | None = None
) -> dict[str, Any]:
    record: dict[str, Any] = dict(estimate.to_json())
    record["reference"] = None if reference is None else reference.to_json()
    z = math.nan
    if reference is not None:
        if period is not None and math.isfinite(estimate.value) and math.isfinite(reference.value):
            turns = round((estimate.value - reference.value) / period)
            reference = replace(reference, value=reference.value + turns * period)
        z = z_score(estimate, reference, logit=logit)
    record["z"] = z if math.isfinite(z) else None
    record["agrees"] = agrees(z) if math.isfinite(z) else None
    return record


def compute_profiles(
    table: RowTable,
    states: StateSet,
    cvs: Mapping[str, CollectiveVariable],
    reference: Reference | None,
    settings: ProfileSettings,
) -> dict[str, Any]:
    """1-D profiles along every variable and 2-D ones along pairs, beside the reference's (profiles.json)."""
    rows = table.rows
    lines = []
    for name, cv in cvs.items():
        (edges,) = _edges((name,), cvs, table, reference, settings.bins_1d)
        record = {"cv": name, "unit": cv.unit, "edges": edges, "grid_centres": 0.5 * (edges[1:] + edges[:-1])}
        lines.append(record | _both((name,), (edges,), cvs, table, rows, reference))
    surfaces = []
    pairs: Sequence[tuple[str, ...]] = settings.surfaces or ([tuple(list(cvs)[:2])] if len(cvs) >= 2 else [])
    for pair in pairs:
        edges_x, edges_y = _edges(pair, cvs, table, reference, settings.bins_2d)
        record = {"cv_x": pair[0], "cv_y": pair[1], "unit_x": cvs[pair[0]].unit, "unit_y": cvs[pair[1]].unit}
        grids = _both(pair, (edges_x, edges_y), cvs, table, rows, reference)
        outline = _state_grid(pair, (edges_x, edges_y), states, cvs)
        names = {"states": outline, "state_names": list(states.names) if outline is not None else []}
        surfaces.append(record | {"edges_x": edges_x, "edges_y": edges_y} | grids | names)
    return {"profiles_1d": lines, "profiles_2d": surfaces, "pseudocount": 0.0}


def _edges(
    names: Sequence[str],
    cvs: Mapping[str, CollectiveVariable],
    table: RowTable,
    reference: Reference | None,
    bins: int,
) -> list[FloatArray]:
    result = []
    for name in names:
        samples = [table.variables[name][np.isfinite(table.log_weight)]]
        if reference is not None:
            samples.append(reference.variables[name])
        result.append(grid_edges(samples, periodic=cvs[name].periodic, bins=bins))
    return result


def _both(
    names: Sequence[str],
    edges: Sequence[FloatArray],
    cvs: Mapping[str, CollectiveVariable],
    table: RowTable,
    rows: WeightedRows,
    reference: Reference | None,
) -> dict[str, Any]:
    periodic = [cvs[name].periodic for name in names]
    model = free_energy_profile(rows, [table.variables[name] for name in names], edges, periodic)
    record: dict[str, Any] = {"free_energy": model.free_energy, "low": model.low, "high": model.high}
    known: Profile | None = None
    if reference is not None:
        known = free_energy_profile(reference.rows, [reference.variables[name] for name in names], edges, periodic)
    record["reference"] = None if known is None else known.free_energy
    record["reference_low"] = None if known is None else known.low
    record["reference_high"] = None if known is None else known.high
    return record


def _state_grid(
    pair: Sequence[str], edges: Sequence[FloatArray], states: StateSet, cvs: Mapping[str, CollectiveVariable]
) -> Any:
    """State of every cell centre, where the states depend on the pair's variables alone (a system with just these)."""
    if not states.names or set(pair) != set(cvs):
        return None
    centres = [0.5 * (edge[1:] + edge[:-1]) for edge in edges]
    x, y = np.meshgrid(*centres, indexing="ij")
    return states.assign({pair[0]: x.ravel(), pair[1]: y.ravel()}).reshape(x.shape)


def compute_distances(
    table: RowTable,
    cvs: Mapping[str, CollectiveVariable],
    reference: Reference | None,
    settings: DistanceSettings,
    generator: np.random.Generator,
) -> dict[str, Any] | None:
    """E-W2 (resampled, exact), T-W2 over all periodic variables, Ramachandran and one-dimensional divergences.

    None without reference.
    """
    rows = table.rows
    if reference is None or not settings.enabled or not np.any(rows.share > 0.0):
        return None
    finite = np.isfinite(reference.energy)
    known, known_share = reference.energy[finite], reference.energy_share[finite]
    result: dict[str, Any] = {"e_w2": None, "t_w2": None, "ramachandran": None}
    e_w2 = repeated(
        energy_w2,
        table.energy,
        rows.share,
        known,
        known_share,
        points=settings.energy_points,
        repeats=settings.repeats,
        generator=generator,
    )
    if e_w2 is not None:
        exact = weighted_energy_w2(table.energy, rows.share, known, known_share)
        result["e_w2"] = e_w2.to_json() | {"exact": exact, "unit": "kT"}
    torsions = [name for name, cv in cvs.items() if cv.periodic]
    if torsions:
        draws = np.stack([table.variables[name] for name in torsions], axis=1)
        frames = np.stack([reference.variables[name] for name in torsions], axis=1)
        t_w2 = repeated(
            torsion_w2,
            draws,
            rows.share,
            frames,
            reference.rows.share,
            points=settings.torsion_points,
            repeats=settings.repeats,
            generator=generator,
        )
        result["t_w2"] = None if t_w2 is None else t_w2.to_json() | {"torsions": torsions, "unit": "rad"}
        if len(torsions) >= 2:
            result["ramachandran"] = ramachandran(draws[:, :2], rows.share, frames[:, :2], reference.rows.share)
    result["jsd"] = {}
    for name, cv in cvs.items():
        draws, frames = (_on_the_circle(x.variables[name], periodic=cv.periodic) for x in (table, reference))
        used = draws[np.isfinite(table.log_weight)]
        edges = grid_edges([used, frames], periodic=cv.periodic, bins=settings.divergence_bins)
        result["jsd"][name] = divergence_along(draws, rows.share, frames, reference.rows.share, edges, generator)
    return result


def _on_the_circle(values: FloatArray, *, periodic: bool) -> FloatArray:
    return np.asarray(np.mod(values + np.pi, 2.0 * np.pi) - np.pi) if periodic else values
