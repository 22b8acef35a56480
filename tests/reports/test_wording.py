"""Numbers in words."""

import math

import pytest

from molgen.reports import wording


@pytest.mark.parametrize(("half_width", "decimals"), [(0.26, 2), (0.026, 3), (3.0, 1), (26.0, 0), (0.0, 2), (None, 2)])
def test_decimals_show_two_digits_of_the_error(half_width: float | None, decimals: int) -> None:
    assert wording.decimals_for(half_width) == decimals


def test_fixed_writes_a_true_minus_and_no_negative_zero() -> None:
    assert wording.fixed(-1.256, 2) == "\N{MINUS SIGN}1.26"
    assert wording.fixed(-0.001, 2) == "0.00"
    assert wording.fixed(math.inf, 2) == wording.fixed(None, 2) == wording.fixed("x", 2) == wording.NOT_GIVEN


def test_significant_digits() -> None:
    assert wording.significant(0.0412345, 2) == "0.041"
    assert wording.significant(12345.6, 2) == "12346"
    assert wording.significant(2.5e-7, 2) == "2.5×10^\N{MINUS SIGN}7"
    assert wording.significant(0.0) == "0.00"


def test_plain_and_count() -> None:
    assert wording.plain(300.0) == "300"
    assert wording.plain(298.15) == "298.15"
    assert wording.count(1234567) == "1\u202f234\u202f567"


def test_summary_says_what_it_is_worth_and_what_came_out() -> None:
    result = {
        "system": "double-well", "n": 20000, "temperature_k": 300.0, "ess_raw": 0.6134,
        "populations": {
            "left": {"value": 0.021, "low": 0.0184, "high": 0.0236, "z": 0.4},
            "right": {"value": 0.979, "low": 0.9764, "high": 0.9816, "z": 2.5},
        },
    }  # fmt: skip
    text = wording.summary(result)
    assert "worth about 12\u202f300 independent ones (raw ESS 61.3\u00a0%)" in text
    assert "left 2.10\u00a0% (1.84 to 2.36), right 97.90\u00a0% (97.64 to 98.16)." in text
    assert text.endswith("Beyond both errors from the reference: right.")


def test_refused_populations_are_marked_within_the_sentence() -> None:
    result = {"n": 5, "verdict": "refused", "populations": {"a": {"value": 0.5, "low": 0.4, "high": 0.6}}}
    assert "Refused, for diagnosis only: state populations" in wording.summary(result)


def test_summary_without_reference_says_so() -> None:
    assert wording.summary({"n": 5}).endswith("No reference populations were given to compare with.")
    assert wording.summary({"n": 5, "populations": {}}).endswith("There are no states, and so no populations.")


def test_estimate_names() -> None:
    assert wording.estimate_name("population:a") == "population of a"
    assert wording.estimate_name("delta_f:a->b") == "ΔF a → b"
    assert wording.estimate_name("other") == "other"
