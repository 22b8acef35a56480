"""The check keeps to its time: fewer draws, and fewer frames where carrying them back is dear."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from molgen.models.base import Draws
from molgen.systems.definition import StateSection
from molgen.training.table import training_of
from tests.continuous import Normal
from tests.training.conftest import Make

HALVES = (StateSection(name="tight", where="rg < 2.5nm"), StateSection(name="loose", where="otherwise"))


def test_frames_are_left_out_when_carrying_them_back_is_dear(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    plain = Normal.log_prob

    def dear(self: Normal, positions: torch.Tensor) -> torch.Tensor:
        asked.append(len(positions))
        time.sleep(0.02 * len(positions))
        return plain(self, positions)

    changes = {"steps": 5, "check_draws": 60}
    model, task = make(changes=changes, states=HALVES, limit_s=1.5)
    monkeypatch.setattr(Normal, "log_prob", dear)
    monkeypatch.setattr(Normal, "sample", _without_density(Normal.sample, plain))
    record = training_of("stand-in").run(model, task)
    assert asked[0] == 2  # timed
    assert 20 <= sum(asked[1:]) < 76  # at most 1.5 s of them, and not none
    assert {state["name"] for state in record.states} == {"tight", "loose"}


def test_with_time_for_few_frames_the_states_are_not_judged(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Normal.log_prob

    def dear(self: Normal, positions: torch.Tensor) -> torch.Tensor:
        time.sleep(0.2 * len(positions))
        return plain(self, positions)

    model, task = make(changes={"steps": 5, "check_draws": 60}, states=HALVES, limit_s=1.0)
    monkeypatch.setattr(Normal, "log_prob", dear)
    monkeypatch.setattr(Normal, "sample", _without_density(Normal.sample, plain))
    record = training_of("stand-in").run(model, task)
    assert any("no time to judge the states" in note for note in record.notes)


def test_without_time_for_the_fewest_draws_there_is_no_check(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    plain = Normal.sample

    def dear(self: Normal, n: int, generator: torch.Generator) -> Draws:
        drawn.append(n)
        time.sleep(0.05 * n)
        return plain(self, n, generator)

    model, task = make(changes={"steps": 5, "check_draws": 60}, states=HALVES, limit_s=1.0)
    monkeypatch.setattr(Normal, "sample", dear)
    started = time.monotonic()
    record = training_of("stand-in").run(model, task)
    assert time.monotonic() - started < 0.05 * 50
    assert drawn == [4]  # timed, and no more
    assert any("no time to check the model by fresh draws" in note for note in record.notes)
    assert record.states == []
    assert not any("ess" in row for row in record.curve)


def test_frames_of_another_temperature_or_under_a_bias_judge_no_state(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, task = make(changes={"steps": 5, "check_draws": 60}, states=HALVES)
    n = len(task.frames)
    bias_of = np.where(np.arange(n) % 3 == 0, 0, -1)
    temperature = np.where(np.arange(n) % 3 == 1, 2.0, 1.0) * task.frames.temperature_k
    frames = replace(task.frames, biases=("b",), bias_of=bias_of, temperature_k=temperature)
    judged: list[float] = []
    plain = Normal.log_prob

    def noted(self: Normal, positions: torch.Tensor) -> torch.Tensor:
        judged.extend(positions[:, 0, 0].tolist())
        return plain(self, positions)

    monkeypatch.setattr(Normal, "log_prob", noted)
    monkeypatch.setattr(Normal, "sample", _without_density(Normal.sample, plain))
    training_of("stand-in").run(model, replace(task, frames=frames))
    usable = task.frames.positions[np.arange(n) % 3 == 2, 0, 0].astype(np.float64)
    assert len(judged) > 10
    assert set(judged) <= set(usable.tolist())


def _without_density(sample, log_prob):  # type: ignore[no-untyped-def]
    """Draws whose own density is not dear."""

    def quick(self, n, generator):  # type: ignore[no-untyped-def]
        dear, type(self).log_prob = type(self).log_prob, log_prob
        try:
            return sample(self, n, generator)
        finally:
            type(self).log_prob = dear

    return quick
