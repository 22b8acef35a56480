"""Statistical inefficiency of a process with a known one, and blocks."""

import numpy as np
import pytest

from molgen.analysis.correlated import blocks, independent_rows, statistical_inefficiency


def _autoregressive(n: int, rho: float, seed: int) -> np.ndarray:
    from scipy.signal import lfilter

    noise = np.random.default_rng(seed).normal(size=n)
    return np.asarray(lfilter([1.0], [1.0, -rho], noise))


@pytest.mark.parametrize("rho", [0.0, 0.8, 0.95])
def test_inefficiency_of_an_autoregressive_process(rho: float) -> None:
    """g = (1 + ρ)/(1 - ρ) exactly; 200,000 steps give it with a standard error of about 6 %."""
    g = (1 + rho) / (1 - rho)
    assert statistical_inefficiency(_autoregressive(200_000, rho, 7)) == pytest.approx(g, rel=0.2)


def test_constant_and_short_series_are_worth_their_length() -> None:
    assert statistical_inefficiency(np.ones(100)) == 1.0
    assert statistical_inefficiency(np.array([1.0, 2.0])) == 1.0


def test_blocks_follow_lineages_and_are_at_least_five() -> None:
    slow = np.cumsum(np.ones(1000))
    two = np.repeat([3, 8], 500)
    found = blocks(two, [slow])
    assert len(np.unique(found)) == 6
    assert not set(found[:500]) & set(found[500:])
    assert np.all(np.diff(found) >= 0)
    many = np.repeat(np.arange(40), 25)
    assert np.array_equal(blocks(many, [slow]), many)


def test_block_errors_of_correlated_data_are_right() -> None:
    """The mean of 20,000 steps at ρ = 0.9 has the standard error √(19/20000)/√(1-ρ²); blocks give it within 35 %."""
    from molgen.analysis.intervals import WeightedRows, mean_influence

    x = _autoregressive(20_000, 0.9, 3)
    rows = WeightedRows.from_log_weight(np.zeros(len(x)), blocks(np.zeros(len(x), dtype=np.int64), [x]))
    expected = np.sqrt(19 / 20_000 / (1 - 0.81))
    assert rows.standard_error(mean_influence(rows, x)[1]) == pytest.approx(expected, rel=0.35)


def test_thinned_rows_keep_order_and_come_in_blocks_of_one_lineage() -> None:
    x = _autoregressive(8000, 0.8, 3)
    lineage = np.repeat([0, 1], 4000)
    thinned = independent_rows(lineage, [x])
    # g = (1 + 0.8) / (1 - 0.8) = 9 for this process.
    assert thinned.inefficiency == pytest.approx(9.0, rel=0.25)
    assert np.all(np.diff(thinned.index) > 0)
    sizes = np.bincount(thinned.block)
    assert sizes.max() == 5
    for block in range(len(sizes)):
        assert len(np.unique(lineage[thinned.index[thinned.block == block]])) == 1


def test_few_rows_still_give_five_blocks() -> None:
    thinned = independent_rows(np.zeros(12, dtype=np.int64), [])
    assert thinned.index.tolist() == list(range(12))
    assert len(np.unique(thinned.block)) >= 5


def test_trapped_lineages_are_not_taken_for_fast_ones() -> None:
    """Four lineages about four means: each looks independent by itself, together they know little of the mean."""
    x = np.random.default_rng(2).normal(size=2000) + np.repeat([0.0, 5.0, -3.0, 2.0], 500)
    thinned = independent_rows(np.repeat(np.arange(4), 500), [x])
    assert thinned.inefficiency > 100.0
    assert independent_rows(np.arange(4).repeat(500), [np.random.default_rng(2).normal(size=2000)]).inefficiency < 2.0
