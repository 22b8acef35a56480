"""Fitting keeps noise out, finds what a bias needs, and its mixtures are close to known targets."""

import math

import numpy as np
import pytest
from scipy.special import i0e, i1e

from molgen.sampling.latent_fit import WeightedLatent, concentration_of, fit_mixture, touched
from molgen.weights import kish_ess

RNG = np.random.default_rng
N, ANGLES, NUMBERS = 6000, 5, 55


def draws_of_base(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = RNG(seed)
    return rng.uniform(-math.pi, math.pi, (N, ANGLES)), rng.normal(size=(N, NUMBERS))


@pytest.mark.parametrize("seed", range(4))
def test_noise_touches_nothing(seed: int) -> None:
    """Features that have nothing to do with the latent numbers: no angle, no direction; a false alarm in 300 runs."""
    angles, numbers = draws_of_base(seed)
    rng = RNG(100 + seed)
    draws = WeightedLatent(angles, numbers, rng.normal(size=N), rng.normal(size=(N, 1)))
    circles, plane = touched(draws, rng)
    assert len(circles) == 0
    assert plane.shape == (0, NUMBERS)


def test_what_a_bias_needs_is_found_and_nothing_else() -> None:
    """s = sin a₁ + v·y: the angle 1 and the direction v.

    Noise in the means of the slices turns the direction by 1 − |cos| ≈ k/(2 n v²), k = 55 numbers, n ≈ 2,400 effective
    draws, v² ≈ 0.5 the variance of those means along it: about 0.02.
    """
    angles, numbers = draws_of_base(7)
    v = np.zeros(NUMBERS)
    v[[3, 20, 41]] = [0.6, -0.64, 0.48]
    s = np.sin(angles[:, 1]) + numbers @ v
    draws = WeightedLatent(angles, numbers, -2.0 * (s - 1.0) ** 2, s[:, None])
    circles, plane = touched(draws, RNG(1))
    assert list(circles) == [1]
    assert len(plane) == 1
    assert abs(float(plane[0] @ v)) > 0.95
    mixture = fit_mixture(draws, 0.1, RNG(2))
    fresh_angles, fresh_numbers = draws_of_base(8)
    mixture.move(fresh_angles, fresh_numbers, RNG(3))
    s = np.sin(fresh_angles[:, 1]) + fresh_numbers @ v
    ratio = mixture.log_ratio(fresh_angles, fresh_numbers)
    # Plain draws have 39 % effective for this target.
    assert kish_ess(-2.0 * (s - 1.0) ** 2 - ratio) > 0.8


def test_concentration_is_the_inverse_of_the_mean_cosine() -> None:
    for kappa in (0.01, 0.7, 3.0, 250.0, 4e4):
        assert concentration_of(1.0 - i1e(kappa) / i0e(kappa)) == pytest.approx(kappa, rel=2e-3)
    assert concentration_of(5e-9) == pytest.approx(1e8, rel=1e-6)
    assert concentration_of(0.0) == pytest.approx(1e10, rel=1e-3)
