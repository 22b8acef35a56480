"""Agreement with experiment: the weighed ensemble under restraints, and the data's evidence for a force field."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.analysis.expectations import expectation
from molgen.analysis.intervals import Estimate, WeightedRows
from molgen.analysis.likelihood import likelihood_ratio
from molgen.analysis.populations import populations
from molgen.analysis.restrained import restrained_mean, restrained_population
from molgen.arrays import FloatArray
from molgen.errors import InputError
from molgen.observables.states import StateSet, build_states
from molgen.observables.table import build_cvs
from molgen.observables.where import Variable
from molgen.reweighting.diagnostics import describe, describe_states
from molgen.reweighting.maximum_entropy import ThetaChoice, Tilt, choose_theta, fit_tilt
from molgen.reweighting.observables import Known, RowValues
from molgen.reweighting.restraints import Restraint, RestraintLine, outside_range, parse_restraints, standardised
from molgen.reweighting.verdict import Evidence, Verdict, judge, worst
from molgen.rundir import RunDirectory, sha256_file
from molgen.systems.system import System
from molgen.workflows.restraint_files import read_columns, read_restraints
from molgen.workflows.reweight_rows import RowTable
from molgen.workflows.reweight_settings import RestraintSettings

if TYPE_CHECKING:
    from molgen.workflows.reweight_conclusion import Weighed

WEIGHTS_FILE = "restrained-log-weights.npy"
"""ln w (n,) of every draw under the restraints."""
_CHOICE_ROWS = 20_000


@dataclass(frozen=True)
class RestraintTable:
    """What `--restrain` and `--observables` gave, read but not yet fitted to a system."""

    lines: tuple[RestraintLine, ...]
    columns: Mapping[str, FloatArray]
    source: str
    hashes: Mapping[str, str]

    def restraints(self, system: System) -> tuple[Restraint, ...]:
        """The restraints on ``system``; ``InputError`` for what is not defined for it."""
        variables = {name: Variable(cv.unit, cv.periodic) for name, cv in build_cvs(system).items()}
        both = sorted(set(variables) & set(self.columns))
        if both:
            raise InputError(
                f"{both[0]!r} is a column of yours and a variable of {system.name}.", "Give the column another name."
            )
        known = Known(variables, build_states(system).names, tuple(self.columns))
        return parse_restraints(self.lines, known, self.source)

    def check_rows(self, n: int) -> None:
        """``InputError`` unless the columns have a value for each of ``n`` draws."""
        for name, values in self.columns.items():
            if len(values) != n:
                raise InputError(
                    f"The column {name} has {len(values)} values, the ensemble has {n} draws.",
                    "Give one value a draw, in the order of the draws, also for those outside the domain.",
                )


def open_restraints(restrain: Path | None, observables: Path | None) -> RestraintTable | None:
    """The table of measured averages in ``restrain``, with the columns in ``observables``; None without either.

    ``InputError`` for a file that cannot be read as what it should be, and for columns without a table.
    """
    if restrain is None:
        if observables is not None:
            raise InputError(f"Nothing is restrained to columns of {observables}.", "Add --restrain observables.csv.")
        return None
    files = {"restrain": Path(restrain)} | ({"observables": Path(observables)} if observables is not None else {})
    lines = read_restraints(files["restrain"])
    columns = read_columns(files["observables"]) if observables is not None else {}
    return RestraintTable(lines, columns, str(restrain), {name: sha256_file(file) for name, file in files.items()})


@dataclass(frozen=True)
class _Fit:
    """The fitted weights with what they were fitted to, and the verdict on them without states."""

    restraints: tuple[Restraint, ...]
    z: FloatArray
    prior: WeightedRows
    rows: WeightedRows
    log_weight: FloatArray
    tilt: Tilt
    choice: ThetaChoice
    evidence: Evidence


def restrain(
    run: RunDirectory,
    weighed: "Weighed",
    given: RestraintTable,
    settings: RestraintSettings,
    generator: np.random.Generator,
) -> tuple[dict[str, Any], dict[str, Verdict]]:
    """The record ``restraints`` of result.json and the verdicts on what is in it; ln w goes into ``WEIGHTS_FILE``.

    The prior is the weighed ensemble. A mean outside of what the draws have, and weights that the fit leaves worth
    fewer than 100 draws, are refused like any other estimate; the rest of the result stands.
    """
    table, states = weighed.table, weighed.states
    given.check_rows(len(table.log_weight))
    restraints = given.restraints(weighed.system)
    values = RowValues(table.variables, table.label, given.columns)
    prior = table.rows
    used = prior.share > 0.0
    z = standardised(restraints, values, used)
    likelihood = _likelihood(weighed, z)
    outside = outside_range(restraints, z, used) if np.any(used) else ("No draw has any weight.",)
    if outside:
        verdict = Verdict("refused", outside)
        record = {"observables": _observables(restraints, prior, z, None), "verdict": "refused", "reasons": outside}
        return record | {"likelihood": likelihood}, {"restraints": verdict}
    fit = _fit(restraints, z, table, weighed.evidence, settings, generator)
    with run.atomic(WEIGHTS_FILE) as path, path.open("wb") as stream:
        np.save(stream, fit.log_weight, allow_pickle=False)
    shares, verdicts = _populations(fit, table, states)
    verdicts["restraints"] = _judged(fit.evidence)
    overall = worst(verdicts.values())
    return _record(fit) | {
        "populations": shares,
        "likelihood": likelihood,
        "verdict": overall.word,
        "reasons": list(overall.reasons),
    }, verdicts


def _fit(
    restraints: tuple[Restraint, ...],
    z: FloatArray,
    table: RowTable,
    evidence: Evidence,
    settings: RestraintSettings,
    generator: np.random.Generator,
) -> _Fit:
    prior = table.rows
    if settings.theta is not None:
        choice = ThetaChoice(settings.theta, "given", {})
    else:
        stride = -(-len(z) // _CHOICE_ROWS)
        some = prior.share[::stride]
        choice = choose_theta(some / np.sum(some), z[::stride], generator)
    tilt = fit_tilt(prior.share, z, choice.theta)
    with np.errstate(divide="ignore"):
        log_weight = np.log(tilt.share)
    weights = describe(
        log_weight, n_out_of_domain=table.n_out_of_domain, n_non_finite=table.n_non_finite, n_log_q_non_finite=0
    )
    rows = replace(prior, share=tilt.share)
    return _Fit(restraints, z, prior, rows, log_weight, tilt, choice, replace(evidence, weights=weights, states=()))


def _populations(fit: _Fit, table: RowTable, states: StateSet) -> tuple[dict[str, Any], dict[str, Verdict]]:
    before = populations(fit.prior, table.label, states.names)
    diagnostics = describe_states(states.names, fit.log_weight, table.label)
    shares: dict[str, Any] = {}
    verdicts: dict[str, Verdict] = {}
    for index, name in enumerate(states.names):
        after, from_data = restrained_population(fit.rows, table.label == index, fit.z, fit.tilt)
        verdict = _judged(replace(fit.evidence, states=(diagnostics[name],)))
        verdicts[f"restrained:{name}"] = verdict
        shares[name] = {
            "before": before[name].to_json(),
            "after": after.to_json(),
            "error_of_data": from_data,
            "ess": diagnostics[name].ess,
            "verdict": verdict.word,
        }
    return shares, verdicts


def _judged(evidence: Evidence) -> Verdict:
    """The verdict on an estimate under the fitted weights, which its reasons name."""
    verdict = judge(evidence)
    return replace(verdict, reasons=tuple(f"Under the restraints: {reason}" for reason in verdict.reasons))


def _record(fit: _Fit) -> dict[str, Any]:
    weights, tilt, choice = fit.evidence.weights, fit.tilt, fit.choice
    return {
        "observables": _observables(fit.restraints, fit.prior, fit.z, fit),
        "theta": choice.theta if math.isfinite(choice.theta) else None,
        "theta_rule": choice.rule,
        "held_out": {
            "theta": [theta if math.isfinite(theta) else None for theta in choice.held_out],
            "chi2": list(choice.held_out.values()),
        },
        "chi2_before": float(np.mean(np.square(fit.prior.share @ fit.z))),
        "chi2_after": tilt.chi_square,
        "relative_entropy": tilt.relative_entropy,
        "ess": weights.ess_raw * weights.n,
        "ess_raw": weights.ess_raw,
        "pareto_k": weights.pareto_k,
        "largest_weight_share": weights.largest_weight_share,
    }


def _observables(
    restraints: tuple[Restraint, ...], prior: WeightedRows, z: FloatArray, fit: _Fit | None
) -> dict[str, dict[str, Any]]:
    found = {}
    for index, item in enumerate(restraints):
        column = z[:, index]
        after = restrained_mean(fit.rows, column, fit.z, fit.tilt)[0] if fit is not None else None
        found[item.name] = {
            "column": item.text,
            "unit": item.observable.unit,
            "mean": item.mean,
            "error": item.error,
            "before": _in_unit(expectation(prior, column), item),
            "after": None if after is None else _in_unit(after, item),
            "lambda": None if fit is None else float(fit.tilt.mu[index]) / item.error,
        }
    return found


def _in_unit(estimate: Estimate, item: Restraint) -> dict[str, float | None]:
    """An average of z as one of the observable itself."""
    value, low, high = (item.mean + item.error * end for end in (estimate.value, estimate.low, estimate.high))
    return Estimate(value, low, high, item.error * estimate.error).to_json()


def _likelihood(weighed: "Weighed", z: FloatArray) -> dict[str, Any] | None:
    """The data under the target's force field over the draws' own, both unrestrained; None where there is one only."""
    if weighed.drawn_log_weight is None:
        return None
    drawn = weighed.table.rows.under(weighed.drawn_log_weight)
    found = likelihood_ratio(drawn, weighed.table.rows, z)
    return {
        "drawn_system": weighed.extra["target"]["drawn_system"],
        "system": weighed.system.name,
        "log_bayes_factor": found.log_ratio,
        "error": found.error,
        "chi2_drawn": found.chi_squares[0],
        "chi2": found.chi_squares[1],
    }
