"""Sequential Monte Carlo against what is known exactly: evidences, free energies, biased and unbiased targets."""

import math

import numpy as np
import pytest
import torch
from scipy.special import i0
from scipy.stats import t as student

from molgen import weights
from molgen.errors import InputError
from molgen.sampling.annealing import (
    AnnealingSettings,
    Population,
    find_schedule,
    next_temperature,
    run_population,
)
from molgen.sampling.latent_target import LatentTarget
from tests.annealed import AffineMap, NumpyEnergy, double_well, gaussian, von_mises

POPULATIONS = 12
FALSE_ALARM = 1e-4


def _run(target: LatentTarget, n: int, seed: int, **settings: float) -> list[Population]:
    chosen = AnnealingSettings(pilot=200, **settings)
    schedule = find_schedule(target, chosen, torch.Generator().manual_seed(seed))
    assert schedule.temperatures[-1] == 1.0
    assert all(a < b for a, b in zip((0.0, *schedule.temperatures), schedule.temperatures, strict=False))
    generators = [torch.Generator().manual_seed(1000 * seed + k) for k in range(POPULATIONS)]
    return [run_population(target, chosen, schedule, n, generator) for generator in generators]


def _z_score(values: np.ndarray, expected: float) -> float:
    """(mean − expected) over its standard error; Student-distributed with one degree of freedom less than values."""
    return float((values.mean() - expected) / (values.std(ddof=1) / math.sqrt(len(values))))


LIMIT = float(student.ppf(1.0 - FALSE_ALARM / 2.0, POPULATIONS - 1))


@pytest.mark.parametrize(
    ("dim", "mean", "width"), [(1, 3.0, 0.5), (1, 0.0, 2.0), (3, 1.5, 0.4), (10, 0.5, 0.6)], ids=str
)
def test_evidence_of_gaussians(dim: int, mean: float, width: float) -> None:
    """Z = (√(2π)·width)^d; the mean of the populations' evidences is unbiased. One seed in 10,000 fails a case."""
    target = LatentTarget(AffineMap(dim), NumpyEnergy(dim, gaussian(mean, width)))
    populations = _run(target, 150, seed=dim + int(10 * width))
    log_z = dim * math.log(math.sqrt(2.0 * math.pi) * width)
    ratios = np.exp([population.history.log_z - log_z for population in populations])
    assert abs(_z_score(ratios, 1.0)) < LIMIT
    assert ratios.std(ddof=1) / math.sqrt(POPULATIONS) < 0.12


def test_evidence_and_mean_on_a_circle() -> None:
    """u = -κ cos x, κ = 4, from a uniform angle: Z = 2π I₀(κ). One seed in 5,000 fails."""
    target = LatentTarget(AffineMap(1, n_angles=1), NumpyEnergy(1, von_mises(4.0)))
    populations = _run(target, 200, seed=2)
    ratios = np.exp([population.history.log_z for population in populations]) / (2.0 * math.pi * i0(4.0))
    assert abs(_z_score(ratios, 1.0)) < LIMIT
    sine = np.concatenate([population.points.positions[:, 0, 0].sin().numpy() for population in populations])
    log_weight = np.concatenate([population.log_weight for population in populations])
    error = np.sqrt(np.mean(sine**2) / (len(sine) / 4.0))
    assert abs(weights.normalised(log_weight) @ sine) < 5.0 * error


def test_free_energy_of_a_double_well_from_a_poor_proposal_with_and_without_a_bias() -> None:
    """A normal distribution in the left well, 0.35 % of it beyond the barrier; ΔF exact from a grid.

    The biased populations, the bias taken back, give the same. Two comparisons, one seed in 5,000 fails.
    """
    grid = np.linspace(-3.0, 3.0, 20_001)
    density = np.exp(-4.0 * (grid**2 - 1.0) ** 2 - 0.5 * grid)
    exact = float(-np.log(density[grid > 0].sum() / density[grid < 0].sum()))
    energy = NumpyEnergy(1, double_well(4.0, 0.5))
    proposal = AffineMap(1, -0.8, 0.4)

    class Tilt:
        text = "tilt"

        def reduced(self, positions: torch.Tensor) -> torch.Tensor:
            return -1.5 * positions[:, 0, 0]

    for bias in (None, Tilt()):
        populations = _run(LatentTarget(proposal, energy, bias), 400, seed=4 if bias is None else 5)
        x = np.stack([population.points.positions[:, 0, 0].numpy() for population in populations])
        log_weight = np.stack([population.log_weight for population in populations])
        if bias is not None:
            log_weight = log_weight - 1.5 * x
        share = np.exp(log_weight - weights.log_sum_exp(log_weight.ravel()))
        right, left = (share * (x > 0)).sum(1), (share * (x < 0)).sum(1)
        difference = -math.log(right.sum() / left.sum())
        without = -np.log((right.sum() - right) / (left.sum() - left))
        error = math.sqrt((POPULATIONS - 1) / POPULATIONS * np.sum((without - without.mean()) ** 2))
        assert error < 0.35
        assert abs(difference - exact) < LIMIT * error


