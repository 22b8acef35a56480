"""Another force field as the target of a reweighting: the same draws under both, and what that changes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from molgen.analysis.free_energy import difference_shift, state_shift
from molgen.analysis.intervals import Estimate
from molgen.analysis.populations import populations
from molgen.arrays import FloatArray
from molgen.coordinates.same_space import check_same_space
from molgen.errors import InputError
from molgen.observables.states import StateSet
from molgen.reweighting.diagnostics import describe, describe_states
from molgen.reweighting.populations import population_evidence
from molgen.reweighting.verdict import Evidence, Verdict, judge, worst
from molgen.systems.definition import CVSection, SystemDefinition
from molgen.systems.system import MolecularSystem, System
from molgen.workflows.reweight_rows import RowTable

DRAWN_ENERGIES = "energies-drawn"
"""Folder of the energies under the force field that the model was made for."""


@dataclass(frozen=True)
class Comparison:
    """The record in result.json, the verdicts on its estimates, and log w ``(n,)`` under the draws' own force field."""

    record: Mapping[str, Any]
    verdicts: Mapping[str, Verdict]
    log_weight: FloatArray


def target_system(other: System | None, drawn: System) -> System:
    """``other`` with the states and variables of ``drawn``, the system of the draws; ``drawn`` itself for None.

    Variables that only ``other`` defines are added. Its temperature is its own if it is written out, else that of the
    draws. ``InputError`` unless frames of ``drawn`` are frames of ``other`` under the same measure and domain, and for
    a variable that the two define differently.
    """
    if other is None:
        return drawn
    check_same_space(other, drawn)
    own = other.definition
    kelvin = own.temperature_k if "temperature_k" in own.model_fields_set else drawn.definition.temperature_k
    changed: dict[str, Any] = {"cv": _variables(own, drawn.definition), "state": drawn.definition.state}
    if isinstance(other, MolecularSystem):
        changed["temperature_k"] = kelvin
    # The structure is that of the draws, which RMSDs refer to.
    return replace(other, definition=own.model_copy(update=changed), positions=drawn.positions)


def _variables(own: SystemDefinition, drawn: SystemDefinition) -> tuple[CVSection, ...]:
    known = {cv.name: cv for cv in drawn.cv}
    for cv in own.cv:
        if cv.name in known and cv != known[cv.name]:
            raise InputError(
                f"{own.name} defines the cv {cv.name!r} otherwise than the system of the draws.",
                "Give it another name, or leave it out: the draws' own variables are taken.",
            )
    return (*drawn.cv, *(cv for cv in own.cv if cv.name not in known))


def compare(
    target: System, drawn: System, table: RowTable, states: StateSet, evidence: Evidence, log_weight: FloatArray
) -> Comparison:
    """ΔΔF of every state and pair of states between the draws' own force field and the target's.

    ``table`` holds the weights to the target, ``log_weight`` (n,) is ln w of the same rows to the draws' own force
    field at the same temperature; both errors come from the same rows. ``evidence`` is that of an estimate without
    states.
    """
    after = table.rows
    before = after.under(log_weight)
    names = states.names
    own = replace(evidence, weights=describe(log_weight))
    if evidence.populations is not None and table.block is not None:
        own = replace(own, populations=population_evidence(log_weight, table.block, names, table.label))
    diagnostics = (
        describe_states(names, log_weight, table.label),
        describe_states(names, table.log_weight, table.label),
    )
    verdicts: dict[str, Verdict] = {}

    def judged(key: str, involved: tuple[str, ...], estimate: Estimate) -> dict[str, Any]:
        first, second = (
            judge(replace(seen, states=tuple(by_state[name] for name in involved)))
            for seen, by_state in zip((own, evidence), diagnostics, strict=True)
        )
        before_words = tuple(f"Under the draws' own force field: {reason}" for reason in first.reasons)
        verdicts[key] = worst([replace(first, reasons=before_words), second])
        return estimate.to_json() | {"unit": "kT", "verdict": verdicts[key].word}

    shares = {when: populations(rows, table.label, names) for when, rows in (("before", before), ("after", after))}
    by_state = {
        name: judged(f"shift:{name}", (name,), state_shift(before, after, table.label, index))
        | {when: found[name].to_json() for when, found in shares.items()}
        for index, name in enumerate(names)
    }
    pairs = {
        f"{names[j]}->{names[i]}": judged(
            f"shift:{names[j]}->{names[i]}", (names[i], names[j]), difference_shift(before, after, table.label, j, i)
        )
        for i in range(len(names))
        for j in range(i + 1, len(names))
    }
    record = {
        "system": target.name,
        "fingerprint": target.fingerprint,
        "drawn_system": drawn.name,
        "drawn_fingerprint": drawn.fingerprint,
        "drawn_ess_raw": own.weights.ess_raw,
        "states": by_state,
        "pairs": pairs,
    }
    return Comparison(record, verdicts, log_weight)
