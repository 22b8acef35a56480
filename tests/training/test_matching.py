"""Training of continuous flows on a stand-in: it learns, resumes bit by bit, keeps to a limit, checks its draws."""

from typing import Any

import numpy as np
import pytest
import torch

from molgen.errors import InputError, InterruptedRunError, PartialError
from molgen.interruption import Interruption
from molgen.progress import ProgressEvent
from molgen.systems.definition import StateSection
from molgen.systems.loading import load_system
from molgen.training import keeper
from molgen.training.checkpoint import read_checkpoint
from molgen.training.matching import MatchingTraining, batch_size
from molgen.training.table import training_of
from molgen.training.task import TrainingTask
from tests.continuous import Normal, NormalSettings, pair_frames
from tests.training.conftest import Make


class StopAt(Interruption):
    """Asks to stop at the n-th look."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    @property
    def reason(self) -> str | None:
        self.looks -= 1
        return "a test said so" if self.looks <= 0 else None


def train(model: Normal, task: TrainingTask) -> Any:
    return training_of("stand-in").run(model, task)


def test_the_settings_are_the_common_ones_with_the_models_own(stand_in: str) -> None:
    settings = training_of(stand_in).settings_class().with_overrides(["steps=7", "flow.start=2.0"])
    assert (settings.steps, settings.flow) == (7, NormalSettings(start=2.0))
    assert (settings.batch, settings.rate, settings.average) == (None, 2e-3, 0.999)
    assert [batch_size(None, n) for n in (4, 13, 55)] == [256, 118, 64]
    assert batch_size(100, 4) == 100
    with pytest.raises(InputError, match="lose"):
        settings.with_overrides(["flow.lose=3.0"])


def test_it_learns_the_width_of_its_frames(make: Make) -> None:
    """The exact answer is the standard deviation of the frames in their 6 free directions; the loss's noise of 10 %
    averages out over 150 batches of 128 to below 1 %."""
    changes = {"steps": 150, "batch": 128, "rate": 0.05, "average": 0.9, "flow": {"start": 3.0}}
    model, task = make(changes=changes)
    record = train(model, task)
    frames = torch.as_tensor(np.asarray(task.frames.positions)[task.rows])
    exact = float(frames.square().sum((1, 2)).div(6).mean().sqrt())
    assert float(model.width.detach()) == pytest.approx(exact, rel=0.04)
    losses = [row["validation_loss"] for row in record.curve if row["stage"] == "learn"]
    assert losses[-1] < losses[0]
    (check,) = [row for row in record.curve if row["stage"] == "check"]
    assert 0.0 < check["ess"] <= 1.0
    # Every frame once, and the draws of the check.
    assert task.energy.counter.training == 300 + 120
    assert set(record.seconds) == {"learn", "check"}


def test_an_interrupted_training_gives_the_same_model(make: Make) -> None:
    whole, task = make("whole")
    record = train(whole, task)
    stages = []
    for looks in (3, 6, 5, 100):  # twice while learning, once in the check, never
        model, task = make("parts", interruption=StopAt(looks))
        try:
            resumed = train(model, task)
        except InterruptedRunError:
            checkpoint = read_checkpoint(task.directory)
            assert checkpoint is not None
            stages.append(checkpoint[1]["stage"])
    assert stages == ["learn", "learn", "check"]
    assert torch.equal(whole.log_width, model.log_width)
    assert resumed.curve == record.curve


def test_a_time_limit_shortens_learning_and_leaves_time_for_the_check(make: Make) -> None:
    events: list[ProgressEvent] = []
    interruption = Interruption(1.0)
    model, task = make(changes={"steps": 10**7}, limit_s=0.8, interruption=interruption, progress=events.append)
    record = train(model, task)
    assert 0.4 < record.seconds["learn"] < 5.0
    assert record.step < 10**7
    assert record.curve[-1]["stage"] == "check"
    assert {event.stage for event in events} == {"label", "learn", "check"}


def test_a_signal_stops_the_check_of_a_run_with_a_time_limit(make: Make) -> None:
    interruption = Interruption(1000.0)

    def progress(event: ProgressEvent) -> None:
        if event.stage == "check":
            interruption.request("a test said so")

    model, task = make(limit_s=900.0, interruption=interruption, progress=progress)
    with pytest.raises(InterruptedRunError, match="a test said so"):
        train(model, task)
    checkpoint = read_checkpoint(task.directory)
    assert checkpoint is not None
    assert checkpoint[1]["stage"] == "check"


def test_weighted_frames_count_by_their_weight(make: Make) -> None:
    """Frames twice as wide carry nearly all the weight; the width learned is theirs, not the mixture's."""
    frames = np.concatenate([pair_frames(300), 2.0 * pair_frames(300, seed=2)])
    weight = np.where(np.arange(600) < 300, -20.0, 0.0)
    changes = {"steps": 150, "batch": 128, "rate": 0.05, "average": 0.9}
    model, task = make(frames=frames, weight=weight, changes=changes)
    train(model, task)
    exact = float(np.sqrt(np.mean(np.sum(frames[300:] ** 2, axis=(1, 2)) / 6)))
    assert float(model.width.detach()) == pytest.approx(exact, rel=0.05)


