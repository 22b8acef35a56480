"""Known answers of the weight mathematics."""

import math

import numpy as np
import pytest

from molgen import weights


def test_kish_counts_non_finite_rows_as_zero_weight() -> None:
    log_weight = np.array([0.0, 0.0, np.nan, -np.inf, np.inf])
    assert weights.kish_ess(log_weight) == pytest.approx(2 / 5)
    assert weights.effective_count(log_weight) == pytest.approx(2.0)
    assert weights.normalised(log_weight) == pytest.approx([0.5, 0.5, 0.0, 0.0, 0.0])


def test_no_weight_at_all() -> None:
    nothing = np.full(4, np.nan)
    assert weights.kish_ess(nothing) == 0.0
    assert weights.largest_share(nothing) == 1.0
    assert weights.log_mean_exp(nothing) == -math.inf
    assert not np.any(weights.normalised(nothing))
    assert weights.kish_ess(np.array([])) == 0.0


def test_kish_is_invariant_to_the_zero_of_energy() -> None:
    log_weight = np.random.default_rng(1).normal(size=1000)
    assert weights.kish_ess(log_weight + 900.0) == pytest.approx(weights.kish_ess(log_weight), rel=1e-10)
    assert weights.log_mean_exp(log_weight + 900.0) == pytest.approx(900.0 + weights.log_mean_exp(log_weight))


def test_two_level_weights_have_the_exact_figures() -> None:
    log_weight = np.log(np.array([10.0, 9.0] + [1.0] * 9998))
    expected = (19 + 9998) ** 2 / (100 + 81 + 9998) / 10_000
    assert weights.kish_ess(log_weight) == pytest.approx(expected)
    assert weights.largest_share(log_weight) == pytest.approx(10 / 10017)
    assert weights.winsorised_ess(log_weight, 2e-4) == pytest.approx((18 + 9998) ** 2 / (162 + 9998) / 10_000)
    assert weights.trimmed_ess(log_weight) == pytest.approx(1.0)


def test_evidences_agree_when_the_model_is_right_within_the_state() -> None:
    """p = 0.5 in each half of [0, 2], q = 0.8 and 0.2: w = 0.625 and 2.5 exactly, no noise but the counts'."""
    labels = np.array([0] * 800 + [1] * 200)
    log_weight = np.where(labels == 0, math.log(0.625), math.log(2.5))
    frames = np.full(50, math.log(2.5))
    assert weights.state_evidence(log_weight, labels, 1) == pytest.approx(math.log(0.5))
    assert weights.reverse_state_evidence(0.2, frames) == pytest.approx(math.log(0.5))
    assert weights.reverse_state_evidence(0.0, frames) == -math.inf
    assert math.isnan(weights.reverse_state_evidence(0.2, frames[:0]))


def test_guard_passes_a_good_model_and_names_each_fault() -> None:
    labels = np.array([0] * 800 + [1] * 200)
    log_weight = np.where(labels == 0, math.log(0.625), math.log(2.5))
    frame_labels = np.array([0] * 50 + [1] * 50)
    frame_log_weight = np.where(frame_labels == 0, math.log(0.625), math.log(2.5))
    good = weights.guard_states(("a", "b"), log_weight, labels, frame_log_weight, frame_labels)
    assert [guard.passed for guard in good] == [True, True]
    assert good[1].weighted_share == pytest.approx(0.5)

    partly = np.where(frame_labels == 0, math.log(0.625), math.log(5.0))
    disagreeing = weights.guard_states(("a", "b"), log_weight, labels, partly, frame_labels)
    assert not disagreeing[1].passed
    assert "0.69 kT more evidence than the draws" in disagreeing[1].reason
    fitted = np.where(frame_labels == 0, math.log(0.625), math.log(0.5))
    assert weights.guard_states(("a", "b"), log_weight, labels, fitted, frame_labels)[1].passed

    lost = weights.guard_states(("a", "b"), log_weight[:800], labels[:800], frame_log_weight, frame_labels)
    assert lost[0].passed
    assert not lost[1].passed
    assert "draws nothing" in lost[1].reason
    assert lost[1].to_json()["disagreement_kt"] is None

    thin_labels = np.array([0] * 950 + [1] * 50)
    thin = np.where(thin_labels == 0, math.log(0.5 / 0.95), math.log(10.0))
    thin_frames = np.where(frame_labels == 0, math.log(0.5 / 0.95), math.log(10.0))
    starved = weights.guard_states(("a", "b"), thin, thin_labels, thin_frames, frame_labels)
    assert not starved[1].passed
    assert "share of 0.05" in starved[1].reason


