"""The language of ``where``: what it means, and what it refuses."""

import numpy as np
import pytest

from molgen.errors import InputError
from molgen.observables.where import Condition, Variable

CVS = {
    "phi": Variable("rad", True),
    "psi": Variable("rad", True),
    "theta": Variable("rad", False),
    "d": Variable("nm", False),
    "x": Variable("", False),
}


def holds(text: str, **values: list[float]) -> list[bool]:
    n = len(next(iter(values.values())))
    arrays = {name: np.asarray(values.get(name, np.zeros(n)), dtype=np.float64) for name in CVS}
    for name in ("phi", "psi", "theta"):
        arrays[name] = np.deg2rad(arrays[name])
    result = Condition(text, CVS, "test").holds(arrays)
    assert result.dtype == np.bool_
    return [bool(item) for item in result]


def test_chained_comparisons_and_units() -> None:
    assert holds("0deg < phi < 137.5deg", phi=[-1, 0, 1, 137, 138]) == [False, False, True, True, False]
    assert holds("0 < phi <= 1.5rad", phi=[-1, 85, 86]) == [False, True, False]
    assert holds("d >= .3nm", d=[0.2999, 0.3, 0.31]) == [False, True, True]
    assert holds("-1e-1 < x < 2", x=[-0.2, 0.0, 3.0]) == [False, True, False]
    assert holds("phi < psi", phi=[1, 3], psi=[2, 2]) == [True, False]


def test_and_or_not_and_parentheses() -> None:
    values = {"phi": [10.0, 10.0, -10.0, -10.0], "d": [0.1, 0.5, 0.1, 0.5]}
    assert holds("phi > 0 and d > 0.3nm", **values) == [False, True, False, False]
    assert holds("phi > 0 or d > 0.3nm", **values) == [True, True, False, True]
    assert holds("not (phi > 0 or d > 0.3nm)", **values) == [False, False, True, False]
    assert holds("phi > 0 and not d > 0.3nm", **values) == [True, False, False, False]


def test_within_is_a_disc_that_goes_round_the_circle() -> None:
    text = "within(phi, psi; -75deg, 55deg; 30deg)"
    assert holds(text, phi=[-75, -75, -53, -54], psi=[84.9, 85.1, 33, 34]) == [True, False, False, True]
    assert holds("within(psi; 170deg; 20deg)", psi=[-175, -169, 151, 149]) == [True, False, True, False]
    assert holds("within(x; 1; 0.5) and phi > 0", x=[1.4, 1.4, 1.6], phi=[1, -1, 1]) == [True, False, False]
    assert holds("within(theta; 10deg; 20deg)", theta=[0, 31]) == [True, False]


def test_otherwise_takes_everything() -> None:
    assert holds("otherwise", x=[1.0, 2.0]) == [True, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0deg < ph < 10deg", "names no cv 'ph'. Did you mean phi"),
        ("phi < 30", "with a plain number. Write angles with deg or rad"),
        ("phi < 0.3nm", "compares rad with nm"),
        ("d < 0.3", "Write lengths with nm"),
        ("x < 3deg", "reduced units with rad"),
        ("phi < d", "compares rad with nm"),
        ("phi < 190deg", "outside the range of a torsion"),
        ("phi == 3deg", "other than <"),
        ("phi", "no condition"),
        ("1 < 2", "numbers only"),
        ("phi <", "cannot be read"),
        ("phi < 3kg", "cannot be read"),
        ("otherwise and phi > 0", "otherwise"),
        ("within(phi, psi; 1deg; 3deg)", "malformed within"),
        ("within(phi, psi)", "malformed within"),
        ("within(3deg; phi; 3deg)", "malformed within"),
        ("within(phi; 3deg; 0)", "not positive"),
        ("within(phi, d; 3deg, 0.1nm; 3deg)", "compares rad with nm"),
        ("__import__('os').system('true') > 0", "neither a cv nor a number"),
        ("(lambda: 1)() < 2", "neither a cv nor a number"),
        ("x ** 9 < 2", "neither a cv nor a number"),
        ("x < True", "neither a cv nor a number"),
    ],
)
def test_what_it_refuses(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Condition(text, CVS, "state 'a'")
    assert "state 'a'" in str(caught.value)
    assert caught.value.hint


def test_missing_values_are_named() -> None:
    with pytest.raises(InputError, match="needs the cv 'x'"):
        Condition("x > 0", CVS, "state 'a'").holds({"d": np.zeros(3)})
