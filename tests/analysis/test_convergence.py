import numpy as np
import pytest

from molgen.analysis.convergence import numbers_of_draws, population_curves


def test_numbers_rise_to_all_draws() -> None:
    sizes = numbers_of_draws(20_000)
    assert sizes[0] == 100
    assert sizes[-1] == 20_000
    assert np.all(np.diff(sizes) > 0)
    assert len(numbers_of_draws(99)) == 0


def test_a_curve_ends_in_the_estimate_and_its_intervals_shrink() -> None:
    generator = np.random.default_rng(1)
    label = (generator.random(6400) < 0.3).astype(np.int64)
    curves = population_curves(np.zeros(6400), label, ("a", "b"))
    assert curves is not None
    assert curves["b"][-1]["value"] == pytest.approx(np.mean(label))
    width = [point["high"] - point["low"] for point in curves["b"]]
    assert width[-1] < 0.2 * width[0]
    assert [point["draws"] for point in curves["a"]] == [point["draws"] for point in curves["b"]]


def test_without_weight_or_states_there_is_nothing() -> None:
    assert population_curves(np.zeros(50), np.zeros(50, dtype=np.int64), ("a",)) is None
    assert population_curves(np.zeros(500), np.zeros(500, dtype=np.int64), ()) is None
    curves = population_curves(np.full(500, -np.inf), np.zeros(500, dtype=np.int64), ("a",))
    assert curves is not None
    assert curves["a"][-1]["value"] is None
