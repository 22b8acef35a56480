"""The loop as a whole: it learns, resumes bit by bit, keeps to a time limit, and reverts what the guard refuses."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from molgen.errors import InterruptedRunError, PartialError
from molgen.interruption import Interruption
from molgen.progress import ProgressEvent
from molgen.training import keeper
from molgen.training.checkpoint import read_checkpoint
from molgen.training.guard import GuardReport
from molgen.training.settings import LearnSettings, RefineSettings, RefineWeights, TrainingSettings

TINY = TrainingSettings(
    learn=LearnSettings(steps=12, batch=64),
    refine=RefineSettings(rounds=4, draws=256, steps=2, batch=64, guard_every=2, keep=2),
    guard_draws=512,
    check_every=5,
)


def parameters(bench: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in bench.flow.state_dict().items()}


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


class StopAt(Interruption):
    """Asks to stop at the n-th look."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    @property
    def reason(self) -> str | None:
        self.looks -= 1
        return "a test said so" if self.looks <= 0 else None


EVERYTHING = RefineWeights(reverse=0.5, log_variance=0.2)


@pytest.mark.parametrize(("name", "weights"), [("double-well", EVERYTHING), ("muller-brown", RefineWeights())])
def test_an_interrupted_training_gives_the_same_model(
    make_bench: Callable[..., Any], tmp_path: Path, name: str, weights: RefineWeights
) -> None:
    settings = TINY.model_copy(update={"refine": TINY.refine.model_copy(update={"weights": weights})})
    whole = make_bench(name)
    record = whole.trainer(tmp_path / "whole", settings).run()
    stages = set()
    directory = tmp_path / "parts"
    directory.mkdir()
    for looks in (3, 7, 3, 100):  # before the first check, while learning, after the first round, never
        bench = make_bench(name)
        try:
            resumed = bench.trainer(directory, settings, interruption=StopAt(looks)).run()
        except InterruptedRunError:
            checkpoint = read_checkpoint(directory)
            assert checkpoint is not None
            stages.add(checkpoint[1]["stage"])
    assert stages == {"learn", "refine"}
    assert same(parameters(whole), parameters(bench))
    assert resumed.curve == record.curve
    assert resumed.states == record.states
    assert resumed.choice == record.choice


def test_training_makes_the_model_better_and_counts_its_energies(
    make_bench: Callable[..., Any], tmp_path: Path
) -> None:
    settings = TINY.model_copy(
        update={
            "learn": LearnSettings(steps=150, batch=128, rate=1e-2, average=0.9),
            "refine": RefineSettings(rounds=10, draws=256, steps=4, batch=128, rate=3e-3, guard_every=5, average=0.9),
            "check_every": 50,
        }
    )
    bench = make_bench()
    before = bench.guard.check(bench.flow, 2048, seed=1).ess
    counted = bench.energy.counter.training
    record = bench.trainer(tmp_path, settings).run()
    # One check before the rounds and two among them, 512 draws each, beside the rounds' own.
    assert bench.energy.counter.training - counted == 10 * 256 + 3 * 512
    after = bench.guard.check(bench.flow, 2048, seed=1).ess
    assert before < 0.75
    assert after > before + 0.1
    likelihoods = [row["validation_nll"] for row in record.curve if row["stage"] == "learn"]
    assert likelihoods[-1] < likelihoods[0] or record.stale
    assert all(state["passed"] for state in record.states)


@pytest.mark.parametrize("first_passes", [True, False])
def test_a_state_that_gets_lost_reverts_the_energy_training_if_a_check_had_passed(
    make_bench: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_passes: bool
) -> None:
    learned_only = make_bench()
    none = TINY.model_copy(update={"refine": RefineSettings(rounds=0)})
    learned_only.trainer(tmp_path / "none", none).run()
    bench = make_bench()
    trainer = bench.trainer(tmp_path / "lost", TINY)
    real = type(bench.guard).check
    reports: list[GuardReport] = []

    def check(self: Any, flow: Any, draws: int, seed: int) -> GuardReport:
        judged = make_bench(keep=lambda x: x[:, 0, 0] < 0).flow if len(reports) == 1 else flow
        report = real(self, judged, draws, seed)
        if not reports and first_passes:
            report = replace(report, states=tuple(replace(s, passed=True, reason="") for s in report.states))
        reports.append(report)
        return reports[-1]

    monkeypatch.setattr(type(bench.guard), "check", check)
    record = trainer.run()
    assert len(reports) == 3  # before the rounds, after two of them, and of what was reverted to or came last
    assert not reports[1].passed
    assert any("reverted" in note and "right" in note for note in record.notes) == first_passes
    if not first_passes:
        assert not reports[0].passed
        assert not same(parameters(bench), parameters(learned_only))
        return
    assert same(parameters(bench), parameters(learned_only))
    assert record.states == [state.to_json() for state in reports[2].states]


