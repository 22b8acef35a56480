"""Distances with exact values, their floor, and divergences."""

import numpy as np
import pytest

from molgen.analysis import distances


def test_energy_w2_of_a_shift_and_of_a_stretch() -> None:
    x = np.random.default_rng(0).normal(size=5000)
    equal = np.full(5000, 1 / 5000)
    assert distances.energy_w2(x, np.random.default_rng(1).permutation(x) + 3.0) == pytest.approx(3.0)
    assert distances.weighted_energy_w2(x, equal, x + 3.0, equal) == pytest.approx(3.0)
    assert distances.weighted_energy_w2(x, equal, 2 * x, equal) == pytest.approx(np.sqrt(np.mean(x**2)))


def test_weighted_energy_w2_equals_the_repeated_rows_and_ignores_rows_without_weight() -> None:
    x, share = np.array([0.0, 1.0, 5.0, np.inf]), np.array([0.5, 0.25, 0.25, 0.0])
    y = np.array([1.0, 2.0])
    expected = np.sqrt((2 * 1.0 + 1.0 + 9.0) / 4)
    assert distances.weighted_energy_w2(x, share, y, np.array([0.5, 0.5])) == pytest.approx(expected)
    assert distances.weighted_energy_w2(y, np.array([0.5, 0.5]), x, share) == pytest.approx(expected)


def test_torsion_w2_goes_the_short_way_round() -> None:
    first = np.array([[np.pi - 0.1, 0.0], [0.5, 1.0]])
    second = np.array([[0.5, 1.0], [-np.pi + 0.1, 0.0]])
    assert distances.torsion_w2(first, second) == pytest.approx(np.sqrt(0.5 * 0.2**2))


def test_equal_distributions_are_at_the_floor_and_different_ones_above() -> None:
    generator = np.random.default_rng(2)
    x, y = generator.normal(size=4000), generator.normal(size=4000)
    share = np.full(4000, 1 / 4000)
    options = {"points": 1000, "repeats": 10}
    same = distances.repeated(distances.energy_w2, x, share, y, share, generator=generator, **options)
    other = distances.repeated(distances.energy_w2, x + 1.0, share, y, share, generator=generator, **options)
    assert same is not None
    assert other is not None
    assert same.points == 1000
    assert same.value < 2.5 * same.floor
    assert other.value > 8 * other.floor
    assert distances.repeated(distances.energy_w2, x, 0 * share, y, share, generator=generator, **options) is None


def test_resampling_follows_the_weights_and_never_takes_a_row_without_one() -> None:
    share = np.array([0.5, 0.0, 0.3, 0.2])
    rows = distances.resample(share, 1000, np.random.default_rng(3))
    assert np.bincount(rows, minlength=4) == pytest.approx([500, 0, 300, 200], abs=1)
    assert len(np.unique(distances.resample(np.full(50, 0.02), 50, np.random.default_rng(4)))) == 50


def test_ramachandran_divergences_of_equal_and_disjoint_maps() -> None:
    first = np.full((10, 2), 0.1)
    share = np.full(10, 0.1)
    same = distances.ramachandran(first, share, first + 2 * np.pi, share)
    assert same["total_variation"] == pytest.approx(0.0)
    assert same["jsd"] == pytest.approx(0.0, abs=1e-9)
    apart = distances.ramachandran(first, share, first + 1.0, share)
    assert apart["total_variation"] == pytest.approx(1.0)
    assert apart["jsd"] == pytest.approx(1.0, abs=0.05)
