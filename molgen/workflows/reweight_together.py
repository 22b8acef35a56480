"""Several ensembles weighed together: draws of one or more models, and frames of dynamics, plain or under a bias.

Draws alone are a deterministic mixture (:mod:`molgen.reweighting.mixture`). With frames of dynamics, whose density is
known up to a factor only, MBAR finds the factors first (:mod:`molgen.reweighting.multistate`); either way a row weighs
exp(-u)/q with q the density of all ensembles together.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from molgen import seeds
from molgen.analysis.intervals import Z95
from molgen.arrays import FloatArray
from molgen.bias.parsing import parse_bias
from molgen.energies.base import Energy
from molgen.energies.factory import open_energy
from molgen.engines.executors import open_executor
from molgen.ensemble import Ensemble, EnsembleHeader, EnsembleWriter
from molgen.errors import InputError
from molgen.observables.states import StateSet, build_states
from molgen.observables.table import build_cvs, evaluate_cvs
from molgen.progress import ProgressEvent
from molgen.reweighting.diagnostics import WeightDiagnostics, describe
from molgen.reweighting.mixture import log_mixture
from molgen.reweighting.verdict import Evidence
from molgen.reweighting.weights import log_weights
from molgen.rundir import RunDirectory
from molgen.systems.record import system_record
from molgen.systems.system import System
from molgen.workflows.reweight_conclusion import Weighed, conclude, coverage_of
from molgen.workflows.reweight_densities import Pool, Sample, make_pool, make_samples
from molgen.workflows.reweight_joined import Joined, join
from molgen.workflows.reweight_members import (
    EquilibriumMember,
    MemberRows,
    Members,
    independent_frames,
    model_rows,
)
from molgen.workflows.reweight_one import CHUNK, FORWARD_PIECES, find_reference
from molgen.workflows.reweight_opening import open_members
from molgen.workflows.reweight_overlap import Findings, examine
from molgen.workflows.reweight_reference import Reference, reference_forward_ess
from molgen.workflows.reweight_report import member_histograms
from molgen.workflows.reweight_request import ReweightRequest
from molgen.workflows.reweight_rows import RowTable, in_shards, save_table
from molgen.workflows.reweight_target import compare

ROWS = "rows.h5"
"""The frames that were weighed, one file for all ensembles."""
TARGET_ENERGIES = "energies-target"
"""Folder of the energies under another force field that is the target."""


@dataclass(frozen=True)
class Potential:
    """A force field: what is sampled, and its energy at the temperature of the target."""

    system: System
    energy: Energy


def reweight_together(request: ReweightRequest) -> Mapping[str, Any]:
    """Weigh several ensembles; the record of result.json.

    ``InputError`` for ensembles that do not belong together, for sets of them that share no configurations, so that
    nothing says how they are to be joined, and for equations that do not converge: no number could be given then,
    not even one to be refused.
    """
    members = open_members(request.ensembles, request.model)
    drawn = request.with_states(members.system)
    system = request.target(drawn)
    target_k = _target_temperature(request, members)

    def work(run: RunDirectory) -> dict[str, Any]:
        run.record(ensembles=[str(member.path.resolve()) for member in members.all])
        _check_reference(request, members)
        with open_executor(request.workers) as executor:
            energy = open_energy(drawn, executor=executor, platform=request.platform, temperature_k=target_k)
            own = target = Potential(drawn, energy)
            if system is not drawn:
                other = open_energy(system, executor=executor, platform=request.platform, temperature_k=target_k)
                target = Potential(system, other)
            return conclude(run, request, _weigh(run, request, members, own, target))

    return request.run({"ensembles": [member.digest for member in members.all]}, work)


def _check_reference(request: ReweightRequest, members: Members) -> None:
    """``InputError`` for a reference that is one of the ensembles: it would be compared with itself."""
    if request.reference is None:
        return
    for member in members.equilibria:
        if member.path.resolve() == request.reference.resolve():
            raise InputError(
                f"The reference {request.reference} is one of the ensembles.", "Give frames that take no other part."
            )


def _target_temperature(request: ReweightRequest, members: Members) -> float:
    if members.models:
        return request.target_temperature(members.models[0].header.temperature_k)
    if request.asked_k is not None:
        return request.asked_k
    found = sorted({member.temperature_k for member in members.equilibria})
    if len(found) > 1:
        listed = " and ".join(f"{value:g}" for value in found)
        raise InputError(f"The runs are of {listed} K.", "Say with --temperature which one the result is to be of.")
    return found[0]


def _weigh(run: RunDirectory, request: ReweightRequest, members: Members, own: Potential, target: Potential) -> Weighed:
    """Join by what the ensembles are, densities under their ``own`` force field, and weigh to the ``target``."""
    system, energy = target.system, target.energy
    states = build_states(system)
    reference = find_reference(run, request, system, states, energy)
    rows: list[MemberRows] = [model_rows(model) for model in members.models]
    for member in members.equilibria:
        rows.append(independent_frames(member, own.system, lambda x, m=member: _series(x, m, system, states)))  # type: ignore[misc]
        found = rows[-1]
        request.progress(ProgressEvent("frames", len(found), found.total, "independent"))
    samples = make_samples(members, own.system, own.energy)
    pool = make_pool(run, request, rows, samples, system, states, own.energy)
    joined = join(run, request, members, samples, pool)
    drawn = RowTable(
        pool.energy,
        joined.log_mixture,
        log_weights(pool.energy, joined.log_mixture, pool.in_domain),
        pool.in_domain,
        pool.label,
        pool.variables,
        replicates=joined.replicates.relative,
    )
    table = drawn if target is own else _moved(run, request, rows, drawn, energy)
    save_table(run, table, states, {"ensemble": pool.member})
    _save_rows(run, members, rows, table, energy)
    request.interruption.check()
    request.progress(ProgressEvent("audit", 0, 1))
    generator = seeds.numpy_generator(run.seed, "audit")
    findings = examine(
        request, members, rows, samples, joined, drawn, own.system, states, own.energy, generator, table.log_weight
    )
    weighed = _weighed(members, system, states, energy, table, reference, findings, pool, samples, joined)
    if target is own:
        return weighed
    comparison = compare(system, own.system, table, states, weighed.evidence, drawn.log_weight)
    counts = weighed.evaluations
    spent = {**counts, "reweighting": counts["reweighting"] + len(pool.energy)}
    return replace(
        weighed,
        evaluations=spent,
        extra={**weighed.extra, "target": comparison.record},
        verdicts=comparison.verdicts,
        drawn_log_weight=comparison.log_weight,
    )


def _moved(
    run: RunDirectory, request: ReweightRequest, rows: list[MemberRows], drawn: RowTable, energy: Energy
) -> RowTable:
    """The ``rows`` weighed to another force field: their density stays, u is that of ``energy``, kept in shards."""
    parts, total, done = [], len(drawn.energy), 0
    for index, item in enumerate(rows):

        def compute(start: int, stop: int, item: MemberRows = item) -> FloatArray:
            return energy.reduced(item.positions(start, stop), purpose="reweighting")

        def report(stop: int, done: int = done) -> None:
            request.progress(ProgressEvent("energies of the target", done + stop, total, "rows"))

        folder, shard = f"{TARGET_ENERGIES}/{index:03d}", request.settings.shard_rows
        parts.append(in_shards(run, folder, len(item), shard, compute, report, request.interruption))
        done += len(item)
    reduced = np.concatenate(parts)
    return replace(drawn, energy=reduced, log_weight=log_weights(reduced, drawn.log_q, drawn.in_domain))


def _series(positions: FloatArray, member: EquilibriumMember, system: System, states: StateSet) -> list[FloatArray]:
    """What must be independent: the collective variables, the states, and the run's own bias."""
    import torch

    variables = evaluate_cvs(system, positions)
    series: list[FloatArray] = []
    for name, cv in build_cvs(system).items():
        values = variables[name]
        series += [np.sin(values), np.cos(values)] if cv.periodic else [values]
    if states.names:
        label = states.assign(variables)
        series += [(label == index).astype(np.float64) for index in range(len(states.names))]
    if member.bias is not None:
        with torch.no_grad():
            series.append(parse_bias(member.bias, member.system).reduced(torch.as_tensor(positions)).numpy())
    return series


