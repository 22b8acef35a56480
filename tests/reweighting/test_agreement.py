import numpy as np
import pytest

from molgen.reweighting.agreement import FALSE_ALARM, compare_models

STATES = ("left", "right")


def model(p: float, n: int, seed: int, spread: float = 0.7) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return spread * generator.normal(size=n), (generator.random(n) < p).astype(np.int64)


@pytest.mark.parametrize(("p", "n"), [(0.3, 2000), (0.01, 1500)])
def test_models_that_say_the_same_are_rarely_called_different(p: float, n: int) -> None:
    """1 % of 300 trials is 3; 12 would come by chance once in ten thousand times."""
    alarms = 0
    for seed in range(300):
        (w, a), (v, b) = model(p, n, 2 * seed), model(p, n, 2 * seed + 1)
        alarms += any(not item.agrees for item in compare_models(("m1", "m2"), (w, v), (a, b), STATES))
    assert FALSE_ALARM == 0.01
    assert alarms < 12


def test_a_mode_that_one_of_them_has_lost_is_named() -> None:
    (w, a), (v, b) = model(0.05, 2000, 1), model(0.0, 2000, 2)
    found = {item.state: item for item in compare_models(("m1", "m2"), (w, v), (a, b), STATES)}
    assert not found["right"].agrees
    assert "m1 gives right" in found["right"].sentence
    assert found["right"].to_json()["agrees"] is False


def test_few_draws_do_not_tell_an_empty_state_from_a_rare_one() -> None:
    (w, a), (v, b) = model(0.01, 300, 3), model(0.0, 300, 4)
    assert all(item.agrees for item in compare_models(("m1", "m2"), (w, v), (a, b), STATES))
    assert all(item.agrees for item in compare_models(("m1", "m2"), (w, v - np.inf), (a, b), STATES))


def test_one_model_is_compared_with_nothing() -> None:
    w, a = model(0.3, 100, 5)
    assert compare_models(("m1",), (w,), (a,), STATES) == []
