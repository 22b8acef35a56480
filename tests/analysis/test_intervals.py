"""Standard errors against exact formulas, and coverage of the intervals on small exact cases (fixed seeds)."""

import math

import numpy as np
import pytest

from molgen.analysis.free_energy import all_differences, free_energy_difference
from molgen.analysis.intervals import (
    WeightedRows,
    difference_error,
    ess_interval,
    mean_influence,
    plain_interval,
    share_influence,
    share_interval,
)
from molgen.analysis.populations import population, populations
from molgen.weights import kish_ess


def test_equal_weights_give_the_binomial_error() -> None:
    rows = WeightedRows.from_log_weight(np.zeros(1000))
    inside = np.arange(1000) < 300
    value, influence = share_influence(rows, inside)
    assert value == pytest.approx(0.3)
    assert rows.standard_error(influence) == pytest.approx(math.sqrt(0.3 * 0.7 / 999))


def test_blocks_of_one_row_equal_independent_rows_and_copies_do_not_help() -> None:
    x = np.random.default_rng(2).normal(size=200)
    single = WeightedRows.from_log_weight(np.zeros(200))
    blocked = WeightedRows.from_log_weight(np.zeros(200), np.arange(200))
    error = single.standard_error(mean_influence(single, x)[1])
    assert blocked.standard_error(mean_influence(blocked, x)[1]) == pytest.approx(error)
    copied = WeightedRows.from_log_weight(np.zeros(1000), np.repeat(np.arange(200), 5))
    assert copied.standard_error(mean_influence(copied, np.repeat(x, 5))[1]) == pytest.approx(error)


def test_blocks_of_unequal_weight_are_left_out_one_at_a_time() -> None:
    """Against the weighted means that are left without each of 12 blocks, some of which carry most of the weight."""
    generator = np.random.default_rng(2)
    block = np.repeat(np.arange(12), 20)
    log_weight, x = 1.5 * generator.normal(size=12)[block] + generator.normal(size=240), generator.normal(size=240)
    rows = WeightedRows.from_log_weight(log_weight, block)
    mean, influence = mean_influence(rows, x)
    without = np.array([np.average(x[block != b], weights=rows.share[block != b]) for b in range(12)])
    expected = math.sqrt(11 / 12 * np.sum((without - mean) ** 2))
    assert rows.standard_error(influence) == pytest.approx(expected)
    plain = math.sqrt(12 / 11 * np.sum(np.bincount(block, weights=influence) ** 2))
    assert expected > 1.05 * plain
    alone = WeightedRows.from_log_weight(np.where(block == 3, 0.0, -np.inf), block)
    assert math.isinf(alone.standard_error(mean_influence(alone, x)[1]))


def test_the_error_of_a_difference_under_two_weights_leaves_out_what_both_have() -> None:
    """Against means of both without each of 12 blocks; with replicates against the spread of their own differences."""
    generator = np.random.default_rng(4)
    block, x = np.repeat(np.arange(12), 20), generator.normal(size=240)
    first, second = generator.normal(size=12)[block] + 0.3 * generator.normal(size=(2, 240))
    before, after = (WeightedRows.from_log_weight(w, block) for w in (first, second))
    (low, lowered), (high, raised) = mean_influence(before, x), mean_influence(after, x)
    error = difference_error(after, raised, before, lowered)

    def without(b: int) -> float:
        kept = block != b
        means = [np.average(x[kept], weights=rows.share[kept]) for rows in (after, before)]
        return float(means[0] - means[1])

    changes = np.array([without(b) for b in range(12)]) - (high - low)
    assert error == pytest.approx(math.sqrt(11 / 12 * np.sum(changes**2)))
    assert error < 0.5 * before.standard_error(lowered)

    times = generator.multinomial(240, np.full(240, 1 / 240), size=50).astype(np.float64)
    relative = (times / (times @ after.share)[:, None]).astype(np.float32)
    after = WeightedRows.from_log_weight(second, replicates=relative)
    before = after.under(first)
    differences = [np.average(x, weights=t * after.share) - np.average(x, weights=t * before.share) for t in times]
    (_, lowered), (_, raised) = mean_influence(before, x), mean_influence(after, x)
    assert difference_error(after, raised, before, lowered) == pytest.approx(np.std(differences, ddof=1), rel=1e-4)


def test_share_intervals_stay_inside_the_unit_interval() -> None:
    rows = WeightedRows.from_log_weight(np.zeros(50))
    for value in (1e-6, 0.02, 0.5, 0.98):
        estimate = share_interval(value, 0.3, rows)
        assert 0.0 <= estimate.low < value < estimate.high <= 1.0
    nothing = share_interval(0.0, 0.0, rows)
    assert (nothing.value, nothing.low) == (0.0, 0.0)
    assert nothing.high == pytest.approx(1 - 0.05 ** (1 / 50))


@pytest.mark.parametrize("probability", [0.02, 0.4])
def test_coverage_of_populations_of_a_known_distribution(probability: float) -> None:
    """400 data sets of 4000 draws of N(0, 1.3²) for the target N(0, 1), where Var(w) is finite and known.

    A valid 95 % interval covers 95 ± 1.1 %; 91.5 to 98 % is accepted (false alarms < 1 % for each case).
    """
    from scipy.stats import norm

    threshold = norm.isf(probability)
    generator = np.random.default_rng(11)
    covered = 0
    for _ in range(400):
        x = 1.3 * generator.normal(size=4000)
        rows = WeightedRows.from_log_weight(-0.5 * x**2 + 0.5 * (x / 1.3) ** 2)
        estimate = population(rows, (x > threshold).astype(np.int64), 1)
        covered += estimate.low <= probability <= estimate.high
    assert 0.915 <= covered / 400 <= 0.98


def test_free_energy_difference_is_the_log_ratio_with_its_own_error() -> None:
    labels = np.repeat([0, 1], [900, 100])
    rows = WeightedRows.from_log_weight(np.zeros(1000))
    estimate = free_energy_difference(rows, labels, 0, 1)
    assert estimate.value == pytest.approx(math.log(9.0))
    assert estimate.error == pytest.approx(math.sqrt((1 / 900 + 1 / 100) * 1000 / 999))
    table = all_differences(rows, labels, ("a", "b"))
    assert list(table) == ["b->a"]
    assert table["b->a"].value == pytest.approx(-math.log(9.0))
    assert free_energy_difference(rows, labels, 0, 2).value == math.inf
    assert free_energy_difference(rows, labels, 0, 2).to_json()["value"] is None
    assert math.isnan(free_energy_difference(rows, labels, 2, 3).value)


def test_populations_name_every_state() -> None:
    rows = WeightedRows.from_log_weight(np.zeros(4))
    found = populations(rows, np.array([0, 0, 1, -1]), ("a", "b", "c"))
    assert [found[name].value for name in "abc"] == pytest.approx([0.5, 0.25, 0.0])


def test_ess_interval_contains_the_raw_figure() -> None:
    log_weight = np.random.default_rng(4).normal(size=3000)
    low, high = ess_interval(log_weight, np.random.default_rng(5))
    assert low < kish_ess(log_weight) < high
    assert high - low < 0.2
    assert ess_interval(np.full(5, np.nan), np.random.default_rng(5)) == (0.0, 0.0)


def test_plain_interval_uses_students_quantile_for_few_blocks() -> None:
    rows = WeightedRows.from_log_weight(np.zeros(50), np.repeat(np.arange(5), 10))
    assert plain_interval(0.0, 1.0, rows).high == pytest.approx(2.776, abs=1e-3)
