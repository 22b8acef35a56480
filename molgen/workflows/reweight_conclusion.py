"""From weighted rows to the result: estimates with their verdicts, profiles, distances, the record and the report."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import molgen
from molgen import seeds
from molgen.analysis.intervals import ess_interval
from molgen.arrays import FloatArray
from molgen.energies.base import Energy
from molgen.files import to_plain
from molgen.observables.states import StateSet
from molgen.observables.table import build_cvs
from molgen.progress import ProgressEvent
from molgen.provenance import provenance
from molgen.reports.data import MemberHistograms
from molgen.reports.report import write_report
from molgen.reweighting.audit import Audit
from molgen.reweighting.coverage import Coverage, CVGrid, from_training, merge, missing_states, unreached_regions
from molgen.reweighting.diagnostics import describe_states
from molgen.reweighting.verdict import Evidence, Verdict, judge, worst
from molgen.rundir import RunDirectory
from molgen.systems.system import System
from molgen.workflows.reweight_estimates import Estimates, compute_distances, compute_profiles, estimate_all
from molgen.workflows.reweight_reference import Reference
from molgen.workflows.reweight_report import report_data
from molgen.workflows.reweight_request import ReweightRequest
from molgen.workflows.reweight_restraints import restrain
from molgen.workflows.reweight_rows import RowTable
from molgen.workflows.reweight_states import convergence, log_z_interval, thermodynamics


@dataclass(frozen=True)
class Weighed:
    """Rows with their weights and all that is known of them before anything is estimated.

    ``evidence`` is that of an estimate without states. ``evaluations`` are those spent so far, by purpose.
    ``curve`` is the training's, for the report; ``origin`` goes into the provenance, and ``extra`` into result.json;
    ``members`` say where the rows of several ensembles lie. ``verdicts`` are those of estimates made before;
    ``drawn_log_weight`` (n,) is log w under the force field of the draws where the target is another.
    """

    system: System
    states: StateSet
    energy: Energy
    table: RowTable
    reference: Reference | None
    evidence: Evidence
    audit: Audit
    evaluations: Mapping[str, int]
    origin: Mapping[str, Any]
    ess_forward: float = math.nan
    density: str = "exact"
    curve: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    members: Sequence[MemberHistograms] = ()
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    drawn_log_weight: FloatArray | None = None


def conclude(run: RunDirectory, request: ReweightRequest, weighed: Weighed) -> dict[str, Any]:
    """Write ``profiles.json``, ``report.html`` and ``result.json``, finish the run and give the record."""
    settings, table, states, reference = request.settings, weighed.table, weighed.states, weighed.reference
    request.progress(ProgressEvent("estimates", 0, 1))
    cvs = build_cvs(weighed.system)
    by_state = describe_states(states.names, table.log_weight, table.label)
    estimates = estimate_all(table, states, cvs, by_state, weighed.evidence, reference)
    profiles = compute_profiles(table, states, cvs, reference, settings.profiles)
    generator = seeds.numpy_generator(run.seed, "distances")
    distances = compute_distances(table, cvs, reference, settings.distances, generator)
    if request.restraints is not None:
        generator = seeds.numpy_generator(run.seed, "restraints")
        restrained, verdicts = restrain(run, weighed, request.restraints, settings.restraints, generator)
        extra = {**weighed.extra, "restraints": restrained}
        weighed = replace(weighed, extra=extra, verdicts={**weighed.verdicts, **verdicts})
    record = to_plain(_record(run, request, weighed, estimates, distances))
    run.write_json("profiles.json", profiles)
    data = report_data(record, profiles, table, reference, weighed.curve, weighed.members)
    write_report(data, run.path / "report.html")
    run.write_json("result.json", record)
    run.record(platform=weighed.energy.platform)
    run.finish({key: record[key] for key in ("verdict", "ess_raw", "pareto_k", "populations", "delta_f")})
    request.progress(ProgressEvent("estimates", 1, 1))
    return json.loads(json.dumps(record))  # type: ignore[no-any-return]


def coverage_of(
    system: System,
    states: StateSet,
    table: RowTable,
    reference: Reference | None,
    trainings: Sequence[Mapping[str, Any]],
) -> Coverage:
    """Coverage of the rows by the reference's frames and by those that each of the models was trained on."""
    trained = from_training(*trainings)
    if reference is None:
        return trained
    weight = reference.rows.share
    missing = missing_states(states.names, table.log_weight, table.label, reference.label, weight)
    grids = [
        CVGrid(name, table.variables[name], reference.variables[name], cv.periodic)
        for name, cv in build_cvs(system).items()
    ]
    regions = unreached_regions(grids, table.log_weight, weight)
    return merge(Coverage(True, "reference", (*missing, *regions)), trained)


def _record(
    run: RunDirectory,
    request: ReweightRequest,
    weighed: Weighed,
    estimates: Estimates,
    distances: dict[str, Any] | None,
) -> dict[str, Any]:
    evidence, reference = weighed.evidence, weighed.reference
    diagnostics = evidence.weights
    verdicts = {**estimates.verdicts, **weighed.verdicts}
    overall = worst([judge(evidence), *verdicts.values()])
    generator = seeds.numpy_generator(run.seed, "bootstrap")
    low, high = ess_interval(weighed.table.log_weight, generator, request.settings.bootstrap_repeats)
    return {
        "molgen": molgen.__version__,
        "system": weighed.system.name,
        "temperature_k": weighed.energy.temperature_k,
        "n": diagnostics.n,
        "n_out_of_domain": diagnostics.n_out_of_domain,
        "n_non_finite": diagnostics.n_non_finite,
        "ess_raw": diagnostics.ess_raw,
        "ess_raw_interval": [low, high],
        "ess_winsorised": diagnostics.ess_winsorised,
        "ess_trimmed": diagnostics.ess_trimmed,
        "pareto_k": diagnostics.pareto_k,
        "pareto_k_threshold": diagnostics.pareto_k_threshold,
        "largest_weight_share": diagnostics.largest_weight_share,
        "ess_forward": weighed.ess_forward if math.isfinite(weighed.ess_forward) else None,
        "log_z": diagnostics.log_z,
        "log_z_interval": log_z_interval(weighed.table, diagnostics.log_z),
        "density": weighed.density,
        "log_q_error": evidence.noise_kt,
        "verdict": overall.word,
        "reasons": list(overall.reasons),
        "estimates": {name: verdict.to_json() for name, verdict in verdicts.items()},
        "states": {n: c.text for n, c in zip(weighed.states.names, weighed.states.conditions, strict=True)},
        "populations": estimates.populations,
        "delta_f": estimates.delta_f,
        "expectations": estimates.expectations,
        "thermodynamics": thermodynamics(weighed.table, weighed.states, estimates.verdicts),
        "convergence": convergence(weighed.table, weighed.states),
        "coverage": evidence.coverage.to_json(),
        "audit": weighed.audit.to_json(),
        "distances": distances,
        "reference": reference.counts if reference is not None else None,
        "evaluations": dict(weighed.evaluations),
        "seed": run.seed,
        "platform": weighed.energy.platform,
        "report": str(run.path / "report.html"),
        "provenance": provenance() | dict(weighed.origin),
    } | dict(weighed.extra)