def _weighed(
    members: Members,
    system: System,
    states: StateSet,
    energy: Energy,
    table: RowTable,
    reference: Reference | None,
    findings: Findings,
    pool: Pool,
    samples: list[Sample],
    joined: Joined,
) -> Weighed:
    diagnostics = _diagnostics(table, pool)
    trainings = {model.loaded.sha256: model.loaded.training for model in members.models}
    coverage = coverage_of(system, states, table, reference, list(trainings.values()))
    audit = findings.audit
    # A reference says what is lost; without one, models that disagree do.
    remarks = findings.remarks if reference is not None else (*findings.remarks, *findings.disagreements)
    evidence = Evidence(diagnostics, (), coverage, audit.passed, audit.complete, audit.failures, remarks=remarks)
    counts = {"data": 0, "training": 0, "sampling": 0}
    for training in trainings.values():
        spent = training.get("evaluations", {})
        counts = {name: counts[name] + int(spent.get(name, 0)) for name in counts}
    counts["data"] += sum(member.evaluations for member in members.equilibria)
    counts["sampling"] += sum(int(model.header.evaluations.get("sampling", 0)) for model in members.models)
    counts["reweighting"] = diagnostics.n + audit.rows + (len(reference.row) if reference is not None else 0)
    hashes = sorted(trainings)
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
            "model_sha256": hashes[0] if len(hashes) == 1 else hashes or None,
            "system_fingerprint": system.fingerprint,
            "measure": members.models[0].header.measure if members.models else None,
        },
        ess_forward=_forward(members, samples, joined, reference),
        curve=next(iter(trainings.values())) if len(trainings) == 1 else None,
        extra={**findings.record, "log_z_interval": _log_z_interval(diagnostics.log_z, joined)},
        members=member_histograms(table, pool.member, members.names, build_cvs(system)),
    )


