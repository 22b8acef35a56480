"""Maximum-entropy weights: tilted Gaussians, a two-state toy, limits in θ, known tilts found again."""

import math

import numpy as np
import pytest

from molgen.reweighting.maximum_entropy import THETAS, choose_theta, fit_tilt


def equal(n: int) -> np.ndarray:
    return np.full(n, 1.0 / n)


def quantiles(n: int = 20_001) -> np.ndarray:
    """A standard normal sample without sampling noise."""
    from scipy.stats import norm

    return np.asarray(norm.ppf((np.arange(n) + 0.5) / n))


@pytest.mark.parametrize("theta", [100.0, 1.0, 0.1, 1e-3])
def test_a_gaussian_prior_becomes_the_tilted_gaussian(theta: float) -> None:
    """Mean m₀ - λv with λ = (m₀ - d)/(θσ² + v), variance v, relative entropy λ²v/2."""
    s, d, sigma = 1.0 + 2.0 * quantiles(), 2.5, 0.8
    m0, v = float(np.mean(s)), float(np.var(s))
    tilt = fit_tilt(equal(len(s)), ((s - d) / sigma)[:, None], theta)
    rate = (m0 - d) / (theta * sigma**2 + v)
    assert tilt.mu[0] / sigma == pytest.approx(rate, rel=2e-3)
    mean = float(tilt.share @ s)
    assert mean == pytest.approx(m0 - rate * v, abs=1e-3)
    assert float(tilt.share @ (s - mean) ** 2) == pytest.approx(v, rel=5e-3)
    assert tilt.relative_entropy == pytest.approx(0.5 * rate**2 * v, abs=2e-3)
    assert tilt.chi_square == pytest.approx(((mean - d) / sigma) ** 2, rel=1e-9)


def test_two_states_have_an_analytic_multiplier() -> None:
    """θ → 0: p/(1-p) e^{-λ} = d/(1-d) for the share p of the state whose share d was measured."""
    inside = (np.arange(1000) < 120).astype(float)
    d, sigma = 0.4, 0.05
    tilt = fit_tilt(equal(1000), ((inside - d) / sigma)[:, None], 1e-7)
    rate = math.log(0.12 / 0.88) - math.log(d / (1 - d))
    assert tilt.mu[0] / sigma == pytest.approx(rate, rel=1e-5)
    assert float(tilt.share @ inside) == pytest.approx(d, abs=1e-6)
    entropy = d * math.log(d / 0.12) + (1 - d) * math.log((1 - d) / 0.88)
    assert tilt.relative_entropy == pytest.approx(entropy, rel=1e-5)


def test_theta_goes_from_the_prior_to_the_data() -> None:
    generator = np.random.default_rng(1)
    share = generator.dirichlet(np.ones(3000))
    z = generator.normal([2.0, -1.0, 0.5], [3.0, 2.0, 1.0], size=(3000, 3))
    squares = [fit_tilt(share, z, theta).chi_square for theta in (math.inf, 1e6, 10.0, 1.0, 0.1, 1e-6)]
    assert squares == sorted(squares, reverse=True)
    np.testing.assert_array_equal(fit_tilt(share, z, math.inf).share, fit_tilt(share, z, math.inf).share)
    np.testing.assert_allclose(fit_tilt(share, z, math.inf).share, share, rtol=1e-12)
    np.testing.assert_allclose(fit_tilt(share, z, 1e9).share, share, rtol=1e-6)
    assert squares[-1] < 1e-9


def test_gradient_and_hessian_are_those_of_the_dual() -> None:
    """At the minimum ⟨z⟩ = θμ, under the fitted weights, whose covariance is the Hessian but for θ."""
    generator = np.random.default_rng(2)
    share = generator.dirichlet(np.ones(500))
    z = generator.normal(1.0, 2.0, size=(500, 4))
    tilt = fit_tilt(share, z, 0.7)
    np.testing.assert_allclose(tilt.mean, 0.7 * tilt.mu, atol=1e-6)
    np.testing.assert_allclose(tilt.covariance, np.cov(z.T, aweights=tilt.share, ddof=0), rtol=1e-9)
    entropy = float(np.sum(tilt.share * np.log(tilt.share / share)))
    assert tilt.relative_entropy == pytest.approx(entropy, rel=1e-9)


def test_rows_without_weight_keep_none_whatever_they_hold() -> None:
    generator = np.random.default_rng(3)
    z = generator.normal(1.0, 1.0, size=(200, 2))
    share = np.where(np.arange(200) < 150, 1.0 / 150, 0.0)
    whole = fit_tilt(share, z, 1.0)
    z[150:] = 1e6
    again = fit_tilt(share, z, 1.0)
    np.testing.assert_allclose(again.share, whole.share, rtol=1e-12)
    assert np.all(again.share[150:] == 0.0)


def test_a_known_tilt_is_found_again_and_predicts_what_was_not_fitted() -> None:
    """Data from weights e^{-x}: the fit to noisy means of six functions of x recovers the mean of x itself.

    The error of a mean of z is 1 by construction; with six of them that all say the same the mean of x is known to
    better than one standard error of a single one, and 4 of those are allowed.
    """
    generator = np.random.default_rng(4)
    x, y = generator.normal(size=(2, 40_000))
    functions = [x + k * 0.1 * y + 0.05 * k * x**2 for k in range(6)]
    truth = np.exp(-x) / np.sum(np.exp(-x))
    columns = []
    for values in functions:
        measured = float(truth @ values) + 0.05 * generator.normal()
        columns.append((values - measured) / 0.05)
    z = np.stack(columns, axis=1)
    share = equal(len(x))
    choice = choose_theta(share, z, generator)
    assert len(choice.held_out) == len(THETAS) + 1
    assert choice.theta < 10.0
    assert choice.held_out[choice.theta] < 0.05 * choice.held_out[math.inf]
    tilt = fit_tilt(share, z, choice.theta)
    assert abs(float(tilt.share @ x) - float(truth @ x)) < 4 * 0.05
    assert tilt.chi_square < 3.0


def test_a_single_wrong_observable_is_not_believed_against_the_others() -> None:
    """Five functions of x that the prior predicts, and one far off: fitted to that one, the others are missed.

    Held out together with others or alone, it raises θ above 1; with six that agree θ is 1.
    """
    generator = np.random.default_rng(5)
    x = generator.normal(size=20_000)
    columns = [(x + 0.1 * k * (x**2 - 1.0)) / 0.05 + generator.normal() for k in range(6)]
    agreeing = np.stack(columns, axis=1)
    assert choose_theta(equal(len(x)), agreeing, generator).theta == 1.0
    contradicting = agreeing.copy()
    contradicting[:, 3] -= 20.0
    assert choose_theta(equal(len(x)), contradicting, generator).theta > 1.0


def test_with_fewer_than_three_nothing_is_held_out() -> None:
    generator = np.random.default_rng(6)
    z = generator.normal(size=(100, 2))
    choice = choose_theta(equal(100), z, generator)
    assert (choice.theta, choice.held_out) == (1.0, {})
    assert "fewer than 3" in choice.rule
