"""The noise of shots is taken off the spread of committors."""

import math

import numpy as np
import pytest

from molgen.committor.pairs import pair_correlation
from molgen.committor.spread import histogram_test
from molgen.dynamics.passage import PhasePoints
from molgen.shooting.shots import Shots


def shots(q: np.ndarray, pairs: int, alike: float = 0.0, seed: int = 1) -> Shots:
    """``pairs`` pairs from configurations of committor q (P,); a share ``alike`` of pairs ends in one place."""
    rng = np.random.default_rng(seed)
    configuration = np.repeat(np.arange(len(q)), 2 * pairs)
    outcome = (rng.random(len(configuration)) < q[configuration]).astype(np.int64)
    same = np.repeat(rng.random(len(q) * pairs) < alike, 2)
    outcome = np.where(same, np.repeat(outcome[::2], 2), outcome)
    rows = np.arange(len(configuration))
    none = PhasePoints(np.zeros((0, 1, 1)), np.zeros((0, 1, 1)))
    return Shots(configuration, rows // 2, 1 - 2 * (rows % 2), outcome, rows + 1, none)


def test_committors_that_are_all_a_half_have_no_spread() -> None:
    """100 points of 100 pairs: the noise of S/K is 0.035; without taking it off the spread would be that."""
    predicted = np.full(100, 0.5)
    found = histogram_test(shots(predicted, 100), predicted, np.random.default_rng(2))
    assert found.points == 100
    assert abs(found.mean - 0.5) < 4 * found.mean_error
    assert found.deviation < 0.02
    assert found.deviation <= found.upper < 0.025


def test_a_spread_that_is_there_is_found_also_where_pairs_are_alike() -> None:
    true = np.clip(0.5 + 0.1 * np.random.default_rng(3).normal(size=150), 0.05, 0.95)
    for alike in (0.0, 0.5):
        found = histogram_test(shots(true, 60, alike), np.full(150, 0.5), np.random.default_rng(2))
        assert abs(found.deviation - true.std()) < 0.02
        assert found.upper > found.deviation


def test_points_that_are_not_said_to_be_a_half_do_not_count() -> None:
    found = histogram_test(shots(np.full(10, 0.5), 5), np.array([0.5] * 2 + [0.6] * 8), np.random.default_rng(1))
    assert found.points == 2
    assert math.isnan(found.deviation)


def test_the_correlation_within_pairs() -> None:
    """Within four standard errors."""
    q = np.random.default_rng(4).uniform(0.2, 0.8, 200)
    for alike in (0.0, 0.4):
        found = pair_correlation(shots(q, 20, alike), q)
        assert found.pairs == 4000
        assert abs(found.correlation - alike) < 4 * found.error
        assert found.inflation == pytest.approx(1.0 + found.correlation)
    assert math.isnan(pair_correlation(shots(np.ones(1), 5), np.ones(1)).correlation)
