"""The likelihood of shots and what is read from it."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit

from molgen.committor.likelihood import (
    expected_calibration_error,
    fidelity,
    negative_log_likelihood,
    recalibrate,
    reliability,
    steepness,
    wilson,
)


def binomial(n: int = 2000, k: int = 10, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    q = rng.uniform(0.02, 0.98, n)
    return q, rng.binomial(k, q), np.full(n, k)


def test_it_is_least_where_q_is_the_share_and_finite_everywhere() -> None:
    logit = torch.linspace(-800.0, 800.0, 160_001, dtype=torch.float64)
    loss = negative_log_likelihood(logit, torch.tensor(3.0), torch.tensor(10.0))
    assert torch.isfinite(loss).all()
    assert abs(torch.sigmoid(logit[loss.argmin()]) - 0.3) < 1e-2


def test_true_committors_meet_the_floor_and_wrong_ones_do_not() -> None:
    """2,000 configurations: the standard error of a loss a shot is about 0.002, of the dispersion 0.03."""
    q, reached, decided = binomial()
    found = fidelity(q, reached, decided)
    assert (found.configurations, found.shots) == (2000, 20_000)
    assert abs(found.log_loss - found.log_loss_floor) < 0.008
    assert abs(found.dispersion - 1.0) < 0.13
    wrong = fidelity(np.clip(q + 0.2, 0.0, 0.99), reached, decided)
    assert wrong.log_loss > found.log_loss + 0.05
    assert wrong.brier > found.brier + 0.02
    assert wrong.dispersion > 2.0
    alike = fidelity(q, np.where(np.random.default_rng(2).random(2000) < q, 10, 0), decided)
    assert alike.dispersion > 8.0


def test_the_floor_holds_near_the_ends_as_well() -> None:
    """20,000 configurations of 10 shots with q of 0.002: a whole half each would put the floor 0.04 above the loss."""
    rng = np.random.default_rng(3)
    q, k = np.full(20_000, 0.002), np.full(20_000, 10)
    found = fidelity(q, rng.binomial(k, q), k)
    assert abs(found.log_loss - found.log_loss_floor) < 0.004


def test_certainty_that_is_wrong_costs_everything() -> None:
    assert fidelity(np.array([0.0]), np.array([1]), np.array([2])).log_loss == math.inf
    assert fidelity(np.array([0.0]), np.array([0]), np.array([2])).log_loss == 0.0


def test_the_error_of_a_slope_is_that_of_lineages() -> None:
    """Told four times over, 300 configurations know no more; apart they scatter as their error says, and all agree."""
    rng = np.random.default_rng(4)
    z = rng.normal(0.0, 2.0, 300)
    shots, lineage = np.full(300, 2), np.arange(300)
    found = np.array([steepness(z, rng.binomial(2, expit(z)), shots, lineage) for _ in range(200)])
    # Five standard errors of a standard deviation over 200 draws are 25 %.
    assert found[:, 0].std() == pytest.approx(found[:, 1].mean(), rel=0.25)
    reached = rng.binomial(2, expit(z))
    once = steepness(z, reached, shots, lineage)
    told = [np.repeat(values, 4) for values in (z, reached, shots, lineage)]
    assert steepness(*told) == pytest.approx(once, rel=1e-6)
    assert steepness(*told[:3], np.arange(1200))[1] == pytest.approx(once[1] / 2.0, rel=0.01)
    assert np.isnan(steepness(z, reached, shots, np.zeros(300, dtype=np.int64))[1])


def test_recalibration_finds_the_slope_and_intercept_that_were_put_in() -> None:
    """Within four standard errors (one seed in 15,000 would fail)."""
    q, reached, decided = binomial()
    true = np.log(q / (1.0 - q))
    found = recalibrate((true - 0.3) / 1.5, reached, decided)
    assert abs(found.slope - 1.5) < 4 * found.slope_error
    assert abs(found.intercept - 0.3) < 4 * found.intercept_error
    assert found.slope_error < 0.03
    bold = recalibrate(4.0 * true + 3.0, reached, decided)  # a plain Newton iteration goes round for ever here
    assert bold.slope == pytest.approx(0.25, abs=4 * bold.slope_error)
    assert bold.intercept == pytest.approx(-0.75, abs=4 * bold.intercept_error)
    # Ten shots of a configuration that are all alike are one: errors are √10 times as large, to 10 %.
    alike = recalibrate((true - 0.3) / 1.5, 10 * np.random.default_rng(2).binomial(1, q), decided)
    assert alike.slope_error == pytest.approx(np.sqrt(10.0) * found.slope_error, rel=0.1)
    assert math.isnan(recalibrate(np.zeros(50), np.ones(50, dtype=int), np.full(50, 2)).slope)


def test_one_impossible_shot_is_one_configuration_wrong_and_no_more() -> None:
    """Where q̂ = 1e-9 five of ten reached B: by Pearson's χ² nothing would be known of a slope."""
    q, reached, decided = binomial()
    q[0], reached[0] = 1e-9, 5
    found = recalibrate(np.log(q / (1.0 - q)), reached, decided)
    assert fidelity(q, reached, decided).dispersion < 1.2
    assert abs(found.slope - 1.0) < 4 * found.slope_error < 0.5


def test_the_reliability_diagram() -> None:
    q = np.array([0.02, 0.04, 0.55, 1.0, 0.7])
    rows = reliability(q, np.array([1, 0, 5, 4, 0]), np.array([10, 10, 10, 4, 0]))
    assert [(row.low, row.configurations, row.shots) for row in rows] == [(0.0, 2, 20), (0.5, 1, 10), (0.9, 1, 4)]
    assert rows[0].predicted == pytest.approx(0.03)
    assert rows[0].observed == pytest.approx(0.05)
    assert expected_calibration_error(rows) == pytest.approx((20 * 0.02 + 10 * 0.05 + 0.0) / 34)
    assert math.isnan(expected_calibration_error(()))


def test_wilsons_interval() -> None:
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
