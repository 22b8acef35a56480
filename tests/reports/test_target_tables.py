"""What another force field changes, in words and tables."""

from typing import Any

from molgen.reports.target_tables import target_lead, target_tables
from molgen.reports.wording import summary


def estimate(value: float | None, half: float = 0.1, **more: Any) -> dict[str, Any]:
    if value is None:
        return {"value": None, "low": None, "high": None, **more}
    return {"value": value, "low": value - half, "high": value + half, **more}


RESULT: dict[str, Any] = {
    "system": "nmr",
    "n": 1000,
    "temperature_k": 300.0,
    "target": {
        "system": "nmr",
        "drawn_system": "ala",
        "drawn_ess_raw": 0.728,
        "states": {
            "left": estimate(1.26, verdict="refused", before=estimate(0.0216, 0.002), after=estimate(0.0061, 0.001)),
            "empty": estimate(None, verdict="refused", before=estimate(0.0, 0.0), after=estimate(0.0, 0.0)),
        },
        "pairs": {"right->left": estimate(-1.39, verdict="caution")},
    },
}


def test_rows_show_both_force_fields_and_the_difference() -> None:
    states, pairs = target_tables(RESULT)
    assert states.rows[0] == ("left", "2.16 (1.96 to 2.36)", "0.61 (0.51 to 0.71)", "1.26 (1.16 to 1.36)", "✕ refused")
    assert states.rows[1][3] == "–"
    assert pairs.rows == (("right → left", "−1.39 (−1.49 to −1.29)", "△ caution"),)


def test_the_words_say_what_is_no_evidence() -> None:
    lead = target_lead(RESULT)
    assert "The draws are of ala" in lead
    assert "72.8" in lead
    assert "arbitrary zero" in lead
    assert "configurations of ala" in summary(RESULT)
    assert "another force field, nmr," in summary(RESULT)


def test_without_another_force_field_there_is_nothing() -> None:
    assert (target_lead({}), target_tables({})) == ("", ())
