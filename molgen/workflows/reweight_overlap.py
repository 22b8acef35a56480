"""What several ensembles say of each other: overlap, contributions, both directions, and checks of what each is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from molgen.arrays import BoolArray, FloatArray
from molgen.energies.base import Energy
from molgen.observables.states import StateSet
from molgen.observables.table import build_cvs
from molgen.reweighting.agreement import Comparison, compare_models
from molgen.reweighting.audit import (
    ENERGY_TOLERANCE,
    Audit,
    AuditCheck,
    audit_rows,
    check_values,
)
from molgen.reweighting.bidirectional import both_directions
from molgen.reweighting.consistency import StateCount, cells_of, divergences, state_count
from molgen.reweighting.mixture import WEAK_OVERLAP, log_mixture, overlap_matrix, weakest_link
from molgen.reweighting.weights import log_weights as log_weights_of
from molgen.systems.system import System
from molgen.weights import effective_count, guard_states, normalised
from molgen.workflows.reweight_audit import audit_ensemble
from molgen.workflows.reweight_densities import Sample
from molgen.workflows.reweight_joined import Joined
from molgen.workflows.reweight_members import MemberRows, Members, ModelMember
from molgen.workflows.reweight_request import ReweightRequest
from molgen.workflows.reweight_rows import RowTable


@dataclass(frozen=True)
class Findings:
    """The audit of all ensembles, sentences of caution, and what goes into result.json beside the usual.

    ``disagreements`` are sentences of caution where no reference says whether a state is lost.
    """

    audit: Audit
    remarks: tuple[str, ...]
    record: dict[str, Any]
    disagreements: tuple[str, ...] = ()


def examine(
    request: ReweightRequest,
    members: Members,
    rows: Sequence[MemberRows],
    samples: Sequence[Sample],
    joined: Joined,
    table: RowTable,
    system: System,
    states: StateSet,
    energy: Energy,
    generator: np.random.Generator,
    log_weight: FloatArray,
) -> Findings:
    """Audit every ensemble, compare each with what the others expect of it, and describe how they were joined.

    All of that is under their own force field, to which ``table`` is weighed; ``log_weight`` (n,) are the weights to
    the target, of which each ensemble's part is told.
    """
    share = _by_member(samples, joined, len(rows))
    sizes = np.array([len(item) for item in rows], dtype=np.float64)
    overlap = overlap_matrix(share, sizes)
    pinned = np.array([joined.pool.pinned[_sample_of(samples, index)] for index in range(len(rows))], dtype=np.bool_)
    counts = _state_counts(members, share, joined, states)
    directions = _directions(members, joined, table, states)
    checks = [*_audits(request, members, rows, joined, table, system, energy, generator)]
    audited = sum(min(request.settings.audit_rows, len(item)) for item in rows)
    checks += _distributions(members, share, joined, table, system, states)
    models = _models_alone(members, joined, table, states)
    remarks = [*_untested(members), *_weak(overlap, pinned), *_strange(members, counts, states), *_apart(directions)]
    record = {
        "method": "deterministic mixture" if np.all(pinned) else "MBAR",
        "ensembles": _describe(members, rows, samples, joined, log_weight),
        "overlap": {"names": members.names, "matrix": overlap, "weakest": _weakest(overlap, pinned)},
        "contributions": _contributions(members, counts, joined, log_weight, states),
        "bidirectional": directions,
        "models_alone": [item.to_json() for item in models],
    }
    apart = tuple(item.sentence for item in models if not item.agrees)
    return Findings(Audit(audited, tuple(checks)), tuple(remarks), record, apart)


def _sample_of(samples: Sequence[Sample], member: int) -> int:
    return next(number for number, sample in enumerate(samples) if member in sample.members)


def _by_member(samples: Sequence[Sample], joined: Joined, members: int) -> FloatArray:
    """Responsibilities ``(n, M)`` of the ensembles: several of one density share it by their sizes."""
    sample_of = [_sample_of(samples, index) for index in range(members)]
    sizes = np.bincount(joined.pool.member, minlength=members)
    return np.asarray(joined.share[:, sample_of] * (sizes / joined.pool.counts[sample_of]), dtype=np.float64)


def _audits(
    request: ReweightRequest,
    members: Members,
    rows: Sequence[MemberRows],
    joined: Joined,
    table: RowTable,
    system: System,
    energy: Energy,
    generator: np.random.Generator,
) -> list[AuditCheck]:
    checks = []
    number = request.settings.audit_rows
    for index, (member, item) in enumerate(zip(members.all, rows, strict=True)):
        chosen = np.flatnonzero(joined.pool.member == index)
        if isinstance(member, ModelMember):
            own = replace(
                table,
                energy=table.energy[chosen],
                log_q=joined.pool.own_log_q[chosen],
                in_domain=table.in_domain[chosen],
                replicates=None,
            )
            audit = audit_ensemble(member.reader, system, energy, own, member.loaded, rows=number, generator=generator)
            found = list(audit.checks)
        else:
            index_in = audit_rows(len(item), generator, number)
            positions = np.concatenate([item.positions(int(row), int(row) + 1) for row in index_in])
            fresh = energy.reduced(positions, purpose="reweighting")
            found = [check_values("energy", table.energy[chosen][index_in], fresh, ENERGY_TOLERANCE)]
        checks += [replace(check, name=f"{check.name} of {member.name}") for check in found]
    return checks


def _distributions(
    members: Members, share: FloatArray, joined: Joined, table: RowTable, system: System, states: StateSet
) -> list[AuditCheck]:
    """Each ensemble against what all together expect of it."""
    cells = {name: cells_of(table.variables[name], cv.periodic) for name, cv in build_cvs(system).items()}
    if states.names:
        cells["the states"] = table.label + 1
    checks = []
    for found in divergences(share, joined.pool.member, cells):
        where = f" along {found.variable}" if found.variable else ""
        detail = f"relative entropy {found.value:.2g} nat{where} to what all expect of it, p = {found.probability:.2g}"
        if found.failed:
            detail += ": it is no sample of what its record says, or others are not"
        checks.append(AuditCheck(f"distribution of {members.names[found.sample]}", not found.failed, detail))
    return checks


def _state_counts(members: Members, share: FloatArray, joined: Joined, states: StateSet) -> list[list[StateCount]]:
    """For every state, the rows of each ensemble in it."""
    result = []
    for state in range(len(states.names)):
        inside = (joined.pool.label == state).astype(np.float64)
        result.append([state_count(share, joined.pool.member, index, inside) for index in range(len(members.all))])
    return result


def _directions(members: Members, joined: Joined, table: RowTable, states: StateSet) -> list[dict[str, Any]]:
    """ln Z of every run of dynamics from the draws, from its frames, and from both; empty without draws."""
    pool = joined.pool
    if not np.any(pool.pinned) or np.all(pool.pinned):
        return []
    model = log_mixture(pool.log_density[:, pool.pinned], pool.counts[pool.pinned])
    drawn = pool.pinned[pool.origin]
    result = []
    for number, member in enumerate(members.equilibria):
        column = int(np.sum(pool.pinned)) + number
        with np.errstate(invalid="ignore"):
            log_weight = pool.log_density[:, column] - model
        frames = pool.origin == column
        found = both_directions(log_weight[drawn], log_weight[frames], window=member.bias is not None)
        record = {"ensemble": member.name, **found.to_json(), "sentence": found.sentence(member.name)}
        record["free_energy"] = float(joined.free_energies[column])
        record["free_energy_error"] = float(np.std(joined.replicates.free_energies[:, column], ddof=1))
        guards = guard_states(
            states.names, log_weight[drawn], table.label[drawn], log_weight[frames], table.label[frames]
        )
        record["states"] = [guard.to_json() for guard in guards]
        result.append(record)
    return result


def _models_alone(members: Members, joined: Joined, table: RowTable, states: StateSet) -> list[Comparison]:
    """Populations by each trained model's own unbiased draws alone, compared; draws of one model count together."""
    of_model: dict[str, list[int]] = {}
    for index, member in enumerate(members.models):
        if member.header.bias is None:
            of_model.setdefault(member.loaded.sha256, []).append(index)
    names, log_weights, labels = [], [], []
    for indices in of_model.values():
        own = np.isin(joined.pool.member, indices)
        names.append(" and ".join(members.names[index] for index in indices))
        log_weights.append(log_weights_of(table.energy[own], joined.pool.own_log_q[own], table.in_domain[own]))
        labels.append(table.label[own])
    return compare_models(names, log_weights, labels, states.names)