def test_mean_weight_of_a_population_is_its_evidence_and_the_path_is_counted() -> None:
    target = LatentTarget(AffineMap(2), NumpyEnergy(2, gaussian(2.0, 0.5)))
    settings = AnnealingSettings(pilot=100, moves=2, leapfrogs=3, tuning=4)
    schedule = find_schedule(target, settings, torch.Generator().manual_seed(1))
    levels = len(schedule.temperatures)
    assert schedule.evaluations == target.energy.counter.sampling == 100 * (1 + levels * 4 * 3)
    population = run_population(target, settings, schedule, 80, torch.Generator().manual_seed(2))
    history = population.history
    assert weights.log_mean_exp(population.log_weight) == pytest.approx(history.log_z)
    assert history.evaluations == 80 * (1 + levels * 2 * 3)
    assert len(history.ess) == len(history.resampled) == len(history.acceptance) == levels
    assert any(history.resampled)
    assert 1 <= history.ancestors < 80
    assert 0.5 < np.mean(history.acceptance) < 0.99
    again = run_population(target, settings, schedule, 80, torch.Generator().manual_seed(2))
    assert torch.equal(again.points.z, population.points.z)
    np.testing.assert_array_equal(again.log_weight, population.log_weight)


def test_without_resampling_it_is_annealed_importance_sampling() -> None:
    target = LatentTarget(AffineMap(1), NumpyEnergy(1, gaussian(1.5, 0.5)))
    populations = _run(target, 100, seed=7, resample_below=0.0)
    assert not any(any(population.history.resampled) for population in populations)
    assert all(population.history.ancestors == 100 for population in populations)
    ratios = np.exp([population.history.log_z for population in populations]) / (math.sqrt(2.0 * math.pi) * 0.5)
    assert abs(_z_score(ratios, 1.0)) < LIMIT


def test_a_perfect_model_needs_one_temperature_and_its_weights_are_equal() -> None:
    target = LatentTarget(AffineMap(3, 0.4, 0.7), NumpyEnergy(3, gaussian(0.4, 0.7)))
    settings = AnnealingSettings(pilot=100)
    schedule = find_schedule(target, settings, torch.Generator().manual_seed(1))
    assert schedule.temperatures == (1.0,)
    population = run_population(target, settings, schedule, 50, torch.Generator().manual_seed(1))
    np.testing.assert_allclose(population.log_weight, 3 * math.log(math.sqrt(2.0 * math.pi) * 0.7), atol=1e-9)


def test_draws_outside_the_domain_count_as_nothing_and_lower_the_evidence() -> None:
    """A target that is the model on the half x > 0 and nothing elsewhere: Z = 1/2 of the whole."""
    target = LatentTarget(
        AffineMap(1, inside=lambda x: x[:, 0] > 0.0), NumpyEnergy(1, lambda x: (0.5 * (x**2).sum(1), x))
    )
    populations = _run(target, 300, seed=3, resample_below=0.3)
    ratios = np.exp([population.history.log_z for population in populations]) / math.sqrt(2.0 * math.pi)
    assert abs(_z_score(ratios, 0.5)) < LIMIT
    for population in populations:
        outside = ~torch.isfinite(population.points.log_ratio).numpy()
        assert 100 < outside.sum() < 200
        assert np.all(np.isneginf(population.log_weight[outside]))
        assert (population.points.positions[~outside] > 0.0).all()


def test_a_temperature_keeps_the_conditional_effective_sample_size() -> None:
    generator = np.random.default_rng(1)
    ratio, log_share = 30.0 * generator.normal(size=500), generator.normal(size=500)
    log_share -= weights.log_sum_exp(log_share)
    t = next_temperature(ratio, log_share, 0.2, 0.9)
    assert 0.2 < t < 1.0
    w, share = np.exp((t - 0.2) * ratio), np.exp(log_share)
    assert (share @ w) ** 2 / (share @ w**2) == pytest.approx(0.9, abs=1e-3)
    assert next_temperature(0.01 * ratio, log_share, 0.2, 0.9) == 1.0
    steep = np.where(np.arange(500) < 3, -1e12, ratio)
    assert 0.0 < next_temperature(steep, log_share, 0.0, 0.999) < 1e-9
    dead = np.where(np.arange(500) < 300, -np.inf, ratio)
    assert next_temperature(dead, log_share, 0.2, 0.9) > 0.2


def test_what_cannot_be_annealed_is_said() -> None:
    far = LatentTarget(AffineMap(10), NumpyEnergy(10, gaussian(40.0, 0.1)))
    with pytest.raises(InputError, match="5 temperatures"):
        find_schedule(far, AnnealingSettings(pilot=50, max_levels=5), torch.Generator().manual_seed(1))
    nowhere = LatentTarget(
        AffineMap(1, inside=lambda x: torch.zeros(len(x), dtype=torch.bool)), NumpyEnergy(1, gaussian(0.0, 1.0))
    )
    with pytest.raises(InputError, match="finite energy"):
        find_schedule(nowhere, AnnealingSettings(), torch.Generator().manual_seed(1))
    with pytest.raises(InputError, match="populations"):
        AnnealingSettings.parse({"populations": 9}, source="test")
