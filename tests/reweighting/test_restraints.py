"""Measured averages: what is read, what they are computed from, and what is refused in one sentence."""

import math
from typing import Any

import numpy as np
import pytest

from molgen.errors import InputError
from molgen.observables.where import Variable
from molgen.reweighting.observables import Known, RowValues, parse_observable
from molgen.reweighting.restraints import (
    RestraintLine,
    check_lines,
    outside_range,
    parse_restraints,
    standardised,
)

KNOWN = Known(
    {"phi": Variable("rad", True), "theta": Variable("rad", False), "d": Variable("nm", False)},
    ("left", "right"),
    ("shift_CA",),
)
ROWS = RowValues(
    {"phi": np.array([0.0, 1.0, math.pi]), "theta": np.array([1.0, 2.0, 3.0]), "d": np.array([0.1, 0.2, 0.3])},
    np.array([0, 1, 1]),
    {"shift_CA": np.array([52.0, 53.0, math.nan])},
)
USED = np.array([True, True, False])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("d", [0.1, 0.2, 0.3]),
        ("shift_CA", [52.0, 53.0, math.nan]),
        ("population(right)", [0.0, 1.0, 1.0]),
        ("karplus(phi, A=7, B=-1, C=2)", [8.0, 7 * math.cos(1) ** 2 - math.cos(1) + 2, 10.0]),
        ("karplus(phi,A=0,B=1,C=0,shift=-60deg)", [0.5, math.cos(1 - math.pi / 3), -0.5]),
    ],
)
def test_what_is_averaged(text: str, expected: list[float]) -> None:
    np.testing.assert_allclose(parse_observable(text, KNOWN, "x").values(ROWS), expected, atol=1e-12)


def line(name: str = "J", mean: str = "6.1", error: str = "0.4", column: str = "shift_CA") -> RestraintLine:
    return RestraintLine(name, mean, error, column)


def test_numbers_are_read_in_their_units() -> None:
    given = [line("a", "4 angstrom", "0.01 nm", "d"), line("b", "90deg", "5 deg", "theta"), line()]
    first, second, third = parse_restraints(given, KNOWN, "x.csv")
    assert (first.mean, first.error) == pytest.approx((0.4, 0.01))
    assert (second.mean, second.error) == pytest.approx((math.pi / 2, math.radians(5)))
    assert (third.mean, third.error, third.text) == (6.1, 0.4, "shift_CA")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (line(column="phi"), "an angle on a circle"),
        (line(column="phu"), "neither a collective variable nor a column"),
        (line(column="karplus(theta, A=1, B=1, C=1)"), "'theta' is no torsion"),
        (line(column="karplus(phi, A=1, B=1)"), "C is missing"),
        (line(column="karplus(phi, A=1, B=1, C=1, D=2)"), "no parameter of karplus"),
        (line(column="karplus(phi, A=1, B=1, C=1, shift=60)"), "has no unit"),
        (line(column="population(middle)"), "no state 'middle'"),
        (line(column="mean(phi)"), "no function 'mean'"),
        (line(column="d"), "has no unit"),
        (line(mean="six"), "'six' is no number"),
        (line(mean="nan"), "'nan' is no number"),
        (line(error="0"), "not above zero"),
        (line(error="-1"), "not above zero"),
    ],
)
def test_what_is_not_defined_or_has_no_error_is_refused(given: RestraintLine, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse_restraints([given], KNOWN, "x.csv")
    assert "x.csv: J" in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "holds no observables"),
        ([{"name": "J", "mean": "1"}], "lacks the column 'error'"),
        ([{"name": "J", "mean": "1", "error": "1", "sigma": "2"}], "unknown column 'sigma'"),
        ([{"name": "J", "mean": "1", "error": " "}], "J has no error"),
        ([{"name": "", "mean": "1", "error": "1"}], "line 1 has no name"),
        ([{"name": "J", "mean": "1", "error": "1"}] * 2, "given twice"),
    ],
)
def test_tables_that_are_none_are_refused(rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_lines(rows, "x.csv")


def test_values_are_standardised_where_rows_have_weight() -> None:
    given = parse_restraints([line(mean="52.5", error="0.5"), line("d", "0.4 nm", "0.1 nm", "d")], KNOWN, "x.csv")
    z = standardised(given, ROWS, USED)
    np.testing.assert_allclose(z, [[-1.0, -3.0], [1.0, -2.0], [0.0, 0.0]], atol=1e-12)
    (sentence,) = outside_range(given, z, USED)
    assert "d was measured as 0.4, outside of the 0.1 to 0.2" in sentence
    with pytest.raises(InputError, match="J is not finite in row 2"):
        standardised(given, ROWS, np.ones(3, dtype=bool))