def _untested(members: Members) -> list[str]:
    if not members.equilibria:
        return []
    unknown = [member.name for member in members.models if member.trained_on is None]
    return [
        f"Whether the model of {name} was trained on these frames is not known: its training run was not found."
        for name in unknown
    ]


def _weakest(overlap: FloatArray, pinned: BoolArray) -> float:
    """The weakest link that joins all ensembles; those of known density need none where others are to be joined."""
    return weakest_link(overlap, None if np.all(pinned) else pinned)


def _weak(overlap: FloatArray, pinned: BoolArray) -> list[str]:
    if np.all(pinned):
        return []
    weakest = weakest_link(overlap, pinned)
    if weakest >= WEAK_OVERLAP:
        return []
    return [f"The ensembles hang together by an overlap of only {weakest:.1%}, below {WEAK_OVERLAP:.0%}."]


def _strange(members: Members, counts: Sequence[Sequence[StateCount]], states: StateSet) -> list[str]:
    return [
        f"{name} has {count.observed} rows in {state} where all ensembles together expect {count.expected:.0f}."
        for state, row in zip(states.names, counts, strict=True)
        for name, count in zip(members.names, row, strict=True)
        if count.strange
    ]


def _apart(directions: Sequence[dict[str, Any]]) -> list[str]:
    return [str(item["sentence"]) for item in directions if item["agrees"] is False]


