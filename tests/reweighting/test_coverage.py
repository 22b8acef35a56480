"""States and regions that hold frames and no draws."""

import numpy as np

from molgen.reweighting.coverage import Coverage, CVGrid, from_training, merge, missing_states, unreached_regions


def test_a_state_without_weight_is_missing_and_one_with_far_too_little_too() -> None:
    labels = np.array([0] * 999 + [1])
    frame_labels = np.array([0] * 500 + [1] * 500)
    equal = np.ones(1000)
    log_weight = np.zeros(1000)
    assert missing_states("ab", log_weight, labels, frame_labels, equal) != ()
    assert missing_states("ab", log_weight, labels, frame_labels, equal, equilibrium=False) == ()
    log_weight[-1] = np.nan
    (phrase,) = missing_states("ab", log_weight, labels, frame_labels, equal, equilibrium=False)
    assert "state b" in phrase
    assert missing_states("ab", log_weight, labels, labels, equal) == ()


def test_the_weights_of_the_reference_count() -> None:
    labels = np.array([0] * 900 + [1] * 100)
    frame_labels = np.array([0] * 10 + [1] * 990)
    weight = np.where(frame_labels == 0, 89.1, 0.1)
    assert missing_states("ab", np.zeros(1000), labels, frame_labels, weight) == ()


def test_regions_are_found_in_one_and_in_two_variables() -> None:
    generator = np.random.default_rng(1)
    near, far = generator.normal(-10, 1, 5000), generator.normal(10, 1, 5000)
    frames = np.concatenate([near[:2500], far[:2500]])
    found = unreached_regions([CVGrid("x", near, frames, False)], np.zeros(5000), np.ones(5000))
    assert len(found) == 1
    assert "x" in found[0]

    sign = np.where(np.arange(5000) % 2, 1.0, -1.0)
    jitter = 0.1 * generator.normal(size=(4, 5000))
    diagonal = [
        CVGrid("phi", sign + jitter[0], sign + jitter[1], True),
        CVGrid("psi", sign + jitter[2], -sign + jitter[3], True),
    ]
    found = unreached_regions(diagonal, np.zeros(5000), np.ones(5000))
    assert len(found) == 1
    assert "(phi, psi)" in found[0]


def test_perfect_draws_are_never_called_incomplete() -> None:
    """100 pairs of samples of one wide density, as few as 200 draws: a false alarm is a four-sigma event."""
    generator = np.random.default_rng(5)
    for n in (200, 5000):
        for _ in range(50):
            draws, frames = generator.standard_t(4, size=(2, n)), generator.standard_t(4, size=(2, 3000))
            grids = [CVGrid("a", draws[0], frames[0], False), CVGrid("b", draws[1], frames[1], False)]
            assert unreached_regions(grids, np.zeros(n), np.ones(3000)) == ()


def test_the_guard_of_training_reaches_the_verdict() -> None:
    good = {"name": "a", "passed": True, "reason": ""}
    bad = {"name": "b", "passed": False, "reason": "The model draws nothing there."}
    assert from_training({"states": [good]}) == Coverage(True, "training frames", ())
    assert "state b" in from_training({"states": {"guard": [good, bad]}}).missing[0]
    assert not from_training({}).tested
    both = merge(Coverage(True, "reference", ("x",)), from_training({"states": [bad]}))
    assert both.by == "reference and training frames"
    assert len(both.missing) == 2
    assert merge(Coverage(False), from_training({"states": [good]})).by == "training frames"


def test_a_state_that_another_model_keeps_is_not_lost() -> None:
    def guard(name: str, passed: bool) -> dict[str, object]:
        return {"name": name, "passed": passed, "reason": "It was lost."}

    first, second = {"states": [guard("a", False), guard("b", True)]}, {"states": [guard("a", True)]}
    assert from_training(first).missing == ("state a (It was lost.)",)
    assert from_training(first, second) == Coverage(True, "training frames", ())
    assert from_training(first, first).missing == ("state a (It was lost.)",)
    assert from_training(first, {}).missing == ("state a (It was lost.)",)
    assert not from_training({}, {}).tested
