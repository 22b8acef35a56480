"""The tail index against samples of known index and against an independent implementation."""

import math

import numpy as np
import pytest

from molgen.reweighting.pareto import generalised_pareto_fit, pareto_k, pareto_threshold, tail_length


@pytest.mark.parametrize("shape", [0.2, 0.5, 0.9])
def test_fit_recovers_a_known_generalised_pareto(shape: float) -> None:
    """4000 draws, standard error (1 + k)/√n ≤ 0.03: a tolerance of 0.12 is four of them (false alarms < 1e-4)."""
    uniform = np.random.default_rng(3).random(4000)
    y = 2.0 * ((1.0 - uniform) ** -shape - 1.0) / shape
    k, sigma = generalised_pareto_fit(np.sort(y))
    assert k == pytest.approx(shape, abs=0.12)
    assert sigma == pytest.approx(2.0, rel=0.2)


@pytest.mark.parametrize("shape", [0.3, 0.7, 1.2])
def test_tail_index_of_pareto_weights(shape: float) -> None:
    """w = U^(-k) has index k; 3√n = 671 exceedances, tolerance four standard errors (1 + k)/√671."""
    uniform = np.random.default_rng(5).random(50_000)
    assert pareto_k(-shape * np.log(uniform)) == pytest.approx(shape, abs=4 * (1 + shape) / math.sqrt(671))


def test_agrees_with_an_independent_implementation_that_wants_the_sign_flipped() -> None:
    """arviz-stats 0.8 negates its input, so log ratios go in with a minus; n is a square because it rounds M down."""
    from arviz_stats.base import array_stats

    for seed, scale in ((1, 1.0), (2, 2.0), (3, 0.3)):
        log_weight = scale * np.random.default_rng(seed).normal(size=3600)
        _, expected = array_stats.psislw(-log_weight)
        assert pareto_k(log_weight) == pytest.approx(float(expected), abs=2e-3)
        _, wrong_sign = array_stats.psislw(log_weight**3)
        assert abs(pareto_k(log_weight**3) - float(wrong_sign)) > 0.01


def test_invariant_to_scale_and_counts_failed_rows_as_draws() -> None:
    log_weight = np.random.default_rng(8).normal(size=3000)
    assert pareto_k(log_weight - 500.0) == pytest.approx(pareto_k(log_weight), abs=1e-9)
    failed = np.concatenate([log_weight, np.full(10, np.nan)])
    zero = np.concatenate([log_weight, np.full(10, -np.inf)])
    assert pareto_k(failed) == pareto_k(zero)


def test_edges() -> None:
    assert pareto_k(np.zeros(1000)) == 0.0
    assert pareto_k(np.zeros(8)) == math.inf
    assert pareto_k(np.full(1000, np.nan)) == math.inf
    assert pareto_k(np.array([0.0, 3.0] + [-np.inf] * 998)) == math.inf
    assert pareto_threshold(20_000) == pytest.approx(0.7)
    assert pareto_threshold(1000) == pytest.approx(1 - 1 / 3)
    assert pareto_threshold(5) == 0.0
    assert tail_length(20_000) == 425


def test_tied_weights_have_a_bounded_tail() -> None:
    """Resampled particles have few different weights; a point of the grid then falls on the exponential limit."""
    k, sigma = generalised_pareto_fit(np.ones(105))
    assert k < 0.0
    assert math.isfinite(sigma)
    two = np.where(np.arange(1225) < 105, 1.0, 0.0)
    assert pareto_k(two) == pareto_k(two + 3.0) < 0.0
