"""One ensemble of a model: its draws weighed by their own log-density."""

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen import seeds
from molgen.arrays import FloatArray
from molgen.energies.base import Energy
from molgen.energies.factory import open_energy
from molgen.engines.executors import open_executor
from molgen.ensemble import EnsembleReader
from molgen.errors import InputError
from molgen.observables.states import StateSet, build_states
from molgen.progress import ProgressEvent
from molgen.reweighting.diagnostics import describe
from molgen.reweighting.verdict import Evidence
from molgen.reweighting.weights import log_weights
from molgen.rundir import RunDirectory, sha256_file
from molgen.systems.record import system_from_record
from molgen.systems.system import System
from molgen.trajectories.options import EVERYTHING
from molgen.workflows.reweight_audit import audit_ensemble, geometry_record
from molgen.workflows.reweight_conclusion import Weighed, conclude, coverage_of
from molgen.workflows.reweight_model import ensemble_file, find_model, log_density
from molgen.workflows.reweight_reference import Reference, open_reference, reference_forward_ess
from molgen.workflows.reweight_request import ReweightRequest
from molgen.workflows.reweight_rows import build_table, compute_energies, density_noise, save_table
from molgen.workflows.reweight_target import DRAWN_ENERGIES, compare

if TYPE_CHECKING:
    from molgen.models.artifact import LoadedModel

CHUNK = 4096
"""Frames held in memory at a time."""
FORWARD_PIECES = 10
"""The forward ESS takes at most as many densities of a reference as this many pieces of the model hold."""


def reweight_one(request: ReweightRequest) -> Mapping[str, Any]:
    """Weigh the draws of one model; the record of result.json.

    ``InputError`` for a file without draws of exactly known log-density, and for a temperature out of reach.
    """
    (ensemble,) = request.ensembles
    file = ensemble_file(ensemble)
    reader = EnsembleReader(file)
    if "log_q" not in reader.columns or len(reader) == 0:
        raise InputError(f"{file} has no draws with a log-density.", "Give the directory of a molgen sample run.")
    if reader.header.density != "exact" and not request.allow_noisy_density:
        raise InputError(
            f"The log-densities in {file} are {reader.header.density} estimates, whose noise biases weights.",
            "Draw with exact ones (molgen sample without --set density=...), or add --allow-noisy-density.",
        )
    drawn = request.with_states(system_from_record(dict(reader.header.system_record)))
    system = request.target(drawn, len(reader))
    target_k = request.target_temperature(reader.header.temperature_k)

    def work(run: RunDirectory) -> dict[str, Any]:
        run.record(ensemble=str(file.resolve()), ensemble_beside=os.path.relpath(file, request.output))
        loaded = find_model(ensemble, reader.header, request.model)
        with open_executor(request.workers) as executor:
            energy = open_energy(system, executor=executor, platform=request.platform, temperature_k=target_k)
            return conclude(run, request, _weigh(run, request, reader, drawn, system, energy, loaded))

    return request.run({"ensemble": sha256_file(file)}, work)