def test_learning_stops_when_held_out_frames_gain_no_more(make_bench: Callable[..., Any], tmp_path: Path) -> None:
    learn = LearnSettings(steps=1000, batch=16, rate=1e-9, patience=2)
    settings = TINY.model_copy(update={"learn": learn, "refine": RefineSettings(rounds=0)})
    record = make_bench(n=100).trainer(tmp_path, settings).run()
    assert any("held-out frames gained no more" in note for note in record.notes)
    steps = [row["step"] for row in record.curve if row["stage"] == "learn"]
    assert steps[-1] == 15  # the first check sets the mark, the next two find nothing


def test_a_time_limit_shortens_both_stages(make_bench: Callable[..., Any], tmp_path: Path) -> None:
    long = TrainingSettings(
        learn=LearnSettings(steps=10**6, batch=16, patience=10**6),
        refine=RefineSettings(rounds=10**6, draws=64, steps=1, batch=16),
        guard_draws=256,
    )
    events: list[ProgressEvent] = []
    record = make_bench(n=100).trainer(tmp_path, long, limit_s=1.0, progress=events.append).run()
    assert 0.4 < record.seconds["learn"] < 5.0
    assert record.stage == "refine"
    assert record.step > 0
    assert {event.stage for event in events} <= {"learn", "refine"}


def test_gradients_that_stay_not_finite_end_it_in_words(
    make_bench: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench(n=100)
    monkeypatch.setattr(keeper, "MAX_SKIPPED_STEPS", 3)
    bench.labelled.r[:] = float("nan")
    with pytest.raises(PartialError, match="no longer finite"):
        bench.trainer(tmp_path, TINY).run()


REVERSE_ALONE = TrainingSettings(
    learn=LearnSettings(steps=1, batch=64),
    refine=RefineSettings(
        weights=RefineWeights(frames=0, forward=0, likelihood=0, reverse=1.0),
        rounds=60,
        draws=256,
        pieces=1,
        steps=8,
        batch=256,
        keep=1,
        rate=1e-2,
        guard_every=5,
        average=0.5,
    ),
    guard_draws=512,
)


def test_the_reverse_divergence_alone_loses_a_well_and_is_caught(
    make_bench: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A normal distribution over both wells has its least KL(q || p) in one of them."""
    bench = make_bench(spline=0)
    record = bench.trainer(tmp_path / "guarded", REVERSE_ALONE).run()
    assert record.off == ["reverse"]
    assert record.step < 60  # nothing was left to learn from
    assert any("reverse was switched off" in note and "right" in note for note in record.notes)
    assert all(state["passed"] for state in record.states)
    free = make_bench(spline=0)
    real = type(free.guard).check

    def blind(self: Any, *given: Any) -> GuardReport:
        report = real(self, *given)
        return replace(report, states=tuple(replace(s, passed=True) for s in report.states))

    monkeypatch.setattr(type(free.guard), "check", blind)
    unguarded = free.trainer(tmp_path / "free", REVERSE_ALONE).run()
    (right,) = (state for state in unguarded.states if state["name"] == "right")
    assert right["model_share"] < 0.05


def test_objectives_are_switched_off_one_by_one_and_the_rest_goes_on(
    make_bench: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refine = TINY.refine.model_copy(update={"weights": EVERYTHING, "rounds": 6, "guard_every": 1})
    bench = make_bench()
    trainer = bench.trainer(tmp_path, TINY.model_copy(update={"refine": refine}))
    real = type(bench.guard).check
    reports: list[GuardReport] = []

    def check(self: Any, *given: Any) -> GuardReport:
        report = real(self, *given)
        lost = len(reports) in (2, 3)
        states = tuple(replace(s, passed=not lost, reason="Lost." if lost else "") for s in report.states)
        reports.append(replace(report, states=states))
        return reports[-1]

    monkeypatch.setattr(type(bench.guard), "check", check)
    record = trainer.run()
    assert record.off == ["reverse", "log_variance"]
    assert record.step == 6
    assert [note.split(":")[0] for note in record.notes] == ["Round 2", "Round 3"]
    assert f"round {record.kept['round']} of 6" in record.choice


def test_a_model_that_got_worse_is_not_kept(
    make_bench: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make_bench()
    real = type(bench.guard).check
    seen: list[dict[str, torch.Tensor]] = []
    found = iter([0.5, 0.8, 0.71, 0.71])  # before, after two rounds, after four, of what is kept

    def check(self: Any, *given: Any) -> GuardReport:
        seen.append(parameters(bench))
        report = real(self, *given)
        states = tuple(replace(s, passed=True, reason="") for s in report.states)
        return replace(report, states=states, ess_trimmed=next(found))

    monkeypatch.setattr(type(bench.guard), "check", check)
    record = bench.trainer(tmp_path, TINY).run()
    assert same(parameters(bench), seen[1])
    assert not same(seen[1], seen[2])
    assert record.kept["round"] == 2
    assert "after round 2 of 4" in record.choice
    assert "worth 80% (50% before energy training)" in record.choice
