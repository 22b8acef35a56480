"""Populations against what independent draws would do, and against a jackknife by hand."""

import math

import numpy as np
import pytest

from molgen import weights
from molgen.reweighting.populations import jackknife_error, population_evidence


def _draws(populations: int, size: int, copies: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights exp(x/2) of normal x, each ``copies`` times within its population; state 1 is x > 1."""
    generator = np.random.default_rng(seed)
    x = np.repeat(generator.normal(size=(populations, size // copies)), copies, axis=1)
    population = np.repeat(np.arange(populations), size)
    return 0.5 * x.ravel(), population, (x.ravel() > 1.0).astype(np.int64)


@pytest.mark.parametrize("copies", [1, 10])
def test_scatter_of_populations_counts_independent_draws_not_rows(copies: int) -> None:
    """200 populations, so that the numbers are known to within 10 %; ±35 % is 3.5 standard errors or more."""
    log_weight, population, label = _draws(200, 500, copies, seed=1)
    found = population_evidence(log_weight, population, ("a", "b"), label)
    kish = weights.effective_count(log_weight) / copies
    assert found.count == 200
    # Σw̄²-1 of the whole is (1/n_e - 1/n): with copies the finite-population term is gone.
    relative = 1.0 / kish - 1.0 / (len(label) / copies)
    assert found.log_z_error == pytest.approx(math.sqrt(relative), rel=0.2)
    assert found.log_z == pytest.approx(0.125, abs=4 * found.log_z_error)
    for index, name in enumerate(("a", "b")):
        inside = np.where(label == index, log_weight, -np.inf)
        p = float(weights.normalised(log_weight)[label == index].sum())
        expected = _share_worth(log_weight, label == index, copies, p)
        assert found.states[name].ess == pytest.approx(expected, rel=0.35)
        assert weights.effective_count(inside) > 1.0
    assert found.total.effective == pytest.approx(200, rel=0.02)


def _share_worth(log_weight: np.ndarray, inside: np.ndarray, copies: int, p: float) -> float:
    """(1 − p) p² / Var(p) with the delta method's variance of a share of independent rows."""
    share = weights.normalised(log_weight)
    variance = copies * float(np.sum((share * (inside - p)) ** 2))
    return (1.0 - p) * p**2 / variance


def test_jackknife_of_the_evidence_by_hand() -> None:
    log_weight, population, label = _draws(12, 40, 1, seed=2)
    log_weight = log_weight + 0.8 * np.random.default_rng(3).normal(size=12)[population]
    found = population_evidence(log_weight, population, ("a", "b"), label)
    evidence = np.array([np.exp(log_weight[population == k]).mean() for k in range(12)])
    without = np.array([np.delete(evidence, k).mean() for k in range(12)]) / evidence.mean()
    assert found.log_z == pytest.approx(math.log(evidence.mean()))
    assert found.log_z_error == pytest.approx(math.sqrt(11 / 12 * np.sum((without - without.mean()) ** 2)))
    assert found.total.effective == pytest.approx(evidence.sum() ** 2 / np.sum(evidence**2))
    assert found.total.largest_share == pytest.approx(evidence.max() / evidence.sum())


def test_populations_without_weight_and_states_without_particles() -> None:
    log_weight, population, label = _draws(12, 40, 1, seed=2)
    one = population_evidence(np.where(population == 3, log_weight, -np.inf), population, ("a", "b", "c"), label)
    assert one.total.effective == pytest.approx(1.0)
    assert one.total.largest_share == pytest.approx(1.0)
    assert one.states["c"].ess == 0.0
    assert one.states["a"].ess == 0.0
    huge = population_evidence(log_weight + np.where(population == 3, 700.0, 0.0), population, ("a",), label)
    assert (huge.states["a"].ess, huge.total.largest_share) == (0.0, pytest.approx(1.0))
    nothing = population_evidence(np.full(480, -np.inf), population, ("a",), label)
    assert (nothing.total.effective, nothing.total.ess, nothing.states["a"].ess) == (0.0, 0.0, 0.0)
    assert math.isinf(jackknife_error(np.ones(1)))
    assert set(one.to_json()) == {"count", "effective", "largest_share", "ess", "states"}
