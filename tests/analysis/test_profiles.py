"""Free-energy profiles of known densities, periodic wrapping, empty bins."""

import numpy as np
import pytest

from molgen.analysis.intervals import WeightedRows
from molgen.analysis.profiles import free_energy_profile, grid_edges


def test_harmonic_profile_from_a_uniform_proposal() -> None:
    """F = x²/2; 30 bins, intervals of 95 % each: at least 24 hold the truth (false alarms < 1 %)."""
    generator = np.random.default_rng(1)
    x = generator.uniform(-3, 3, size=100_000)
    rows = WeightedRows.from_log_weight(-0.5 * x**2)
    edges = np.linspace(-3, 3, 31)
    profile = free_energy_profile(rows, [x], [edges], [False])
    fine = np.linspace(-3, 3, 3001)
    exact = -np.log([np.exp(-0.5 * fine[i * 100 : i * 100 + 101] ** 2).mean() for i in range(30)])
    exact -= exact.min()
    assert np.nanmax(np.abs(profile.free_energy - exact)) < 0.15
    assert np.sum((profile.low <= exact) & (exact <= profile.high)) >= 24


def test_standard_errors_equal_those_of_single_populations() -> None:
    from molgen.analysis.intervals import share_influence

    generator = np.random.default_rng(3)
    x, log_weight = generator.normal(size=500), generator.normal(size=500)
    edges = np.linspace(-4, 4, 9)
    for block in (None, np.repeat(np.arange(50), 10)):
        rows = WeightedRows.from_log_weight(log_weight, block)
        profile = free_energy_profile(rows, [x], [edges], [False])
        p, influence = share_influence(rows, (x >= edges[3]) & (x < edges[4]))
        half = rows.quantile * rows.standard_error(influence) / p
        assert profile.high[3] - profile.free_energy[3] == pytest.approx(half)


def test_periodic_values_are_wrapped_and_empty_bins_are_nan() -> None:
    edges = grid_edges([], periodic=True, bins=4)
    rows = WeightedRows.from_log_weight(np.tile([0.0, 0.0, -np.inf], 5))
    profile = free_energy_profile(rows, [np.tile([0.1, 0.1 + 2 * np.pi, -2.0], 5)], [edges], [True])
    assert profile.free_energy[2] == 0.0
    assert np.isnan(profile.free_energy[[0, 1, 3]]).all()


def test_two_dimensions_are_x_by_y() -> None:
    rows = WeightedRows.from_log_weight(np.tile(np.log([0.75, 0.25]), 10))
    edges = [np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 2.0, 3.0])]
    profile = free_energy_profile(rows, [np.tile([0.5, 1.5], 10), np.tile([0.5, 2.5], 10)], edges, [False, False])
    assert profile.free_energy.shape == (2, 3)
    assert profile.free_energy[1, 2] == pytest.approx(np.log(3))


def test_edges_span_all_samples() -> None:
    edges = grid_edges([np.array([0.0, 1.0]), np.array([4.0, np.nan])], periodic=False, bins=10)
    assert edges[0] < 0.01
    assert edges[-1] > 3.99
    assert len(edges) == 11


def test_a_bin_of_few_effective_draws_is_left_open() -> None:
    x = np.concatenate([np.full(50, 0.5), np.full(50, 1.5), np.full(50, 2.5)])
    log_weight = np.zeros(150)
    log_weight[100:] = -30.0  # a barrier whose draws all carry next to nothing but one: no estimate, no interval
    log_weight[100] = -10.0
    rows = WeightedRows.from_log_weight(log_weight)
    profile = free_energy_profile(rows, [x], [np.array([0.0, 1.0, 2.0, 3.0])], [False])
    assert np.isfinite(profile.free_energy[:2]).all()
    assert np.isnan([profile.free_energy[2], profile.low[2], profile.high[2]]).all()
