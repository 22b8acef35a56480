"""Differences of free energies between two Hamiltonians from the same draws."""

import math

import numpy as np
import pytest

from molgen.analysis.free_energy import difference_shift, free_energy_difference, state_shift
from molgen.analysis.intervals import WeightedRows


def rows(x: np.ndarray, slope: float) -> WeightedRows:
    return WeightedRows.from_log_weight(slope * x)


def sample(seed: int, n: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(seed).normal(size=n)
    return x, np.where(x > 0.5, 1, 0)


def test_values_are_those_of_the_two_alone() -> None:
    x, label = sample(1)
    before, after = rows(x, 0.0), rows(x, 0.7)
    alone = [free_energy_difference(which, label, 0, 1).value for which in (before, after)]
    assert difference_shift(before, after, label, 0, 1).value == pytest.approx(alone[1] - alone[0])
    shift = state_shift(before, after, label, 1).value
    assert shift == pytest.approx(-math.log(after.share[label == 1].sum() / before.share[label == 1].sum()))


@pytest.mark.parametrize("slope", [0.1, 1.0])
def test_errors_are_the_spread_over_samples_and_know_what_both_share(slope: float) -> None:
    """300 samples: the spread is known to 4 %, 16 % are allowed. Adding the two errors up would be far too much."""
    found, separate = [], []
    for seed in range(300):
        x, label = sample(seed)
        before, after = rows(x, 0.0), rows(x, slope)
        pair = difference_shift(before, after, label, 0, 1)
        state = state_shift(before, after, label, 1)
        found.append((pair.value, pair.error, state.value, state.error))
        separate.append(math.hypot(*(free_energy_difference(w, label, 0, 1).error for w in (before, after))))
    table = np.array(found)
    for value, error in ((0, 1), (2, 3)):
        assert np.mean(table[:, error]) == pytest.approx(np.std(table[:, value]), rel=0.16)
    if slope < 0.5:
        assert np.mean(table[:, 1]) < 0.3 * np.mean(separate)


def test_the_same_weights_differ_by_nothing_for_certain() -> None:
    x, label = sample(3)
    before = rows(x, 0.3)
    assert difference_shift(before, before, label, 0, 1).error < 1e-15
    assert state_shift(before, before, label, 0).value == 0.0


def test_an_empty_state_has_no_finite_shift() -> None:
    x, label = sample(4)
    after = WeightedRows(np.where(label == 0, 1.0, 0.0) / np.sum(label == 0))
    before = rows(x, 0.0)
    assert state_shift(before, after, label, 1).value == math.inf
    assert state_shift(after, before, label, 1).value == -math.inf
    assert math.isnan(state_shift(after, after, label, 1).value)
    assert math.isnan(difference_shift(before, after, label, 0, 1).value)
