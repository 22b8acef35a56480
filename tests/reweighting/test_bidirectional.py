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
    found = both_directions(_log_weight(generator.normal(0, 1, 4000)), _log_weight(generator.normal(1, 1, 3000)))
    for value, error in (
        (found.forward, found.forward_error),
        (found.backward, found.backward_error),
        (found.combined, found.combined_error),
    ):
        assert value == pytest.approx(LOG_Z, abs=5 * error)
        assert error < 0.06
    assert found.combined_error < min(found.forward_error, found.backward_error)
    assert found.agrees


def test_the_combined_value_and_its_error_are_those_of_pymbar() -> None:
    from pymbar.other_estimators import bar

    generator = np.random.default_rng(6)
    draws, frames = _log_weight(generator.normal(0, 1, 700)), _log_weight(generator.normal(1, 1, 300))
    found, known = both_directions(draws, frames), bar(-draws, frames)
    assert found.combined == pytest.approx(-known["Delta_f"], abs=1e-5)
    assert found.combined_error == pytest.approx(known["dDelta_f"], rel=1e-3)


def test_frames_of_another_distribution_and_lost_draws_disagree() -> None:
    generator = np.random.default_rng(5)
    wrong = both_directions(_log_weight(generator.normal(0, 1, 4000)), _log_weight(generator.normal(-1, 1, 3000)))
    assert not wrong.agrees
    assert wrong.disagreement_kt < 0
    # Draws that never reach what the frames show: 1/w is 0 on most frames.
    x = generator.normal(0, 1, 3000)
    lost = both_directions(np.zeros(1000), np.where(x > -1.0, np.inf, 0.0))
    assert lost.disagreement_kt > 1.0
    assert not lost.agrees


def test_nothing_in_common_gives_no_number() -> None:
    found = both_directions(np.full(100, -np.inf), np.full(100, np.inf))
    assert math.isnan(found.combined)
    assert not found.agrees
    assert found.to_json()["agrees"] is False
