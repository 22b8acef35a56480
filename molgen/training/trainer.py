"""The spline flow's loop: learn from frames, refine with fresh draws under the guard; checkpoints to resume from."""

from pathlib import Path

import numpy as np
import torch

from molgen.arrays import IntArray
from molgen.interruption import Interruption
from molgen.models.spline_flow import SplineFlow
from molgen.progress import Progress, ProgressEvent
from molgen.seeds import child_seed
from molgen.training.balance import FrameChoice
from molgen.training.checkpoint import read_checkpoint
from molgen.training.fresh import FreshDraws
from molgen.training.guard import Guard, GuardReport
from molgen.training.keeper import Keeper
from molgen.training.labelled import LabelledFrames
from molgen.training.objectives import negative_log_likelihood, total_loss
from molgen.training.optimisation import Optimisation
from molgen.training.pace import Pace
from molgen.training.record import TrainingRecord
from molgen.training.schedule import Schedule
from molgen.training.settings import TrainingSettings

LEARN_SHARE = 0.5
"""Share of a time limit that the first stage may use."""
MAX_LOSS = 0.1
"""A check whose trimmed effective sample size is lower than the best so far by more than this share is not kept."""
IMPROVEMENT = 0.01
"""A validation figure (kT a frame) must fall by this much to count as better."""


