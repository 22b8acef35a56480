"""One ensemble of annealed populations: the bias is taken back, the rest is in the weights already.

Stage 1, *unbias*: log w ← log w + B, with B computed anew from the line in the header. Stage 2, *to Boltzmann*, was
done by the annealing; for another temperature or force field the reduced energy of each particle is exchanged,
log w ← log w + u − u′. Intervals are those of whole populations with their evidences.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from molgen import seeds, weights
from molgen.analysis.intervals import WeightedRows, plain_interval
from molgen.arrays import FloatArray
from molgen.bias.base import SumBias
from molgen.energies.base import Energy
from molgen.energies.factory import open_energy
from molgen.engines.executors import open_executor
from molgen.ensemble import EnsembleHeader, EnsembleReader
from molgen.errors import InputError
from molgen.observables.states import StateSet, build_states
from molgen.observables.table import evaluate_cvs
from molgen.progress import ProgressEvent
from molgen.reweighting.audit import (
    ENERGY_TOLERANCE,
    Audit,
    AuditCheck,
    assemble,
    audit_rows,
    check_same,
    check_temperature,
    check_values,
)
from molgen.reweighting.diagnostics import describe
from molgen.reweighting.populations import PopulationEvidence, population_evidence
from molgen.reweighting.verdict import Evidence
from molgen.rundir import RunDirectory, sha256_file
from molgen.systems.record import system_from_record
from molgen.systems.system import System
from molgen.workflows.bias_functions import read_bias
from molgen.workflows.reweight_audit import audit_domain, geometry_record
from molgen.workflows.reweight_conclusion import Weighed, conclude, coverage_of
from molgen.workflows.reweight_model import ensemble_file, find_model
from molgen.workflows.reweight_one import find_reference
from molgen.workflows.reweight_request import ReweightRequest
from molgen.workflows.reweight_rows import RowTable, compute_energies, save_table
from molgen.workflows.reweight_target import compare

if TYPE_CHECKING:
    from molgen.models.artifact import LoadedModel

EVIDENCE_TOLERANCE = 1e-6
"""Allowed difference between the evidence of a population in the header and the mean weight of its particles."""
_CHUNK = 4096


@dataclass(frozen=True)
class _Annealed:
    """The ensemble as it was opened: its rows are read again where they are needed."""

    reader: EnsembleReader
    drawn: System
    system: System
    """The target: ``drawn``, or another force field of its atoms."""
    states: StateSet
    bias: SumBias | None

    @property
    def header(self) -> EnsembleHeader:
        return self.reader.header

    def column(self, name: str) -> FloatArray:
        return np.asarray(self.reader.column(name), dtype=np.float64)


def reweight_annealed(request: ReweightRequest) -> Mapping[str, Any]:
    """Weigh the particles of annealed populations; the record of result.json.

    ``InputError`` for a file without their columns, a bias that cannot be read, and a temperature out of reach.
    """
    (ensemble,) = request.ensembles
    file = ensemble_file(ensemble)
    reader = EnsembleReader(file)
    drawn = request.with_states(system_from_record(dict(reader.header.system_record)))
    system = request.target(drawn, len(reader))
    annealed = _Annealed(reader, drawn, system, build_states(system), _bias(reader, drawn))
    target_k = request.target_temperature(reader.header.temperature_k)

    def work(run: RunDirectory) -> dict[str, Any]:
        run.record(ensemble=str(file.resolve()), ensemble_beside=os.path.relpath(file, request.output))
        loaded = find_model(ensemble, reader.header, request.model)
        with open_executor(request.workers) as executor:
            energy = open_energy(system, executor=executor, platform=request.platform, temperature_k=target_k)
            own = energy
            if system is not drawn:
                own = open_energy(drawn, executor=executor, platform=request.platform, temperature_k=target_k)
            return conclude(run, request, _weigh(run, request, annealed, energy, own, loaded))

    return request.run({"ensemble": sha256_file(file)}, work)


def _bias(reader: EnsembleReader, system: System) -> SumBias | None:
    """The bias of the header; ``InputError`` if the file lacks a column that annealed particles need."""
    needed = ["log_weight", "reduced_energy", "population"] + ["reduced_bias"] * (reader.header.bias is not None)
    for name in needed:
        if name not in reader.columns or len(reader) == 0:
            raise InputError(f"{reader.path} has no annealed particles with a {name}.", "Draw them anew.")
    return None if reader.header.bias is None else read_bias(str(reader.header.bias.get("text")), system)


def _weigh(
    run: RunDirectory,
    request: ReweightRequest,
    annealed: _Annealed,
    energy: Energy,
    own: Energy,
    loaded: "LoadedModel | None",
) -> Weighed:
    """``energy`` is that of the target, ``own`` that of the force field that was annealed to, at its temperature."""
    header, system, states = annealed.header, annealed.system, annealed.states
    reference = find_reference(run, request, system, states, energy)
    other = None
    if energy is not own:
        rows, stop = request.settings.shard_rows, request.interruption
        other = compute_energies(run, annealed.reader, energy, rows, request.progress, stop)
    table, own_weight, bias = _table(annealed, energy.temperature_k, other)
    save_table(run, table, states)
    request.interruption.check()
    request.progress(ProgressEvent("audit", 0, 1))
    generator = seeds.numpy_generator(run.seed, "audit")
    audit = _audit(annealed, own, bias, loaded, request.settings.audit_rows, generator)
    assert table.block is not None
    populations = population_evidence(table.log_weight, table.block, states.names, table.label)
    diagnostics = describe(table.log_weight, n_out_of_domain=table.n_out_of_domain, n_non_finite=table.n_non_finite)
    training = [loaded.training] if loaded is not None else []
    coverage = coverage_of(system, states, table, reference, training)
    evidence = Evidence(
        diagnostics, (), coverage, audit.passed, audit.complete, audit.failures, populations=populations
    )
    spent = {**(training[0].get("evaluations", {}) if training else {}), **header.evaluations}
    counts = {name: int(spent.get(name, 0)) for name in ("data", "training", "sampling")}
    counts["reweighting"] = audit.rows + (len(reference.row) if reference is not None else 0)
    comparison = None
    if other is not None:
        comparison = compare(system, annealed.drawn, table, states, evidence, own_weight)
        counts["reweighting"] += len(other)
    return Weighed(
        system,
        states,
        energy,
        table,
        reference,
        evidence,
        audit,
        counts,
        {"model_sha256": header.model_sha256, "system_fingerprint": system.fingerprint, "measure": header.measure},
        density="none",
        curve=training[0] if training else None,
        extra={
            **_extra(annealed, table, populations),
            "geometry": geometry_record(annealed.reader, annealed.drawn, table.in_domain),
            **({"target": comparison.record} if comparison else {}),
        },
        verdicts=comparison.verdicts if comparison else {},
        drawn_log_weight=comparison.log_weight if comparison else None,
    )


def _table(
    annealed: _Annealed, temperature_k: float, other: FloatArray | None
) -> tuple[RowTable, FloatArray, FloatArray]:
    """All rows weighed to the unbiased target; their ln w (n,) to the force field that was annealed to at
    ``temperature_k``; B (n,) in kT as the header's line has it (0 without a bias).

    ``other`` (n,) is u under another force field at that temperature, None where there is none.
    """
    variables: dict[str, list[FloatArray]] = {}
    parts: list[FloatArray] = []
    for rows in annealed.reader.chunks(_CHUNK):
        for name, values in evaluate_cvs(annealed.system, rows.positions).items():
            variables.setdefault(name, []).append(values)
        parts.append(reduced_bias(annealed.bias, rows.positions))
    joined = {name: np.concatenate(values) for name, values in variables.items()}
    bias, stored = np.concatenate(parts), annealed.column("reduced_energy")
    # u = U/kT: another temperature needs no other evaluation.
    own = stored * (annealed.header.temperature_k / temperature_k)
    target = own if other is None else other
    drawn = annealed.column("log_weight")

    def weighed(reduced: FloatArray) -> FloatArray:
        with np.errstate(invalid="ignore"):
            moved = drawn + bias + (stored - reduced)
        return np.where(np.isfinite(drawn) & np.isfinite(moved), moved, -np.inf)

    log_weight = weighed(target)
    n = len(log_weight)
    label = annealed.states.assign(joined) if annealed.states.names else np.full(n, -1, dtype=np.int64)
    return (
        RowTable(
            target,
            np.full(n, np.nan),
            log_weight,
            np.asarray(annealed.reader.column("in_domain"), dtype=np.bool_),
            label,
            joined,
            block=annealed.column("population").astype(np.int64),
        ),
        weighed(own),
        bias,
    )


def reduced_bias(bias: SumBias | None, positions: FloatArray) -> FloatArray:
    """B (n,) in kT of ``positions`` (n, N, D); 0 without a bias."""
    if bias is None:
        return np.zeros(len(positions))
    with torch.no_grad():
        return bias.reduced(torch.as_tensor(positions, dtype=torch.float64)).numpy()


def _audit(
    annealed: _Annealed,
    energy: Energy,
    bias: FloatArray,
    loaded: "LoadedModel | None",
    rows: int,
    generator: np.random.Generator,
) -> Audit:
    """Recompute u and B of random rows, the evidence of every population, and compare hashes and domain."""
    reader, header = annealed.reader, annealed.header
    index = audit_rows(len(reader), generator, rows)
    sample = reader.rows(index)
    weighed = np.isfinite(annealed.column("log_weight")[index])
    fresh = energy.reduced(sample.positions, purpose="reweighting") * (energy.temperature_k / header.temperature_k)
    assert sample.reduced_energy is not None
    checks: list[AuditCheck | None] = [
        check_temperature(header.temperature_k, annealed.drawn.temperature_k),
        check_values("energy", sample.reduced_energy[weighed], fresh[weighed], ENERGY_TOLERANCE),
        _check_evidences(annealed),
        _check_particles(annealed),
        audit_domain(reader, annealed.drawn),
    ]
    if sample.reduced_bias is not None:
        checks.append(check_values("bias", sample.reduced_bias[weighed], bias[index][weighed], ENERGY_TOLERANCE))
    if loaded is not None:
        checks.append(check_same("model", header.model_sha256, loaded.sha256))
        checks.append(check_same("system", annealed.drawn.fingerprint, loaded.system.fingerprint))
    return assemble(len(index), checks)


def _check_evidences(annealed: _Annealed) -> AuditCheck:
    """Mean weights of the populations, as drawn, against the evidences in the header."""
    log_weight, population = annealed.column("log_weight"), annealed.column("population").astype(np.int64)
    stored = np.array([float(item["log_z"]) for item in annealed.header.annealing.get("populations", ())])
    found = np.array([weights.log_mean_exp(log_weight[population == k]) for k in range(population.max() + 1)])
    if len(stored) != len(found):
        return AuditCheck("evidence", False, f"{len(found)} populations with {len(stored)} evidences")
    return check_values("evidence", stored, found, (EVIDENCE_TOLERANCE, 0.0))


def _check_particles(annealed: _Annealed) -> AuditCheck | None:
    """Rows of each population against their number in the header: weights that are equal hide rows that are missing."""
    stored = annealed.header.annealing.get("particles")
    if stored is None:
        return None
    found = np.bincount(annealed.column("population").astype(np.int64)).tolist()
    if found == list(stored):
        return AuditCheck("particles", True, f"{sum(found)} rows in both")
    return AuditCheck("particles", False, f"{sum(found)} rows in the populations, {sum(stored)} in the header")


def _extra(annealed: _Annealed, table: RowTable, populations: PopulationEvidence) -> dict[str, Any]:
    """What result.json says beyond that of other ensembles: ln Z with its interval, and every population's history."""
    assert table.block is not None
    rows = WeightedRows.from_log_weight(table.log_weight, table.block)
    bias = annealed.header.bias
    evidences = [weights.log_mean_exp(table.log_weight[table.block == k]) for k in range(populations.count)]
    return {
        "log_z_interval": plain_interval(populations.log_z, populations.log_z_error, rows).to_json(),
        "annealing": {
            **populations.to_json(),
            "bias": None if bias is None else bias.get("text"),
            "ess_before_unbiasing": weights.kish_ess(annealed.column("log_weight")),
            "log_z": evidences,
            **annealed.header.annealing,
        },
    }
