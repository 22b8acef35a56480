"""ln Z from both sides: N(0, 1) as a model of exp(-(x - 1)²/2), whose ln Z is ½ ln 2π."""

import math

import numpy as np
import pytest

from molgen.reweighting.bidirectional import both_directions

LOG_Z = 0.5 * math.log(2.0 * math.pi)


def _log_weight(x: np.ndarray, centre: float = 1.0) -> np.ndarray:
    return -0.5 * (x - centre) ** 2 + 0.5 * x**2 + LOG_Z


def test_draws_and_frames_find_the_same_evidence() -> None:
    generator = np.random.default_rng(4)
    # A wide model of a narrow target and the other way round would leave one side without a variance.
    found = both_directions(
        _log_weight(generator.normal(0, 1, 4000), 0.5), _log_weight(generator.normal(0.5, 1, 3000), 0.5)
    )
    for value, error in (
        (found.forward.log_z, found.forward.error),
        (found.backward.log_z, found.backward.error),
        (found.combined, found.combined_error),
    ):
        assert value == pytest.approx(LOG_Z, abs=5 * error)
        assert error < 0.03
    assert found.combined_error < min(found.forward.error, found.backward.error)
    assert found.agrees
    assert "both directions agree" in found.sentence("md")


def test_a_window_much_narrower_than_the_model_is_no_contradiction() -> None:
    generator = np.random.default_rng(4)
    width = 0.2

    def log_weight(x: np.ndarray) -> np.ndarray:
        return -0.5 * (x / width) ** 2 + 0.5 * x**2 + LOG_Z

    draws, frames = log_weight(generator.normal(0, 1, 4000)), log_weight(generator.normal(0, width, 3000))
    found = both_directions(draws, frames)
    exact = LOG_Z + math.log(width)
    assert found.combined == pytest.approx(exact, abs=5 * found.combined_error)
    assert found.forward.log_z == pytest.approx(exact, abs=5 * found.forward.error)
    assert found.backward.log_z > exact + 0.5
    assert not found.backward.believed
    assert found.agrees is None
    assert "of the frames are too uneven" in found.sentence("window")
    assert "see a window only" in both_directions(draws, frames, window=True).sentence("window")


def test_the_combined_value_and_its_error_are_those_of_pymbar() -> None:
    from pymbar.other_estimators import bar

    generator = np.random.default_rng(6)
    draws, frames = _log_weight(generator.normal(0, 1, 700)), _log_weight(generator.normal(1, 1, 300))
    found, known = both_directions(draws, frames), bar(-draws, frames)
    assert found.combined == pytest.approx(-known["Delta_f"], abs=1e-5)
    assert found.combined_error == pytest.approx(known["dDelta_f"], rel=1e-3)


def test_frames_of_another_distribution_and_lost_draws_disagree() -> None:
    generator = np.random.default_rng(5)
    draws = _log_weight(generator.normal(0, 1, 4000), 0.5)
    wrong = both_directions(draws, _log_weight(generator.normal(-0.7, 1, 3000), 0.5))
    assert wrong.agrees is False
    assert wrong.disagreement_kt < 0
    assert "the frames miss a part" in wrong.sentence("md")
    # Draws that never reach what the frames show: 1/w is 0 on most frames.
    x = generator.normal(0, 1, 3000)
    lost = both_directions(np.zeros(1000), np.where(x > -1.0, np.inf, 0.0))
    assert lost.disagreement_kt > 1.0
    assert lost.agrees is False
    assert "the draws miss a part" in lost.sentence("md")


def test_nothing_in_common_gives_no_number() -> None:
    found = both_directions(np.full(100, -np.inf), np.full(100, np.inf))
    assert math.isnan(found.combined)
    assert found.agrees is None
