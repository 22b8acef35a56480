import math

import numpy as np
import pytest

from molgen.reweighting.latents import check_latents, check_mass

TRIALS = 40


def latents(n: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return np.concatenate([generator.uniform(-math.pi, math.pi, (n, 2)), generator.normal(size=(n, 4))], 1)


def test_right_draws_pass_with_and_without_rows_that_are_hidden() -> None:
    """A false alarm is one in a million a trial, so that none is expected in 80."""
    for seed in range(TRIALS):
        z = latents(4000, seed)
        assert check_latents(z, 2, 0).passed
        # Draws beyond 2.5 lie outside some domain: nobody sees their latent numbers.
        seen = z[:, 4] < 2.5
        assert check_latents(z[seen], 2, int(np.sum(~seen))).passed


@pytest.mark.parametrize("kept", [0.0, 0.1])
def test_a_state_that_was_taken_out_or_thinned_leaves_a_gap(kept: float) -> None:
    z = latents(16_000, 1)
    state = (z[:, 0] > 1.0) & (z[:, 0] < 1.0 + 0.03 * 2.0 * math.pi)
    left = z[~state | (np.random.default_rng(2).random(len(z)) < kept)]
    check = check_latents(left, 2, 0)
    assert not check.passed
    assert "angle 1" in check.detail
    # As many rows whose place is unknown might fill it.
    assert check_latents(left, 2, len(z) - len(left)).passed


def test_repeated_draws_and_those_of_another_model_fail() -> None:
    z = latents(4000, 3)
    assert not check_latents(np.concatenate([z, z[:400], z[:400], z[:400], z[:400], z[:400]]), 2, 0).passed
    wider = z.copy()
    wider[:, 3] *= 1.2
    assert "number 2" in check_latents(wider, 2, 0).detail
    assert not check_latents(wider, 2, 0).passed


def test_of_a_cartesian_flow_only_the_length_is_tested() -> None:
    z = np.random.default_rng(4).normal(size=(4000, 6))
    turned = z.copy()
    turned[:, 0] = np.abs(turned[:, 0])
    assert check_latents(turned, None, 0).passed
    assert not check_latents(turned, 0, 0).passed
    short = np.linalg.norm(z, axis=1) < 3.2
    assert not check_latents(z[short], None, 0).passed


def test_few_draws_say_nothing_and_no_numbers_are_hidden_ones() -> None:
    z = latents(30, 5)
    assert check_latents(z, 2, 0).passed
    assert "not tested" in check_latents(z, 2, 0).detail
    lost = latents(4000, 6)
    lost[:100] = np.nan
    assert check_latents(lost, 2, 0).passed


def biased(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws x of a tenth N(0, 1) and nine tenths N(2, 0.5²), and q_plain/q at each."""
    generator = np.random.default_rng(seed)
    x = np.where(generator.random(n) < 0.1, generator.normal(size=n), 2.0 + 0.5 * generator.normal(size=n))
    plain, pushed = np.exp(-0.5 * x**2), 2.0 * np.exp(-0.5 * ((x - 2.0) / 0.5) ** 2)
    return x, plain / (0.1 * plain + 0.9 * pushed)


def test_biased_draws_give_the_plain_model_its_mass() -> None:
    """A false alarm is one in 500 million for a normal mean; the ratios of 2,000 draws are bounded by 10."""
    for seed in range(TRIALS):
        x, ratio = biased(2000, seed)
        assert check_mass(ratio, 10.0, 0).passed
        seen = x < 2.5
        assert check_mass(ratio[seen], 10.0, int(np.sum(~seen))).passed


@pytest.mark.parametrize("kept", [0.0, 0.1])
@pytest.mark.parametrize("favoured", [False, True])
def test_biased_draws_of_which_a_state_was_thinned_fail(favoured: bool, kept: float) -> None:
    x, ratio = biased(4000, 1)
    left = ((x > 1.0) != favoured) | (np.random.default_rng(2).random(len(x)) < kept)
    check = check_mass(ratio[left], 10.0, 0)
    assert not check.passed
    assert "missing" in check.detail


def test_few_biased_draws_say_nothing() -> None:
    assert "not tested" in check_mass(np.full(100, 5.0), 10.0, 50).detail