def _weigh(
    run: RunDirectory,
    request: ReweightRequest,
    reader: EnsembleReader,
    drawn: System,
    system: System,
    energy: Energy,
    loaded: "LoadedModel | None",
) -> Weighed:
    settings, states = request.settings, build_states(system)
    # The reference comes first: frames that are none are refused before an energy is spent.
    reference = find_reference(run, request, system, states, energy)
    energies = compute_energies(run, reader, energy, settings.shard_rows, request.progress, request.interruption)
    table = build_table(reader, system, states, energies, CHUNK)
    save_table(run, table, states)
    request.interruption.check()
    request.progress(ProgressEvent("audit", 0, 1))
    generator = seeds.numpy_generator(run.seed, "audit")
    audit = audit_ensemble(
        reader,
        drawn,
        energy,
        table,
        loaded,
        rows=settings.audit_rows,
        generator=generator,
        same_target=system is drawn,
    )
    diagnostics = describe(
        table.log_weight,
        n_out_of_domain=table.n_out_of_domain,
        n_non_finite=table.n_non_finite,
        n_log_q_non_finite=table.n_log_q_non_finite,
    )
    training = [loaded.training] if loaded is not None else []
    # What training found of the states holds at the temperature it was guarded at.
    guarded = training if reader.header.temperature_k == drawn.temperature_k else []
    coverage = coverage_of(system, states, table, reference, guarded)
    evidence = Evidence(
        diagnostics, (), coverage, audit.passed, audit.complete, audit.failures, noise_kt=density_noise(reader)
    )
    counts = _spent(reader, loaded)
    counts["reweighting"] = diagnostics.n + audit.rows + (len(reference.row) if reference is not None else 0)
    comparison = None
    if system is not drawn:
        own = _drawn_energies(run, request, reader, drawn, energy)
        own_weight = log_weights(own, table.log_q, table.in_domain)
        comparison = compare(system, drawn, table, states, evidence, own_weight)
        counts["reweighting"] += diagnostics.n
    return Weighed(
        system,
        states,
        energy,
        table,
        reference,
        evidence,
        audit,
        counts,
        {
            "model_sha256": reader.header.model_sha256,
            "system_fingerprint": system.fingerprint,
            "measure": reader.header.measure,
        },
        ess_forward=_forward(reference, loaded),
        density=reader.header.density,
        curve=training[0] if training else None,
        extra={
            "geometry": geometry_record(reader, drawn, table.in_domain),
            **({"target": comparison.record} if comparison is not None else {}),
        },
        verdicts=comparison.verdicts if comparison is not None else {},
        drawn_log_weight=comparison.log_weight if comparison is not None else None,
    )


def _spent(reader: EnsembleReader, loaded: "LoadedModel | None") -> dict[str, int]:
    """Evaluations that the draws, and the model they come from, have cost so far."""
    spent = {**(loaded.training.get("evaluations", {}) if loaded is not None else {}), **reader.header.evaluations}
    return {name: int(spent.get(name, 0)) for name in ("data", "training", "sampling")}


def _drawn_energies(
    run: RunDirectory, request: ReweightRequest, reader: EnsembleReader, drawn: System, energy: Energy
) -> FloatArray:
    """u (n,) under the draws' own force field, at the temperature of the target."""
    with open_executor(request.workers) as executor:
        own = open_energy(drawn, executor=executor, platform=request.platform, temperature_k=energy.temperature_k)
        rows = request.settings.shard_rows
        return compute_energies(run, reader, own, rows, request.progress, request.interruption, DRAWN_ENERGIES)


def _forward(reference: Reference | None, loaded: "LoadedModel | None") -> float:
    """Forward ESS on the frames of a declared reference; NaN without one or without the model."""
    if reference is None or not reference.declared or loaded is None:
        return math.nan
    return reference_forward_ess(reference, log_density(loaded), most=FORWARD_PIECES * loaded.model.piece)


def find_reference(
    run: RunDirectory, request: ReweightRequest, system: System, states: StateSet, energy: Energy
) -> Reference | None:
    """The reference that was given, else the one the system ships if it is of the target's temperature."""
    path: Path | None = request.reference if request.reference is not None else system.reference_path
    if path is None or (request.reference is None and energy.temperature_k != system.temperature_k):
        return None
    reading = request.reading if request.reference is not None else EVERYTHING
    reference = open_reference(
        path,
        system,
        states,
        energy,
        declared=request.reference is not None,
        reading=replace(reading, stride=reading.stride * request.settings.reference_stride),
        energies=request.settings.reference_energies,
        generator=seeds.numpy_generator(run.seed, "reference"),
    )
    request.progress(ProgressEvent("reference", 1, 1, "read", _changed(reference)))
    return reference


def _changed(reference: Reference) -> dict[str, float]:
    """What was done to the frames of a reference, for the progress display."""
    counts = reference.counts
    relabelled = float(sum(counts.get("relabelled", {}).values()))
    figures = {"relabelled": relabelled, "outside the domain": float(counts.get("outside_domain", 0))}
    return {name: value for name, value in figures.items() if value}