class Trainer:
    """Trains ``flow`` in place; ``frames`` and ``validation`` are labelled frames, ``guard`` knows the states;
    ``states`` (n,) are those of ``frames``.

    The result depends on settings, frames and seed alone unless ``limit_s`` ends a stage. :meth:`run` takes up a
    checkpoint in ``directory`` if there is one.
    """

    def __init__(
        self,
        flow: SplineFlow,
        frames: LabelledFrames,
        validation: LabelledFrames,
        guard: Guard[SplineFlow],
        settings: TrainingSettings,
        *,
        seed: int,
        states: IntArray | None = None,
        directory: Path,
        limit_s: float | None,
        progress: Progress,
        interruption: Interruption,
    ) -> None:
        self.flow, self.frames, self.validation, self.guard = flow, frames, validation, guard
        self.settings, self.seed, self.directory = settings, seed, directory
        self.limit_s, self.progress = limit_s, progress
        self.record = TrainingRecord()
        none = np.full(len(frames), -1)
        self._choice = FrameChoice(none if states is None else states, settings.balance)
        self._fresh = FreshDraws(flow, guard.energy, settings.refine)
        self._safe: list[torch.Tensor] = []
        self._keeper = Keeper(
            directory,
            interruption,
            limit_s=limit_s,
            spent=lambda: guard.energy.counter.training,
            remedy="Check the frames with molgen check, or lower --set learn.rate.",
        )

    def run(self) -> TrainingRecord:
        """Both stages; the flow ends with its averaged parameters, the best that the guard let pass.

        ``InterruptedRunError`` at a signal (a checkpoint is written first), ``PartialError`` if gradients stay
        non-finite.
        """
        checkpoint = read_checkpoint(self.directory)
        if checkpoint is not None:
            self.record = TrainingRecord(**checkpoint[1])
            self.guard.energy.counter.add("training", self.record.evaluations)
        if self.record.stage == "learn":
            self._learn(checkpoint[0] if checkpoint else None)
            checkpoint = None
            self.record.stage, self.record.step = "refine", 0
        if self.record.stage == "refine":
            self._refine(checkpoint[0] if checkpoint else None)
        return self.record

    # --- first stage -----------------------------------------------------------------------------------------------

    def _learn(self, tensors: dict[str, torch.Tensor] | None) -> None:
        options, record = self.settings.learn, self.record
        optimisation = Optimisation(self.flow, rate=options.rate, average=options.average)
        best = optimisation.mean()
        if tensors is not None:
            optimisation.load(tensors)
            best = [tensors[f"best.{k}"] for k in range(len(best))]
        limit = None if self.limit_s is None else LEARN_SHARE * self.limit_s
        pace = Pace(options.steps, limit, record.seconds.get("learn", 0.0))
        while (fraction := pace.fraction(record.step)) < 1.0 and record.stale < options.patience:
            generator = torch.Generator().manual_seed(child_seed(self.seed, "learn", record.step))
            index = self._choice.rows(options.batch, generator)
            loss = total_loss(self.flow, self.frames.rows(index), options.weights.model_dump())
            rate = min(1.0, (record.step + 1) / options.warmup) * (1.0 - (1.0 - options.final_rate) * fraction)
            self._keeper.count(self.record, optimisation.step(loss, rate))
            record.step += 1
            record.seconds["learn"] = pace.elapsed_s
            if record.step % self.settings.check_every == 0:
                best = self._validate(optimisation, best)
                self._report("learn", fraction)
            self._maybe_save(optimisation, {f"best.{k}": value for k, value in enumerate(best)})
        if record.stale >= options.patience:
            record.notes.append(f"Learning stopped after {record.step} steps: the held-out frames gained no more.")
        self._validate(optimisation, best)
        optimisation.adopt(best if record.stale else None)

    def _validate(self, optimisation: Optimisation, best: list[torch.Tensor]) -> list[torch.Tensor]:
        """Record the averaged flow's figures on held-out frames; returns the best averaged parameters so far."""
        with optimisation.averaged():
            held_out = self._likelihood(self.validation)
            row = {"stage": "learn", "step": self.record.step, "validation_nll": held_out}
            row["train_nll"] = self._likelihood(self.frames)
        self.record.curve.append(row)
        if self.record.best is None or held_out < self.record.best - IMPROVEMENT:
            self.record.best, self.record.stale = held_out, 0
            return optimisation.mean()
        self.record.stale += 1
        return best

    def _likelihood(self, frames: LabelledFrames, rows: int = 4096) -> float:
        stride = max(1, len(frames) // rows)
        return float(negative_log_likelihood(self.flow, frames.t[::stride], frames.r[::stride]).mean())

    # --- second stage ----------------------------------------------------------------------------------------------

    def _refine(self, tensors: dict[str, torch.Tensor] | None) -> None:
        options, record = self.settings.refine, self.record
        optimisation = self._optimisation()
        if tensors is not None:
            optimisation.load(tensors)
            self._safe = [tensors[f"safe.{k}"] for k in range(len(optimisation.mean()))]
            self._fresh.load(tensors)
        else:
            self._safe = optimisation.mean()
            report = self._judge(optimisation)
            record.guarded = report.passed
            self._keep(report)
            if not report.passed:
                record.notes.append(f"Before energy training: {' '.join(report.reasons)}")
        limit = None if self.limit_s is None else max(0.0, self.limit_s - record.seconds.get("learn", 0.0))
        pace = Pace(options.rounds, limit, record.seconds.get("refine", 0.0))
        fraction = pace.fraction(record.step)
        while fraction < 1.0:
            self._fresh.draw(child_seed(self.seed, "fresh", record.step))
            self._train_round(optimisation, fraction)
            record.step += 1
            record.seconds["refine"] = pace.elapsed_s
            self._report("refine", fraction)
            fraction = pace.fraction(record.step)
            if record.step % options.guard_every == 0 or fraction >= 1.0:
                lost = self._lost(optimisation)
                if lost is not None and not self._switched_off(lost, fraction):
                    return
                if lost is not None:
                    optimisation = self._restart()
            self._maybe_save(optimisation, {f"safe.{k}": v for k, v in enumerate(self._safe)} | self._fresh.state())
        optimisation.adopt(self._safe)
        if record.kept["round"] != record.step:
            self._check_kept("better")
        self._explain()

    def _optimisation(self) -> Optimisation:
        options = self.settings.refine
        return Optimisation(self.flow, rate=options.rate, average=options.average, weight_decay=0.0)

    def _lost(self, optimisation: Optimisation) -> GuardReport | None:
        """Judge the averaged flow; the report if a state is lost that was there before.

        A flow that no check has passed yet cannot be lost: the energy may mend what the frames left wrong, and the
        last finding stands in the record either way.
        """
        report = self._judge(optimisation)
        record = self.record
        if not report.passed and record.guarded:
            return report
        better = report.ess_trimmed >= (1.0 - MAX_LOSS) * record.kept["best"]
        if better or not record.guarded:
            self._safe = optimisation.mean()
            self._keep(report)
        record.guarded = report.passed
        return None

    def _keep(self, report: GuardReport) -> None:
        """Write down what is measured of the parameters that are kept from now on."""
        kept, trimmed = self.record.kept, report.ess_trimmed
        best = max(kept.get("best", 0.0), trimmed) if self.record.guarded else trimmed
        first = kept.get("first", trimmed)
        self.record.kept = {"round": self.record.step, "trimmed": trimmed, "best": best, "first": first}

    def _explain(self) -> None:
        """Say in the record why the kept parameters were kept."""
        record = self.record
        kept, states = record.kept, [state for state in record.states if not state["negligible"]]
        draws = self.settings.guard_draws
        text = (
            f"Kept the model after round {kept['round']} of {record.step}" if kept["round"] else "Kept what was learned"
        )
        text += f": {draws} fresh draws without their heaviest 0.2 % are worth {kept['trimmed']:.0%}"
        text += f" ({kept['first']:.0%} before energy training)." if kept["round"] else "."
        if kept["round"] < record.step:
            text += " Later ones lost a state or were worse by more than a tenth."
        if states:
            thin = min(states, key=lambda state: state["effective_draws"])
            worth = max(thin["effective_draws"], 1.0)
            text += f" Fewest in {thin['name']}: {thin['n_draws']} draws worth {worth:.0f}, so that 100 there take"
            text += f" about {100.0 * draws / worth:,.0f}."
        record.choice = text

    def _train_round(self, optimisation: Optimisation, fraction: float) -> None:
        options, schedule = self.settings.refine, self._schedule
        half = options.batch // 2
        rate = schedule.rate(self.record.step, fraction)
        on_frames, on_draws = schedule.on_frames(fraction), schedule.on_draws(fraction)
        for k in range(options.steps):
            generator = torch.Generator().manual_seed(child_seed(self.seed, "refine", self.record.step, k))
            rows = self._choice.rows(half, generator)
            parts = []
            if any(on_frames.values()):
                parts.append(total_loss(self.flow, self.frames.rows(rows), on_frames))
            if any(on_draws.values()):
                parts.append(total_loss(self.flow, self._fresh.batch(half, generator), on_draws))
            self._keeper.count(self.record, optimisation.step(0.5 * sum(parts[1:], parts[0]), rate))

    @property
    def _schedule(self) -> Schedule:
        return Schedule(self.settings.refine, tuple(self.record.off))

    def _switched_off(self, report: GuardReport, fraction: float) -> bool:
        """Whether training goes on without an objective, now off; else the flow is back at what passed last."""
        seeking = self._schedule.mode_seeking
        if seeking:
            self.record.off.append(seeking[0])
            self.record.notes.append(
                f"Round {self.record.step}: the objective {seeking[0]} was switched off and the model put back to the "
                f"last that passed: {' '.join(report.reasons)}"
            )
            if fraction < 1.0 and not self._schedule.empty:
                return True
        self._revert(report)
        return False

    def _restart(self) -> Optimisation:
        """A new optimiser at the last parameters that passed; draws of the flow that lost a state are forgotten."""
        with torch.no_grad():
            for parameter, value in zip(self.flow.parameters(), self._safe, strict=True):
                parameter.copy_(value)
        self._fresh.forget()
        return self._optimisation()

    def _revert(self, report: GuardReport) -> None:
        """Back to the last parameters that the guard let pass; the stage ends."""
        self._restart()
        self.record.notes.append(f"Energy training stopped and reverted: {' '.join(report.reasons)}")
        self._check_kept("reverted")
        self._explain()

    def _check_kept(self, why: str) -> None:
        seed = child_seed(self.seed, "guard", why)
        self._note_guard(self.guard.check(self.flow, self.settings.guard_draws, seed))

    def _judge(self, optimisation: Optimisation) -> GuardReport:
        seed = child_seed(self.seed, "guard", self.record.step)
        with optimisation.averaged():
            report = self.guard.check(self.flow, self.settings.guard_draws, seed)
        self._note_guard(report)
        return report

    def _note_guard(self, report: GuardReport) -> None:
        self.record.states = [state.to_json() for state in report.states]
        differences = {s["name"]: s["disagreement_kt"] for s in self.record.states}
        self.record.curve.append(
            {
                "stage": "refine",
                "step": self.settings.learn.steps + self.record.step * self.settings.refine.steps,
                "ess": report.ess,
                "ess_winsorised": report.ess_winsorised,
                "ess_trimmed": report.ess_trimmed,
                "guard": differences,
                "state_draws": {s["name"]: s["effective_draws"] for s in self.record.states},
            }
        )

    # --- both ------------------------------------------------------------------------------------------------------

    def _report(self, stage: str, fraction: float) -> None:
        last = self.record.curve[-1] if self.record.curve else {}
        figures = {k: float(v) for k, v in last.items() if k in ("validation_nll", "ess") and v is not None}
        self.progress(ProgressEvent(stage, fraction, 1.0, "", figures))

    def _maybe_save(self, optimisation: Optimisation, extra: dict[str, torch.Tensor]) -> None:
        self._keeper.save_if_due(self.record, lambda: optimisation.state() | extra)
