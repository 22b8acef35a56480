"""Planted formulas are found again, and nothing is found in noise."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from molgen.committor.formula import Formula, find_formula
from molgen.committor.likelihood import fidelity
from molgen.committor.terms import Terms, terms_of

N, K = 600, 20


def variable(periodic: bool, unit: str = "nm") -> Any:
    return SimpleNamespace(periodic=periodic, unit="rad" if periodic else unit)


VARIABLES = {"phi": variable(True), "psi": variable(True), "omega": variable(True), "d": variable(False)}


def values(seed: int = 1) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    angles = {name: rng.uniform(-np.pi, np.pi, N) for name in ("phi", "psi", "omega")}
    return {**angles, "d": rng.normal(0.4, 0.05, N)}


def shots(logit: np.ndarray, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(seed).binomial(K, expit(logit)), np.full(N, K)


def found(logit: np.ndarray, seed: int = 3) -> Formula:
    reached, decided = shots(logit)
    formula = find_formula(
        terms_of(values(), VARIABLES), reached, decided, np.arange(N) // 3, np.random.default_rng(seed)
    )
    assert formula is not None
    return formula


@pytest.mark.parametrize("seed", [3, 4])
def test_a_planted_formula_is_found(seed: int) -> None:
    """12,000 shots: coefficients are known to about 0.05, and 0.3 is six times that."""
    v = values()
    x = (v["d"] - v["d"].mean()) / v["d"].std()
    logit = 0.5 + 2.0 * np.cos(v["phi"]) - 1.5 * np.cos(v["phi"]) * np.sin(v["psi"]) + 0.8 * x
    formula = found(logit, seed)
    assert set(formula.terms) == {"cos(phi)", "cos(phi) sin(psi)", "[d]"}
    planted = {"cos(phi)": 2.0, "cos(phi) sin(psi)": -1.5, "[d]": 0.8}
    for term, coefficient in zip(formula.terms, formula.coefficients, strict=True):
        assert coefficient == pytest.approx(planted[term], abs=0.3)
    assert formula.intercept == pytest.approx(0.5, abs=0.3)
    reached, decided = shots(logit)
    floor = fidelity(expit(logit), reached, decided)
    # The shots' own committor is the best there is; four fitted numbers cost about 2/12,000 nats a shot.
    assert floor.log_loss <= formula.log_loss < floor.log_loss + 0.002
    assert formula.log_loss_constant > floor.log_loss + 0.1
    assert formula.text.startswith("logit q = 0.")
    assert "[d] = (d − 0.4" in formula.text


def test_nothing_is_found_where_there_is_nothing() -> None:
    formula = found(np.full(N, 0.4))
    assert formula.terms == ()
    assert formula.log_loss == pytest.approx(formula.log_loss_constant)
    assert formula.intercept == pytest.approx(0.4, abs=0.1)


def test_outcomes_that_a_term_parts_completely_give_finite_coefficients() -> None:
    v = values()
    formula = found(100.0 * np.cos(v["phi"]))
    assert formula.terms[0] == "cos(phi)"
    assert np.isfinite(formula.coefficients).all()
    assert formula.log_loss < 0.03


def test_too_little_gives_none() -> None:
    reached, decided = shots(np.zeros(N))
    generator = np.random.default_rng(1)
    assert find_formula(terms_of(values(), VARIABLES), reached, decided, np.zeros(N, dtype=int), generator) is None
    empty = Terms((), np.zeros((N, 0)), {})
    assert find_formula(empty, reached, decided, np.arange(N), generator) is None


def test_terms_that_do_not_change_are_left_out() -> None:
    v = values() | {"omega": np.full(N, np.pi), "d": np.full(N, 0.3)}
    terms = terms_of(v, VARIABLES)
    assert terms.values.shape == (N, len(terms.names))
    assert not any("[d]" in name for name in terms.names)
    assert "cos(omega)" not in terms.names
    assert "cos(phi) cos(psi)" in terms.names
