import pytest

from molgen.training.schedule import FINAL_RATE, FIRST, RISE, WARMUP_ROUNDS, Schedule
from molgen.training.settings import RefineSettings, RefineWeights

ALL = RefineSettings(weights=RefineWeights(reverse=0.5, log_variance=0.2))


def test_by_default_only_the_forward_divergence_counts() -> None:
    schedule = Schedule(RefineSettings())
    assert schedule.on_frames(0.5) == {"forward": 1.0}
    assert schedule.on_draws(0.5) == {"forward": 1.0, "likelihood": 0.3}
    assert schedule.mode_seeking == ()
    assert not schedule.empty


def test_mode_seeking_objectives_rise_and_go_one_by_one() -> None:
    schedule = Schedule(ALL)
    assert schedule.on_draws(0.0)["reverse"] == pytest.approx(FIRST * 0.5)
    assert schedule.on_draws(RISE)["reverse"] == schedule.on_draws(1.0)["reverse"] == 0.5
    assert schedule.on_frames(1.0) == {"forward": 1.0, "log_variance": 0.2}
    assert schedule.mode_seeking == ("reverse", "log_variance")
    second = Schedule(ALL, ["reverse"])
    assert second.mode_seeking == ("log_variance",)
    assert "reverse" not in second.on_draws(1.0)
    assert Schedule(ALL, ["reverse", "log_variance"]).on_draws(1.0) == Schedule(RefineSettings()).on_draws(1.0)


def test_without_the_only_objective_nothing_is_left() -> None:
    alone = RefineSettings(weights=RefineWeights(frames=0, forward=0, likelihood=0, reverse=1.0))
    assert not Schedule(alone).empty
    assert Schedule(alone, ["reverse"]).empty


def test_the_rate_rises_and_falls() -> None:
    schedule = Schedule(RefineSettings())
    assert schedule.rate(0, 0.0) == 1.0 / WARMUP_ROUNDS
    assert schedule.rate(WARMUP_ROUNDS, 0.0) == 1.0
    assert schedule.rate(100, 1.0) == pytest.approx(FINAL_RATE)
