"""Gaussian targets and proposals, for which ESS, ln Z and the fault of a missing mode are known exactly."""

import math

import numpy as np
import pytest

from molgen.reweighting.coverage import Coverage, CVGrid, missing_states, unreached_regions
from molgen.reweighting.diagnostics import describe, describe_states
from molgen.reweighting.forward import forward_ess
from molgen.reweighting.verdict import Evidence, judge
from molgen.reweighting.weights import log_weights

LOG_ROOT_TWO_PI = 0.5 * math.log(2 * math.pi)


def _gaussian(x: np.ndarray, mean: float, width: float) -> np.ndarray:
    return -0.5 * ((x - mean) / width) ** 2 - math.log(width) - LOG_ROOT_TWO_PI


def test_a_wider_gaussian_has_the_exact_ess_and_normalisation() -> None:
    """q = N(0, s²), u = x²/2: ESS = √(2s² - 1)/s² and ln Z = ln √(2π); 200,000 draws, s = 1.5."""
    s = 1.5
    x = s * np.random.default_rng(1).normal(size=200_000)
    log_weight = log_weights(0.5 * x**2, _gaussian(x, 0.0, s), np.ones(len(x), dtype=bool))
    figures = describe(log_weight)
    exact = math.sqrt(2 * s**2 - 1) / s**2
    assert figures.ess_raw == pytest.approx(exact, abs=0.005)
    assert figures.log_z == pytest.approx(LOG_ROOT_TWO_PI, abs=0.008)
    assert figures.pareto_k < 0.2
    frames = np.random.default_rng(2).normal(size=200_000)
    assert forward_ess(-0.5 * frames**2 - _gaussian(frames, 0.0, s)) == pytest.approx(exact, abs=0.005)


@pytest.mark.parametrize("s", [0.8, 0.65])
def test_a_narrower_gaussian_has_the_exact_tail_index(s: float) -> None:
    """w ∝ exp(x²(1/s² - 1)/2), x ~ N(0, s²): P(w > t) falls as t^(-1/k), k = 1 - s²; log factors bias k̂ below 0.12."""
    x = s * np.random.default_rng(3).normal(size=400_000)
    log_weight = -0.5 * x**2 - _gaussian(x, 0.0, s)
    assert describe(log_weight).pareto_k == pytest.approx(1 - s**2, abs=0.15)


def test_rows_outside_or_failed_weigh_nothing_and_are_counted() -> None:
    energy = np.array([0.0, np.inf, 0.0, 0.0])
    log_q = np.array([0.0, 0.0, np.nan, 0.0])
    log_weight = log_weights(energy, log_q, np.array([True, True, True, False]))
    assert np.array_equal(log_weight, [0.0, -np.inf, -np.inf, -np.inf])
    assert describe(log_weight).ess_raw == pytest.approx(0.25)


def test_a_missing_mode_shows_a_perfect_ess_and_is_refused_once_a_reference_is_there() -> None:
    """½N(-10, 1) + ½N(10, 1) proposed by N(-10, 1)."""
    generator = np.random.default_rng(4)
    x = generator.normal(-10.0, 1.0, size=20_000)
    frames = np.concatenate([generator.normal(-10.0, 1.0, 5000), generator.normal(10.0, 1.0, 5000)])

    def target(points: np.ndarray) -> np.ndarray:
        return np.logaddexp(_gaussian(points, -10, 1), _gaussian(points, 10, 1)) - math.log(2)

    log_weight = target(x) - _gaussian(x, -10.0, 1.0)
    figures = describe(log_weight)
    assert figures.ess_raw > 0.999
    assert figures.pareto_k < 0.5
    names = ("left", "right")
    labels, frame_labels = (x > 0).astype(int), (frames > 0).astype(int)
    states = describe_states(names, log_weight, labels)
    left = (states["left"],)
    assert judge(Evidence(figures, left, Coverage(False), True)).word == "caution"
    assert judge(Evidence(figures, (states["right"],), Coverage(False), True)).word == "refused"

    missing = missing_states(names, log_weight, labels, frame_labels, np.ones(len(frames)))
    regions = unreached_regions([CVGrid("x", x, frames, False)], log_weight, np.ones(len(frames)))
    assert len(missing) == 1
    assert len(regions) == 1
    for found in (missing, regions):
        assert judge(Evidence(figures, left, Coverage(True, "reference", found), True)).word == "refused"
    assert forward_ess(target(frames) - _gaussian(frames, -10.0, 1.0)) < 1e-40


def test_a_mode_given_a_ten_thousandth_of_its_mass_is_refused() -> None:
    """q = (1 - 5e-5) N(-10, 1) + 5e-5 N(10, 1): two seeds, the state has about one draw of weight 10,000."""
    for seed in (5, 6):
        generator = np.random.default_rng(seed)
        right = generator.random(20_000) < 5e-5
        x = generator.normal(np.where(right, 10.0, -10.0), 1.0)
        log_q = np.logaddexp(math.log1p(-5e-5) + _gaussian(x, -10, 1), math.log(5e-5) + _gaussian(x, 10, 1))
        log_weight = np.logaddexp(_gaussian(x, -10, 1), _gaussian(x, 10, 1)) - math.log(2) - log_q
        states = describe_states(("left", "right"), log_weight, (x > 0).astype(int))
        evidence = Evidence(describe(log_weight), (states["right"],), Coverage(True, "reference"), True)
        assert judge(evidence).word == "refused"


def test_forward_ess_honours_weights_and_impossible_frames() -> None:
    frames = np.random.default_rng(7).normal(size=4000)
    log_weight = -0.5 * frames**2 - _gaussian(frames, 0.0, 1.3)
    doubled = np.concatenate([frames, frames[:2000]])
    weight = np.ones(6000)
    weight[:2000], weight[4000:] = 0.5, 0.5
    again = -0.5 * doubled**2 - _gaussian(doubled, 0.0, 1.3)
    assert forward_ess(again, weight) == pytest.approx(forward_ess(log_weight))
    assert forward_ess(np.array([0.0, np.inf])) == 0.0
    assert math.isnan(forward_ess(np.array([0.0, np.nan])))
    assert math.isnan(forward_ess(np.zeros(0)))
