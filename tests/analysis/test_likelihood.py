"""The data's likelihood ratio of two force fields: Gaussians, and the error that sampling leaves."""

import numpy as np
import pytest

from molgen.analysis.intervals import WeightedRows
from molgen.analysis.likelihood import likelihood_ratio


def weights(x: np.ndarray, slope: float) -> WeightedRows:
    w = np.exp(slope * x)
    return WeightedRows(w / w.sum())


def ratio(seed: int, n: int = 4000) -> tuple[float, float]:
    """Standard normal draws; the two force fields have means 0 and 0.5, the data 0.4 ± 0.1."""
    x = np.random.default_rng(seed).normal(size=n)
    found = likelihood_ratio(weights(x, 0.0), weights(x, 0.5), ((x - 0.4) / 0.1)[:, None])
    return found.log_ratio, found.error


def test_gaussians_have_an_exact_ratio_and_its_error_is_the_spread() -> None:
    """½ (4² - 1²) = 7.5 nats for infinitely many draws; 300 samples, 4 standard errors and 20 %."""
    found = np.array([ratio(seed, 20_000) for seed in range(300)])
    assert np.mean(found[:, 0]) == pytest.approx(7.5, abs=0.15)
    assert np.mean(found[:, 1]) == pytest.approx(np.std(found[:, 0]), rel=0.2)


def test_the_same_weights_have_no_ratio_and_no_error() -> None:
    x = np.random.default_rng(1).normal(size=500)
    found = likelihood_ratio(weights(x, 0.2), weights(x, 0.2), np.stack([x, x**2], axis=1))
    assert (found.log_ratio, found.error) == (0.0, 0.0)
    assert found.chi_squares[0] == found.chi_squares[1]


def test_few_draws_say_little() -> None:
    """The sampling error of the means widens the likelihood: eight draws cannot favour anything by 7 nats."""
    found = [abs(ratio(seed, 8)[0]) for seed in range(20)]
    assert np.median(found) < 3.5