def _save_rows(run: RunDirectory, members: Members, rows: list[MemberRows], table: RowTable, energy: Energy) -> None:
    """``rows.h5``: the frames of all ensembles that were weighed, with their weights, for `molgen export`."""
    header = EnsembleHeader(
        system_record(members.system),
        energy.temperature_k,
        members.models[0].header.measure if members.models else "external",
        kind="equilibrium",
        dim=members.system.dim,
    )
    done = 0
    with EnsembleWriter(run.path / ROWS, header) as writer:
        for item in rows:
            for start in range(0, len(item), CHUNK):
                positions = item.positions(start, start + CHUNK)
                own = slice(done + start, done + start + len(positions))
                inside = table.in_domain[own]
                writer.append(Ensemble(positions, None, None, table.log_weight[own], inside, header))
            done += len(item)


def _diagnostics(table: RowTable, pool: Pool) -> WeightDiagnostics:
    """Those of all rows; ln Z is known only where some density is normalised."""
    rejected = (pool.own_log_q == np.inf) & ~pool.in_domain
    found = describe(
        table.log_weight,
        n_out_of_domain=table.n_out_of_domain,
        n_non_finite=table.n_non_finite,
        n_log_q_non_finite=int(np.sum(~np.isfinite(pool.own_log_q) & ~rejected)),
    )
    return found if np.any(pool.pinned) else WeightDiagnostics(**{**found.__dict__, "log_z": math.nan})


def _log_z_interval(value: float, joined: Joined) -> dict[str, float] | None:
    """95 % interval of ln Z from the spread of the replicates; None where ln Z is not known."""
    if not math.isfinite(value):
        return None
    half = Z95 * float(np.std(joined.replicates.log_z, ddof=1))
    return {"low": value - half, "high": value + half}


def _forward(members: Members, samples: list[Sample], joined: Joined, reference: Reference | None) -> float:
    """Forward ESS of the mixture on a declared reference; NaN without one or where dynamics takes part."""
    if reference is None or not reference.declared or members.equilibria:
        return math.nan

    def density(positions: FloatArray) -> FloatArray:
        nothing = np.zeros(len(positions))
        columns = np.stack([sample.density(positions, nothing) for sample in samples], axis=1)
        return log_mixture(columns, joined.pool.counts)

    most = FORWARD_PIECES * min(model.loaded.model.piece for model in members.models)
    return reference_forward_ess(reference, density, most=most)
