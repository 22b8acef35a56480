"""The verdict on every estimate: one table of rules, which docs/statistics.md (section 3) shows as it stands here.

A number is tested for being finite before it meets a threshold: ``NaN > 0.7`` is False.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from molgen.reweighting.coverage import Coverage
from molgen.reweighting.diagnostics import StateDiagnostics, WeightDiagnostics
from molgen.reweighting.populations import PopulationEvidence, PopulationShares

Word = Literal["reliable", "caution", "refused"]
_RANK: dict[Word, int] = {"reliable": 0, "caution": 1, "refused": 2}

MIN_STATE_ESS = 100.0
CAUTION_STATE_ESS = 1000.0
MAX_LARGEST_SHARE = 0.05
CAUTION_PARETO_K = 0.5
CAUTION_FAILED_FRACTION = 0.01
MIN_POPULATIONS = 10
MIN_EFFECTIVE_POPULATIONS = 5.0


@dataclass(frozen=True)
class Verdict:
    """One word and the sentences that led to it."""

    word: Word
    reasons: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The record in result.json."""
        return {"verdict": self.word, "reasons": list(self.reasons)}


@dataclass(frozen=True)
class Evidence:
    """All that an estimate's verdict rests on; ``states`` are the states that take part in it.

    ``noise_kt`` is the standard error of log q where that was estimated with noise (NaN: unknown), None where exact.
    ``remarks`` are sentences of caution that belong to the way the weights were made, ``populations`` are those of
    annealed particles, None for any others.
    """

    weights: WeightDiagnostics
    states: Sequence[StateDiagnostics]
    coverage: Coverage
    audit_passed: bool
    audit_complete: bool = True
    audit_failures: tuple[str, ...] = ()
    noise_kt: float | None = None
    remarks: tuple[str, ...] = ()
    populations: PopulationEvidence | None = None


@dataclass(frozen=True)
class Rule:
    """``when`` says it for the documentation; ``apply`` gives one sentence for every way in which it is broken."""

    word: Word
    when: str
    apply: Callable[[Evidence], Iterable[str]]


def _above(value: float, limit: float) -> bool:
    """True if ``value`` is above ``limit`` or not a finite number."""
    return not math.isfinite(value) or value > limit


def _below(value: float, limit: float) -> bool:
    return not math.isfinite(value) or value < limit