def _describe(
    members: Members,
    rows: Sequence[MemberRows],
    samples: Sequence[Sample],
    joined: Joined,
    log_weight: FloatArray,
) -> list[dict[str, Any]]:
    share = normalised(log_weight)
    result = []
    for index, (member, item) in enumerate(zip(members.all, rows, strict=True)):
        own = joined.pool.member == index
        record: dict[str, Any] = {"name": member.name, "path": str(member.path), "n": len(item)}
        if isinstance(member, ModelMember):
            bias = member.header.bias or {}
            record |= {
                "kind": "model",
                "method": bias.get("method"),
                "bias": bias.get("text"),
                "temperature_k": member.header.temperature_k,
            }
        else:
            record |= {
                "kind": "equilibrium",
                "method": None,
                "bias": member.bias,
                "temperature_k": member.temperature_k,
                "frames": item.total,
                "inefficiency": item.inefficiency,
            }
        record["outside_domain"] = item.outside
        record["weight_share"] = float(np.sum(share[own]))
        record["ess"] = effective_count(log_weight[own])
        record["free_energy"] = float(joined.free_energies[_sample_of(samples, index)])
        result.append(record)
    return result


def _contributions(
    members: Members,
    counts: Sequence[Sequence[StateCount]],
    joined: Joined,
    log_weight: FloatArray,
    states: StateSet,
) -> dict[str, Any]:
    """For every state and ensemble: its rows there, how many all expect, and its share of the state's weight."""
    share = normalised(log_weight)
    result: dict[str, Any] = {}
    for state, name in enumerate(states.names):
        total = float(np.sum(share[joined.pool.label == state]))
        result[name] = {}
        for index, member in enumerate(members.names):
            own = float(np.sum(share[(joined.pool.label == state) & (joined.pool.member == index)]))
            count = counts[state][index]
            result[name][member] = {
                "rows": count.observed,
                "expected": count.expected,
                "score": count.score,
                "weight_share": own / total if total > 0.0 else 0.0,
            }
    return result
