"""Errors under fitted weights: what repeating the draws, and the data, gives."""

import math

import numpy as np
import pytest

from molgen.analysis.intervals import WeightedRows
from molgen.analysis.restrained import restrained_mean, restrained_population
from molgen.reweighting.maximum_entropy import choose_theta, fit_tilt

THETA, SIGMA, D = 1.0, 0.3, 0.6


def one(seed: int, measured: float = D, n: int = 1500) -> tuple[float, float, float]:
    """A population under weights fitted to draws of a seed, its total error and that from the data."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=n)
    share = np.exp(0.3 * x)
    share = share / share.sum()
    z = ((x - measured) / SIGMA)[:, None]
    tilt = fit_tilt(share, z, THETA)
    estimate, from_data = restrained_population(WeightedRows(tilt.share), x > 1.0, z, tilt)
    logit = estimate.value * (1 - estimate.value)
    return estimate.value, estimate.error * logit, from_data


def test_the_error_of_sampling_is_the_spread_over_samples() -> None:
    """400 samples: the spread is known to 3.5 %, and 15 % are allowed (4 standard deviations)."""
    found = np.array([one(seed) for seed in range(400)])
    sampling = np.sqrt(np.maximum(found[:, 1] ** 2 - found[:, 2] ** 2, 0.0))
    assert np.mean(sampling) == pytest.approx(np.std(found[:, 0]), rel=0.15)


def test_the_error_of_the_data_is_the_spread_over_data() -> None:
    """One sample, 400 data about the same mean with their stated error."""
    noise = np.random.default_rng(1).normal(size=400)
    values = [one(7, D + SIGMA * float(shift))[0] for shift in noise]
    assert one(7)[2] == pytest.approx(np.std(values), rel=0.15)


def test_without_tilt_a_mean_is_a_weighted_mean() -> None:
    generator = np.random.default_rng(3)
    x = generator.normal(size=500)
    rows = WeightedRows(np.full(500, 1 / 500))
    z = ((x - 0.1) / 0.2)[:, None]
    tilt = fit_tilt(rows.share, z, 1e12)
    estimate, from_data = restrained_mean(rows, x, z, tilt)
    assert estimate.value == pytest.approx(x.mean())
    assert math.sqrt(estimate.error**2 - from_data**2) == pytest.approx(x.std() / math.sqrt(499), rel=1e-6)


def test_intervals_hold_the_truth() -> None:
    """Data of a known tilt, one observable: 200 trials of 95 % intervals, 180 to 198 hits (0.1 % alarms)."""
    grid = np.linspace(-6.0, 7.0, 4001)
    density = np.exp(-0.5 * grid**2 + 0.5 * grid)
    truth = float(density[grid > 1.0].sum() / density.sum())
    held = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        x = generator.normal(size=1500)
        rows = np.full(1500, 1 / 1500)
        z = ((x - 0.5 - 0.1 * generator.normal()) / 0.1)[:, None]
        tilt = fit_tilt(rows, z, choose_theta(rows, z, generator).theta)
        estimate, _ = restrained_population(WeightedRows(tilt.share), x > 1.0, z, tilt)
        held += estimate.low <= truth <= estimate.high
    assert 180 <= held <= 198


def test_blocks_count_as_one() -> None:
    """Every draw twice in a block of its own: the same error as once each in a block of its own."""
    generator = np.random.default_rng(5)
    x = generator.normal(size=300)
    z = ((x - 0.5) / 0.3)[:, None]
    share = np.full(300, 1 / 300)
    tilt = fit_tilt(share, z, 1.0)
    single, _ = restrained_mean(WeightedRows(tilt.share, np.arange(300)), x**2, z, tilt)
    twice = WeightedRows(np.repeat(tilt.share, 2) / 2, np.repeat(np.arange(300), 2))
    double, _ = restrained_mean(twice, np.repeat(x**2, 2), np.repeat(z, 2, axis=0), tilt)
    assert double.error == pytest.approx(single.error, rel=1e-9)