def _figure(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "not a finite number"


def _occupied(evidence: Evidence) -> Iterable[StateDiagnostics]:
    """States with weight; of an empty one :func:`_too_few` says all there is to say."""
    return (state for state in evidence.states if state.ess != 0.0)


def _tail(evidence: Evidence) -> Iterable[str]:
    w = evidence.weights
    if _above(w.pareto_k, w.pareto_k_threshold):
        yield f"The Pareto k of the weights is {_figure(w.pareto_k)}, above {w.pareto_k_threshold:.2f}."
    for state in _occupied(evidence):
        if _above(state.pareto_k, state.pareto_k_threshold):
            limit = state.pareto_k_threshold
            yield f"The Pareto k of the weights in {state.name} is {_figure(state.pareto_k)}, above {limit:.2f}."


def _too_few(evidence: Evidence) -> Iterable[str]:
    total = evidence.weights.ess_raw * evidence.weights.n
    if _below(total, MIN_STATE_ESS):
        yield f"All draws together are worth {total:.0f} effective samples, fewer than {MIN_STATE_ESS:.0f}."
    for state in evidence.states:
        if state.ess == 0.0:
            yield f"No draw with any weight is in state {state.name}."
        elif _below(state.ess, MIN_STATE_ESS):
            yield f"State {state.name} has {state.ess:.0f} effective samples, fewer than {MIN_STATE_ESS:.0f}."


def _one_weight(evidence: Evidence) -> Iterable[str]:
    if _above(evidence.weights.largest_weight_share, MAX_LARGEST_SHARE):
        yield f"One draw carries {evidence.weights.largest_weight_share:.1%} of all weight."
    for state in _occupied(evidence):
        if _above(state.largest_weight_share, MAX_LARGEST_SHARE):
            yield f"One draw carries {state.largest_weight_share:.1%} of the weight of {state.name}."


def _missing(evidence: Evidence) -> Iterable[str]:
    for item in evidence.coverage.missing:
        yield f"Missing from the draws, according to the {evidence.coverage.by}: {item}."


def _audit(evidence: Evidence) -> Iterable[str]:
    if not evidence.audit_passed:
        failures = evidence.audit_failures or ("a check failed",)
        yield f"The audit failed: {'; '.join(failures)}."


def _density(evidence: Evidence) -> Iterable[str]:
    count = evidence.weights.n_log_q_non_finite
    if count:
        yield f"{count} of {evidence.weights.n} draws have a log-density that is not finite."


def _few(evidence: Evidence) -> Iterable[str]:
    total = evidence.weights.ess_raw * evidence.weights.n
    if math.isfinite(total) and MIN_STATE_ESS <= total < CAUTION_STATE_ESS:
        yield f"All draws together are worth {total:.0f} effective samples, fewer than {CAUTION_STATE_ESS:.0f}."
    for state in evidence.states:
        if math.isfinite(state.ess) and MIN_STATE_ESS <= state.ess < CAUTION_STATE_ESS:
            yield f"State {state.name} has {state.ess:.0f} effective samples, fewer than {CAUTION_STATE_ESS:.0f}."


def _half(evidence: Evidence) -> Iterable[str]:
    w = evidence.weights
    if CAUTION_PARETO_K < w.pareto_k <= w.pareto_k_threshold:
        yield f"The Pareto k of the weights is {w.pareto_k:.2f}, above {CAUTION_PARETO_K}."
    for state in evidence.states:
        if CAUTION_PARETO_K < state.pareto_k <= state.pareto_k_threshold:
            yield f"The Pareto k of the weights in {state.name} is {state.pareto_k:.2f}, above {CAUTION_PARETO_K}."


def _untested(evidence: Evidence) -> Iterable[str]:
    if not evidence.coverage.tested:
        yield "Coverage not tested: a state that the model never draws would not show."
    if evidence.audit_passed and not evidence.audit_complete:
        yield "The log-densities could not be recomputed because the model was not found."


def _failed(evidence: Evidence) -> Iterable[str]:
    if _above(evidence.weights.failed_fraction, CAUTION_FAILED_FRACTION):
        share = evidence.weights.failed_fraction
        yield f"{share:.1%} of the draws lie outside the domain or have an energy that is not finite."


def _noisy(evidence: Evidence) -> Iterable[str]:
    if evidence.noise_kt is not None:
        known = math.isfinite(evidence.noise_kt)
        error = f"a standard error of {evidence.noise_kt:.2g} kT" if known else "an unknown error"
        yield f"The log-densities are estimates with {error}, which biases every weighted number."


def _remarks(evidence: Evidence) -> Iterable[str]:
    return evidence.remarks


def _populations(evidence: Evidence) -> Iterable[tuple[str, PopulationShares]]:
    """All particles and those of each state that takes part, in words, with their spread over populations."""
    if evidence.populations is not None:
        yield "all particles", evidence.populations.total
        known = evidence.populations.states
        yield from ((f"state {s.name}", known[s.name]) for s in _occupied(evidence) if s.name in known)


def _few_populations(evidence: Evidence) -> Iterable[str]:
    if evidence.populations is not None and evidence.populations.count < MIN_POPULATIONS:
        count = evidence.populations.count
        yield f"There are {count} populations, and intervals need at least {MIN_POPULATIONS}."
    for what, shares in _populations(evidence):
        if _below(shares.effective, MIN_EFFECTIVE_POPULATIONS):
            yield (
                f"The weight of {what} is that of {shares.effective:.1f} populations, fewer than "
                f"{MIN_EFFECTIVE_POPULATIONS:.0f}; one of them carries {shares.largest_share:.0%}."
            )


def _scattered(evidence: Evidence) -> Iterable[str]:
    for what, shares in _populations(evidence):
        if math.isnan(shares.ess) or shares.ess < MIN_STATE_ESS:
            yield f"Populations scatter as if {what} were {shares.ess:.0f} draws, fewer than {MIN_STATE_ESS:.0f}."


def _rather_scattered(evidence: Evidence) -> Iterable[str]:
    for what, shares in _populations(evidence):
        if MIN_STATE_ESS <= shares.ess < CAUTION_STATE_ESS:
            yield f"Populations scatter as if {what} were {shares.ess:.0f} draws, fewer than {CAUTION_STATE_ESS:.0f}."


RULES: tuple[Rule, ...] = (
    Rule("refused", "any log q is not finite, but for draws that a continuous flow rejects", _density),
    Rule("refused", "the audit fails", _audit),
    Rule("refused", "a state or region of the reference, or of the training frames, is missing", _missing),
    Rule("refused", "k̂ of w, or of w restricted to a state in the estimate, is above min(1 − 1/log10 n, 0.7)", _tail),
    Rule("refused", f"fewer than {MIN_STATE_ESS:.0f} effective samples in all or in a state in the estimate", _too_few),
    Rule("refused", f"one weight is more than {MAX_LARGEST_SHARE:.0%} of all or of that of a state", _one_weight),
    Rule(
        "refused",
        f"annealed: fewer than {MIN_POPULATIONS} populations, or worth fewer than {MIN_EFFECTIVE_POPULATIONS:.0f} by "
        "their evidences, in all or in a state",
        _few_populations,
    ),
    Rule("refused", f"annealed: populations scatter as fewer than {MIN_STATE_ESS:.0f} draws would", _scattered),
    Rule(
        "caution",
        f"{MIN_STATE_ESS:.0f} to {CAUTION_STATE_ESS:,.0f} effective samples in all or in a state in the estimate",
        _few,
    ),
    Rule(
        "caution",
        f"annealed: populations scatter as {MIN_STATE_ESS:.0f} to {CAUTION_STATE_ESS:,.0f} draws would",
        _rather_scattered,
    ),
    Rule("caution", f"k̂ of w, in all or in a state in the estimate, is above {CAUTION_PARETO_K}", _half),
    Rule("caution", "coverage is untested, or log q could not be computed again", _untested),
    Rule(
        "caution",
        f"more than {CAUTION_FAILED_FRACTION:.0%} of the draws lie outside the domain or have no energy",
        _failed,
    ),
    Rule("caution", "log q was estimated with noise", _noisy),
    Rule(
        "caution",
        "ensembles together: they overlap little, one has too many or too few rows in a state, draws and frames give "
        "different ln Z, single models disagree, or a model may have been trained on the frames",
        _remarks,
    ),
)
"""Every rule there is; the word of an estimate is the worst word of the rules it breaks."""


def rules_table() -> str:
    """:data:`RULES` as a table in Markdown, which docs/statistics.md holds as it is."""
    rows = [f"| `{rule.word}` | {rule.when} |" for rule in RULES]
    return "\n".join(["| verdict | when |", "| --- | --- |", *rows, "| `reliable` | otherwise |"])


def judge(evidence: Evidence) -> Verdict:
    """The verdict on one estimate: the worst broken rule's word, and every broken rule's sentences."""
    word: Word = "reliable"
    reasons: list[str] = []
    for rule in RULES:
        sentences = list(rule.apply(evidence))
        if sentences and _RANK[rule.word] > _RANK[word]:
            word = rule.word
        reasons.extend(sentences)
    return Verdict(word, tuple(reasons))


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst word of several verdicts, with the sentences of all of them, each once, those of the worst first."""
    collected = sorted(verdicts, key=lambda item: -_RANK[item.word])
    word: Word = max((item.word for item in collected), key=lambda item: _RANK[item], default="reliable")
    reasons = dict.fromkeys(reason for item in collected for reason in item.reasons)
    return Verdict(word, tuple(reasons))
