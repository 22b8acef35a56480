"""Every rule of the verdict on its own, just inside and just outside, and numbers that are not finite."""

import dataclasses
import math
from pathlib import Path

import pytest

from molgen.reweighting.coverage import Coverage
from molgen.reweighting.diagnostics import StateDiagnostics, WeightDiagnostics
from molgen.reweighting.populations import PopulationEvidence, PopulationShares
from molgen.reweighting.verdict import RULES, Evidence, Verdict, judge, rules_table, worst

WEIGHTS = WeightDiagnostics(20_000, 0, 0, 0, 0.6, 0.6, 0.6, 0.3, 0.7, 0.001, 1.0)
STATE = StateDiagnostics("alpha_l", 400, 2000.0, 0.3, 0.62, 0.01, 0.02)
GOOD = Evidence(WEIGHTS, (STATE,), Coverage(True, "reference"), audit_passed=True)


def _weights(**changes: float) -> Evidence:
    return dataclasses.replace(GOOD, weights=dataclasses.replace(WEIGHTS, **changes))


def _state(**changes: float) -> Evidence:
    return dataclasses.replace(GOOD, states=(dataclasses.replace(STATE, **changes),))


SPREAD = PopulationShares(effective=14.0, largest_share=0.1, ess=3000.0)
POPULATIONS = PopulationEvidence(16, -10.0, 0.02, SPREAD, {"alpha_l": SPREAD, "other": PopulationShares(1.0, 1.0, 1.0)})


def _annealed(state: bool = False, count: int = 16, **changes: float) -> Evidence:
    spread = dataclasses.replace(SPREAD, **changes)
    found = dataclasses.replace(POPULATIONS, count=count, states={**POPULATIONS.states, "alpha_l": spread})
    return dataclasses.replace(
        GOOD, populations=found if state else dataclasses.replace(POPULATIONS, count=count, total=spread)
    )


def test_good_evidence_is_reliable_without_reasons() -> None:
    assert judge(GOOD) == Verdict("reliable", ())


@pytest.mark.parametrize(
    ("evidence", "word", "phrase"),
    [
        (_weights(pareto_k=0.71), "refused", "Pareto k of the weights is 0.71"),
        (_weights(pareto_k=math.nan), "refused", "not a finite number"),
        (_weights(pareto_k=math.inf), "refused", "not a finite number"),
        (_weights(pareto_k=0.6), "caution", "above 0.5"),
        (_weights(pareto_k=0.49), "reliable", ""),
        (_weights(ess_raw=0.004), "refused", "worth 80 effective"),
        (_weights(ess_raw=0.02), "caution", "worth 400 effective"),
        (_weights(ess_raw=math.nan), "refused", "effective samples"),
        (_weights(largest_weight_share=0.06), "refused", "6.0% of all weight"),
        (_weights(n_log_q_non_finite=1), "refused", "not finite"),
        (_weights(n_out_of_domain=150, n_non_finite=51), "caution", "1.0%"),
        (_weights(n_out_of_domain=150, n_non_finite=50), "reliable", ""),
        (_state(pareto_k=0.63), "refused", "in alpha_l is 0.63"),
        (_state(pareto_k=math.nan), "refused", "in alpha_l is not a finite"),
        (_state(pareto_k=0.55), "caution", "in alpha_l is 0.55"),
        (_state(ess=99.0), "refused", "99 effective"),
        (_state(ess=math.nan), "refused", "effective"),
        (_state(ess=100.0), "caution", "100 effective"),
        (_state(ess=1000.0), "reliable", ""),
        (_state(largest_weight_share=0.051), "refused", "5.1% of the weight of alpha_l"),
        (_state(largest_weight_share=math.nan), "refused", "of the weight of alpha_l"),
        (dataclasses.replace(GOOD, coverage=Coverage(False)), "caution", "Coverage not tested"),
        (dataclasses.replace(GOOD, coverage=Coverage(True, "reference", ("state b",))), "refused", "state b"),
        (dataclasses.replace(GOOD, audit_passed=False, audit_failures=("energy: 3",)), "refused", "energy: 3"),
        (dataclasses.replace(GOOD, audit_complete=False), "caution", "model was not found"),
        (dataclasses.replace(GOOD, noise_kt=0.314), "caution", "standard error of 0.31 kT"),
        (dataclasses.replace(GOOD, noise_kt=math.nan), "caution", "unknown error"),
        (_annealed(), "reliable", ""),
        (_annealed(count=10), "reliable", ""),
        (_annealed(count=9), "refused", "There are 9 populations"),
        (
            _annealed(effective=4.9, largest_share=0.44),
            "refused",
            "4.9 populations, fewer than 5; one of them carries 44%",
        ),
        (_annealed(effective=math.nan), "refused", "populations"),
        (_annealed(effective=5.0), "reliable", ""),
        (_annealed(ess=99.0), "refused", "as if all particles were 99 draws"),
        (_annealed(ess=math.nan), "refused", "Populations scatter"),
        (_annealed(ess=999.0), "caution", "as if all particles were 999 draws"),
        (_annealed(True, effective=4.0), "refused", "state alpha_l is that of 4.0 populations"),
        (_annealed(True, ess=50.0), "refused", "as if state alpha_l were 50 draws"),
        (_annealed(True, ess=500.0), "caution", "as if state alpha_l were 500 draws"),
    ],
)
def test_each_rule(evidence: Evidence, word: str, phrase: str) -> None:
    verdict = judge(evidence)
    assert verdict.word == word
    assert bool(verdict.reasons) == (word != "reliable")
    assert phrase in " ".join(verdict.reasons)
    assert all(reason.endswith(".") for reason in verdict.reasons)


def test_worst_keeps_every_reason_once() -> None:
    total = worst([Verdict("reliable"), Verdict("refused", ("a.", "b.")), Verdict("caution", ("b.", "c."))])
    assert total == Verdict("refused", ("a.", "b.", "c."))
    late = worst([Verdict("caution", ("c.",)), Verdict("refused", ("a.",))])
    assert late.reasons[0] == "a."
    assert worst([]) == Verdict("reliable")


def test_an_empty_state_is_refused_with_one_reason() -> None:
    verdict = judge(_state(ess=0.0, pareto_k=math.nan, pareto_k_threshold=0.0, largest_weight_share=1.0, share=0.0))
    assert verdict == Verdict("refused", ("No draw with any weight is in state alpha_l.",))


def test_the_documentation_shows_the_rules_as_they_are() -> None:
    text = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text()
    assert rules_table() in text
    assert len({rule.when for rule in RULES}) == len(RULES)
