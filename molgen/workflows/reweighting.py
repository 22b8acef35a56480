"""`reweight`: from draws of a model to populations, free energies and a verdict; the draws are never changed."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import molgen
from molgen import seeds
from molgen.analysis.intervals import ess_interval
from molgen.energies.base import Energy
from molgen.energies.factory import open_energy
from molgen.engines.executors import open_executor
from molgen.ensemble import EnsembleReader
from molgen.errors import InputError, RefusedError
from molgen.files import to_plain
from molgen.interruption import Interruption
from molgen.observables.states import StateSet, build_states, with_states
from molgen.observables.table import build_cvs
from molgen.progress import Progress, ProgressEvent, silent
from molgen.provenance import provenance
from molgen.reports.report import write_report
from molgen.reweighting.audit import Audit
from molgen.reweighting.coverage import Coverage, CVGrid, from_training, merge, missing_states, unreached_regions
from molgen.reweighting.diagnostics import WeightDiagnostics, describe, describe_states
from molgen.reweighting.verdict import Evidence, judge, worst
from molgen.rundir import RunDirectory, sha256_file
from molgen.systems.definition import StateSection
from molgen.systems.record import system_from_record
from molgen.systems.system import System
from molgen.trajectories.options import EVERYTHING, ReadingOptions
from molgen.workflows.reweight_audit import audit_ensemble
from molgen.workflows.reweight_estimates import Estimates, compute_distances, compute_profiles, estimate_all
from molgen.workflows.reweight_model import ensemble_file, find_model, log_density
from molgen.workflows.reweight_reference import Reference, open_reference, reference_forward_ess
from molgen.workflows.reweight_report import report_data
from molgen.workflows.reweight_rows import RowTable, build_table, compute_energies, density_noise, save_table
from molgen.workflows.reweight_settings import ReweightSettings

if TYPE_CHECKING:
    from molgen.models.artifact import LoadedModel

TEMPERATURE_RANGE = 1.25
"""Draws may be weighed to temperatures up to this factor away; within it the verdict decides."""
FORWARD_PIECES = 10
"""The forward ESS takes at most as many densities of a reference as this many pieces of the model hold."""
_CHUNK = 4096


@dataclass(frozen=True)
class ReweightResult:
    """The run directory and what stands in its result.json."""

    directory: Path
    record: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        """``reliable``, ``caution`` or ``refused``: the worst over all estimates."""
        return str(self.record["verdict"])

    def to_json(self) -> dict[str, Any]:
        """The content of result.json."""
        return dict(self.record)


@dataclass(frozen=True)
class _Parts:
    """What was opened for one reweighting."""

    reader: EnsembleReader
    system: System
    states: StateSet
    energy: Energy
    loaded: "LoadedModel | None"
    settings: ReweightSettings
    seed: int
    reading: ReadingOptions


def reweight(
    ensemble: Path,
    output: Path,
    *,
    reference: Path | None = None,
    reading: ReadingOptions = EVERYTHING,
    model: Path | None = None,
    states: Mapping[str, str] | None = None,
    temperature_k: float | None = None,
    settings: ReweightSettings | None = None,
    seed: int | None = None,
    workers: int = 1,
    platform: str = "auto",
    progress: Progress = silent,
    interruption: Interruption | None = None,
    allow_refused: bool = False,
    allow_noisy_density: bool = False,
) -> ReweightResult:
    """Weigh the draws in ``ensemble`` (directory of a sample run, or its file) to the Boltzmann distribution.

    ``reference``: frames of the target at equilibrium that the model was not trained on; without it a reference that
    the system ships is compared with; ``reading`` says which of its frames and atoms are taken. ``model``: the model's
    directory, found by itself for a sample run's directory.
    ``states`` (name to condition) replace the system's. ``temperature_k`` is the target's, the model's own if None.

    Writes ``result.json``, ``weights.h5``, ``profiles.json`` and ``report.html`` into the run directory ``output``; the
    same call continues an interrupted run. ``InputError`` for unusable inputs, among them log-densities estimated with
    noise unless ``allow_noisy_density`` (they bias the weights, and the verdict says so); ``RefusedError`` if the
    verdict is ``refused`` and ``allow_refused`` is False (all files are written before).
    """
    ensemble, output = Path(ensemble), Path(output)
    settings = settings or ReweightSettings()
    file = ensemble_file(ensemble)
    reader = EnsembleReader(file)
    if "log_q" not in reader.columns or len(reader) == 0:
        raise InputError(f"{file} has no draws with a log-density.", "Give the directory of a molgen sample run.")
    if reader.header.density != "exact" and not allow_noisy_density:
        raise InputError(
            f"The log-densities in {file} are {reader.header.density} estimates, whose noise biases weights.",
            "Draw with exact ones (molgen sample without --set density=...), or add --allow-noisy-density.",
        )
    _check_temperature(temperature_k, reader.header.temperature_k)
    system = _with_states(system_from_record(dict(reader.header.system_record)), states)
    config = {
        "ensemble": sha256_file(file),
        "reference": str(reference) if reference is not None else None,
        "model": str(model) if model is not None else None,
        "states": dict(states) if states is not None else None,
        "temperature_k": temperature_k,
        "platform": platform,
        "settings": settings.model_dump(mode="json"),
    }
    if reading != EVERYTHING:
        config["reading"] = reading.to_json()
    with RunDirectory.open(output, kind="reweight", config=config, seed=seed) as run:
        record = run.read_json("result.json") if run.complete else None
        if record is None:
            run.record(ensemble=str(file.resolve()), ensemble_beside=os.path.relpath(file, output))
            target = reader.header.temperature_k if temperature_k is None else temperature_k
            loaded = find_model(ensemble, reader.header, model)
            with open_executor(workers) as executor:
                energy = open_energy(system, executor=executor, platform=platform, temperature_k=target)
                parts = _Parts(reader, system, build_states(system), energy, loaded, settings, run.seed, reading)
                record = _reweight(run, parts, reference, progress, interruption or Interruption())
    result = ReweightResult(output, record)
    if result.verdict == "refused" and not allow_refused:
        raise RefusedError(f"The verdict is refused: {record['reasons'][0]}", f"See {record['report']}.")
    return result


def plan_reweighting(
    ensemble: Path, *, reference: Path | None = None, settings: ReweightSettings | None = None
) -> dict[str, Any]:
    """What :func:`reweight` would do: draws, energy evaluations, memory, files."""
    settings = settings or ReweightSettings()
    reader = EnsembleReader(ensemble_file(Path(ensemble)))
    system = system_from_record(dict(reader.header.system_record))
    compared = reference or system.reference_path
    evaluations = len(reader) + min(settings.audit_rows, len(reader))
    chunk = _CHUNK * reader.n_particles * 3 * 8 * 4
    return {
        "system": system.name,
        "draws": len(reader),
        "energy_evaluations": {"draws": evaluations, "reference_at_most": settings.reference_energies * bool(compared)},
        "reference": str(compared) if compared is not None else None,
        "memory_mb": round((chunk + 200 * len(reader)) / 1e6 + 300),
        "files": ["result.json", "weights.h5", "profiles.json", "report.html", "energies/"],
    }


def _check_temperature(target_k: float | None, drawn_k: float) -> None:
    """``InputError`` for a target so far from the temperature of the draws that no weight could bridge it."""
    if target_k is not None and not drawn_k / TEMPERATURE_RANGE <= target_k <= drawn_k * TEMPERATURE_RANGE:
        low, high = drawn_k / TEMPERATURE_RANGE, drawn_k * TEMPERATURE_RANGE
        raise InputError(
            f"The draws are of {drawn_k:g} K, too far from {target_k:g} K to be weighed to it.",
            f"Give a temperature from {low:.0f} to {high:.0f} K, or train a model at {target_k:g} K.",
        )


def _with_states(system: System, states: Mapping[str, str] | None) -> System:
    if states is None:
        return system
    return with_states(system, tuple(StateSection(name=name, where=where) for name, where in states.items()))


def _reweight(
    run: RunDirectory, parts: _Parts, reference_path: Path | None, progress: Progress, interruption: Interruption
) -> dict[str, Any]:
    settings, reader, states = parts.settings, parts.reader, parts.states
    # The reference comes first: frames that are none are refused before an energy is spent.
    reference = _reference(parts, reference_path)
    if reference is not None:
        progress(ProgressEvent("reference", 1, 1, "read", _changed(reference)))
    energies = compute_energies(run, reader, parts.energy, settings.shard_rows, progress, interruption)
    table = build_table(reader, parts.system, states, energies, _CHUNK)
    save_table(run, table, states)
    interruption.check()
    progress(ProgressEvent("audit", 0, 1))
    audit = audit_ensemble(
        reader,
        parts.system,
        parts.energy,
        table,
        parts.loaded,
        rows=settings.audit_rows,
        generator=seeds.numpy_generator(parts.seed, "audit"),
    )
    diagnostics = describe(
        table.log_weight,
        n_out_of_domain=table.n_out_of_domain,
        n_non_finite=table.n_non_finite,
        n_log_q_non_finite=table.n_log_q_non_finite,
    )
    coverage = _coverage(parts, table, reference)
    evidence = Evidence(
        diagnostics, (), coverage, audit.passed, audit.complete, audit.failures, noise_kt=density_noise(reader)
    )
    by_state = describe_states(states.names, table.log_weight, table.label)
    cvs = build_cvs(parts.system)
    progress(ProgressEvent("estimates", 0, 1))
    estimates = estimate_all(table, states, cvs, by_state, evidence, reference)
    profiles = compute_profiles(table, states, cvs, reference, settings.profiles)
    generator = seeds.numpy_generator(parts.seed, "distances")
    distances = compute_distances(table, cvs, reference, settings.distances, generator)
    record = to_plain(_record(run, parts, table, reference, diagnostics, evidence, audit, estimates, distances))
    run.write_json("profiles.json", profiles)
    training = parts.loaded.training if parts.loaded is not None else None
    write_report(report_data(record, profiles, table, reference, training), run.path / "report.html")
    run.write_json("result.json", record)
    run.record(platform=parts.energy.platform)
    run.finish({key: record[key] for key in ("verdict", "ess_raw", "pareto_k", "populations", "delta_f")})
    progress(ProgressEvent("estimates", 1, 1))
    return json.loads(json.dumps(record))  # type: ignore[no-any-return]


def _reference(parts: _Parts, path: Path | None) -> Reference | None:
    chosen = path if path is not None else parts.system.reference_path
    if chosen is None or (path is None and parts.energy.temperature_k != parts.system.temperature_k):
        return None
    reading = parts.reading if path is not None else EVERYTHING
    return open_reference(
        chosen,
        parts.system,
        parts.states,
        parts.energy,
        declared=path is not None,
        reading=replace(reading, stride=reading.stride * parts.settings.reference_stride),
        energies=parts.settings.reference_energies,
        generator=seeds.numpy_generator(parts.seed, "reference"),
    )


def _changed(reference: Reference) -> dict[str, float]:
    """What was done to the frames of a reference, for the progress display."""
    counts = reference.counts
    relabelled = float(sum(counts.get("relabelled", {}).values()))
    figures = {"relabelled": relabelled, "outside the domain": float(counts.get("outside_domain", 0))}
    return {name: value for name, value in figures.items() if value}


def _coverage(parts: _Parts, table: RowTable, reference: Reference | None) -> Coverage:
    # What training found of the states holds at the temperature it was guarded at.
    same = parts.reader.header.temperature_k == parts.system.temperature_k
    trained = from_training(parts.loaded.training) if parts.loaded is not None and same else Coverage(tested=False)
    if reference is None:
        return trained
    weight = reference.rows.share
    missing = missing_states(parts.states.names, table.log_weight, table.label, reference.label, weight)
    grids = [
        CVGrid(name, table.variables[name], reference.variables[name], cv.periodic)
        for name, cv in build_cvs(parts.system).items()
    ]
    regions = unreached_regions(grids, table.log_weight, weight)
    return merge(Coverage(True, "reference", (*missing, *regions)), trained)


def _record(
    run: RunDirectory,
    parts: _Parts,
    table: RowTable,
    reference: Reference | None,
    diagnostics: WeightDiagnostics,
    evidence: Evidence,
    audit: Audit,
    estimates: Estimates,
    distances: dict[str, Any] | None,
) -> dict[str, Any]:
    overall = worst([judge(evidence), *estimates.verdicts.values()])
    generator = seeds.numpy_generator(parts.seed, "bootstrap")
    low, high = ess_interval(table.log_weight, generator, parts.settings.bootstrap_repeats)
    forward = math.nan
    if reference is not None and reference.declared and parts.loaded is not None:
        most = FORWARD_PIECES * parts.loaded.model.piece
        forward = reference_forward_ess(reference, log_density(parts.loaded), most=most)
    spent = dict(parts.loaded.training.get("evaluations", {})) if parts.loaded is not None else {}
    spent |= parts.reader.header.evaluations
    counts = {name: int(spent.get(name, 0)) for name in ("data", "training", "sampling")}
    compared = len(reference.row) if reference is not None else 0
    counts["reweighting"] = diagnostics.n + audit.rows + compared
    return {
        "molgen": molgen.__version__,
        "system": parts.system.name,
        "temperature_k": parts.energy.temperature_k,
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
        "ess_forward": forward if math.isfinite(forward) else None,
        "log_z": diagnostics.log_z,
        "density": parts.reader.header.density,
        "log_q_error": evidence.noise_kt,
        "verdict": overall.word,
        "reasons": list(overall.reasons),
        "estimates": {name: verdict.to_json() for name, verdict in estimates.verdicts.items()},
        "states": {n: c.text for n, c in zip(parts.states.names, parts.states.conditions, strict=True)},
        "populations": estimates.populations,
        "delta_f": estimates.delta_f,
        "expectations": estimates.expectations,
        "coverage": evidence.coverage.to_json(),
        "audit": audit.to_json(),
        "distances": distances,
        "reference": reference.counts if reference is not None else None,
        "evaluations": counts,
        "seed": parts.seed,
        "platform": parts.energy.platform,
        "report": str(run.path / "report.html"),
        "provenance": provenance()
        | {
            "model_sha256": parts.reader.header.model_sha256,
            "system_fingerprint": parts.system.fingerprint,
            "measure": parts.reader.header.measure,
        },
    }