def test_states_reach_the_record(make: Make) -> None:
    states = (StateSection(name="tight", where="rg < 3nm"), StateSection(name="wide", where="otherwise"))
    model, task = make(states=states)
    record = train(model, task)
    assert [state["name"] for state in record.states] == ["tight", "wide"]
    assert all(state["n_frames"] <= 300 for state in record.states)
    assert set(record.curve[-1]["guard"]) == {"tight", "wide"}
    # A model that learned next to nothing and a square of particles: the guard has something to say, in words.
    assert [note for note in record.notes if "state" in note] == [s["reason"] for s in record.states if s["reason"]]


def test_gradients_that_stay_not_finite_end_it_in_words(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "MAX_SKIPPED_STEPS", 3)
    monkeypatch.setattr(Normal, "loss", lambda self, x, *_: self.log_width * x.sum((1, 2)) * torch.nan)
    model, task = make()
    with pytest.raises(PartialError, match="no longer finite"):
        train(model, task)


def test_frames_without_a_finite_energy_are_refused(make: Make) -> None:
    frames = pair_frames(300)
    frames[7] = np.nan
    model, task = make(frames=frames)
    with pytest.raises(InputError, match="1 of 300 frames have no finite energy"):
        train(model, task)


def test_parameters_of_the_lowest_held_out_loss_are_kept(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held-out frames half as wide as the others: learning takes the model away from them."""
    frames = pair_frames(300)
    frames[::10] *= 0.25
    changes = {"steps": 60, "rate": 0.05, "average": 0.5, "check_every": 5, "flow": {"start": 0.4}}
    model, task = make(frames=frames, changes=changes)
    record = train(model, task)
    losses = {row["step"]: row["validation_loss"] for row in record.curve if row["stage"] == "learn"}
    best = min(losses, key=lambda step: losses[step])
    assert best < 60
    assert any(f"lowest after {best} of 60 steps" in note for note in record.notes)
    kept = model.log_width.detach().clone()
    shorter, task = make("shorter", frames=frames, changes={**changes, "steps": 60})
    monkeypatch.setattr("molgen.training.matching.WORSE", 1e9)
    train(shorter, task)
    assert not torch.equal(kept, shorter.log_width)


def test_the_plan_says_what_it_takes(stand_in: str) -> None:
    training = MatchingTraining(stand_in)
    settings = training.settings_class(steps=30, check_draws=40)
    plan = training.plan(settings, Normal(load_system("dw4"), NormalSettings()), 100)
    assert (plan["steps"], plan["evaluations_at_most"]) == (30, 140)
