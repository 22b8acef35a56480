"""Agreement with experiment, in words and tables."""

from typing import Any

from molgen.reports.restraint_tables import restraint_lead, restraint_tables

ESTIMATE = {"value": 7.07, "low": 7.0, "high": 7.14}
FITTED: dict[str, Any] = {
    "observables": {
        "J": {"column": "karplus(phi)", "unit": "", "mean": 6.6, "error": 0.3, "before": ESTIMATE, "after": ESTIMATE},
        "d": {"column": "d", "unit": "nm", "mean": 0.4, "error": 0.05, "before": ESTIMATE, "after": ESTIMATE},
    },
    "theta": 1.778,
    "theta_rule": "smallest from 1",
    "chi2_before": 2.446,
    "chi2_after": 0.0613,
    "relative_entropy": 0.0639,
    "ess": 5397.2,
    "ess_raw": 0.27,
    "pareto_k": 0.36,
    "populations": {
        "left": {
            "before": {"value": 0.0216, "low": 0.0198, "high": 0.0236},
            "after": {"value": 0.0182, "low": 0.0166, "high": 0.02},
            "error_of_data": 0.0039,
            "ess": 144.0,
            "verdict": "caution",
        }
    },
    "likelihood": {
        "system": "nmr",
        "drawn_system": "ala",
        "log_bayes_factor": 2.676,
        "error": 0.25,
        "chi2": 2.45,
        "chi2_drawn": 3.78,
    },
}


def test_tables_of_a_fit() -> None:
    observables, populations, figures = restraint_tables({"restraints": FITTED})
    assert observables.rows[0][:3] == ("J", "karplus(phi)", "6.6 ± 0.3")
    assert observables.rows[1][1] == "–"  # said by its name already
    assert observables.rows[1][-1] == "nm"
    assert populations.rows[0] == ("left", "2.16 (1.98 to 2.36)", "1.82 (1.66 to 2.00)", "0.39", "144", "△ caution")
    assert figures.rows[0] == ("θ", "1.78", "smallest from 1")


def test_words_of_a_fit_and_of_two_force_fields() -> None:
    lead = restraint_lead({"restraints": FITTED})
    assert "2 measured averages" in lead
    assert "ln of the Bayes factor of nmr over ala is 2.68 (standard error of sampling 0.25)" in lead
    assert "worth what the stated errors" in lead
    alone = restraint_lead({"restraints": {**FITTED, "likelihood": None}})
    assert "Bayes" not in alone


def test_weights_left_alone_and_data_out_of_reach_are_said() -> None:
    assert "left as they are" in restraint_lead({"restraints": {**FITTED, "theta": None}})
    refused = {
        "observables": {"J": {**FITTED["observables"]["J"], "after": None}},
        "verdict": "refused",
        "reasons": ["J was measured as 9."],
        "likelihood": None,
    }
    assert "could not be brought to agree with one measured average. J was measured as 9." in restraint_lead(
        {"restraints": refused}
    )
    (table,) = restraint_tables({"restraints": refused})
    assert table.rows[0][4] == "–"


def test_without_data_there_is_nothing() -> None:
    assert (restraint_lead({}), restraint_tables({})) == ("", ())