def test_states_without_frames_are_not_guarded() -> None:
    labels = np.array([0, 1])
    guards = weights.guard_states(("a", "b"), np.zeros(2), labels, np.zeros(1), np.zeros(1, dtype=np.int64))
    assert [guard.name for guard in guards] == ["a"]


def noisy_state(rng: np.random.Generator, spread: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log w of 200 draws and of 20 lineages of 40 frames of one state, for an exactly normalised model.

    ln w is normal with standard deviation ``spread`` under q and shifted by its variance under p; half of the frames'
    variance is shared within a lineage.
    """
    draws = rng.normal(-0.5 * spread**2, spread, 200)
    lineage = np.repeat(np.arange(20), 40)
    shared = rng.normal(0.0, spread * math.sqrt(0.5), 20)[lineage]
    frames = 0.5 * spread**2 + shared + rng.normal(0.0, spread * math.sqrt(0.5), 800)
    return draws, frames, lineage


def test_the_error_of_the_evidences_is_the_scatter_of_their_difference() -> None:
    rng = np.random.default_rng(3)
    inside = np.zeros(200, dtype=np.int64)
    differences, errors = [], []
    for _ in range(300):
        draws, frames, lineage = noisy_state(rng, 0.7)
        forward = weights.state_evidence(draws, inside, 0)
        differences.append(forward - weights.reverse_state_evidence(1.0, frames))
        errors.append(weights.evidence_error(draws, inside, 0, frames, lineage))
    # The scatter of 300 is known to 4 %; the mean error of few, heavy-tailed samples is somewhat low.
    assert np.mean(errors) == pytest.approx(np.std(differences), rel=0.2)


def test_noise_is_no_lost_state_and_a_lost_half_is_one() -> None:
    """200 states whose draws are worth a tenth: a threshold alone would call some lost; the real loss is still seen."""
    rng = np.random.default_rng(4)
    inside = np.zeros(200, dtype=np.int64)
    alarms = bare = caught = 0
    for _ in range(200):
        draws, frames, lineage = noisy_state(rng, 1.5)
        (guard,) = weights.guard_states(("s",), draws, inside, frames, np.zeros(800, dtype=np.int64), lineage)
        alarms += not guard.passed
        bare += guard.disagreement_kt > weights.MAX_DISAGREEMENT_KT
        lost = np.where(lineage < 16, 60.0, frames)  # four fifths of the frames lie where the model has no density
        (guard,) = weights.guard_states(("s",), draws - 1.6, inside, lost, np.zeros(800, dtype=np.int64), lineage)
        caught += not guard.passed
    assert alarms <= 4
    assert bare >= 20
    assert caught >= 190


def test_frames_of_few_lineages_excuse_nothing() -> None:
    rng = np.random.default_rng(5)
    draws, frames, _ = noisy_state(rng, 1.0)
    inside = np.zeros(200, dtype=np.int64)
    few = weights.evidence_error(draws, inside, 0, frames, np.repeat(np.arange(4), 200))
    many = weights.evidence_error(draws, inside, 0, frames, np.repeat(np.arange(20), 40))
    assert few < many
    assert weights.evidence_error(draws, inside, 1, frames, np.arange(800)) == 0.0
