"""Means of plain and periodic variables."""

import math

import numpy as np
import pytest

from molgen.analysis.comparison import agrees, z_score
from molgen.analysis.expectations import expectation
from molgen.analysis.intervals import Estimate, WeightedRows


def test_plain_mean_and_its_error() -> None:
    x = np.random.default_rng(1).normal(3.0, 2.0, size=2000)
    estimate = expectation(WeightedRows.from_log_weight(np.zeros(2000)), x)
    assert estimate.value == pytest.approx(x.mean())
    assert estimate.error == pytest.approx(x.std(ddof=1) / math.sqrt(2000), rel=1e-3)


def test_circular_mean_across_the_border() -> None:
    x = np.array([np.pi - 0.1, -np.pi + 0.1] * 50)
    estimate = expectation(WeightedRows.from_log_weight(np.zeros(100)), x, periodic=True)
    assert abs(estimate.value) == pytest.approx(np.pi)
    assert estimate.error == pytest.approx(0.1 / math.sqrt(99), rel=0.02)


def test_no_weight_gives_no_number() -> None:
    assert math.isnan(expectation(WeightedRows.from_log_weight(np.full(5, np.nan)), np.ones(5)).value)


def test_comparison_uses_both_errors() -> None:
    a, b = Estimate(0.5, 0.4, 0.6, 0.3), Estimate(0.6, 0.5, 0.7, 0.4)
    assert z_score(a, b, logit=False) == pytest.approx(-0.1 / 0.5)
    assert z_score(a, b, logit=True) == pytest.approx(-math.log(1.5) / 0.5)
    assert math.isnan(z_score(Estimate(0.0, 0.0, 0.1, math.inf), b, logit=True))
    assert agrees(1.95)
    assert not agrees(-2.0)
    assert not agrees(math.nan)
