"""The spline flow's loop: learn from frames, refine with fresh draws under the guard; checkpoints to resume from."""

from pathlib import Path

import torch

from molgen.interruption import Interruption
from molgen.models.spline_flow import SplineFlow
from molgen.progress import Progress, ProgressEvent
from molgen.seeds import child_seed
from molgen.training.checkpoint import read_checkpoint
from molgen.training.fresh import FreshDraws
from molgen.training.guard import Guard, GuardReport
from molgen.training.keeper import Keeper
from molgen.training.labelled import LabelledFrames
from molgen.training.objectives import forward_path_loss, negative_log_likelihood
from molgen.training.optimisation import Optimisation
from molgen.training.pace import Pace
from molgen.training.record import TrainingRecord
from molgen.training.settings import TrainingSettings

LEARN_SHARE = 0.5
"""Share of a time limit that the first stage may use."""
IMPROVEMENT = 0.01
"""A validation figure (kT a frame) must fall by this much to count as better."""


class Trainer:
    """Trains ``flow`` in place; ``frames`` and ``validation`` are labelled frames, ``guard`` knows the states.

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
        directory: Path,
        limit_s: float | None,
        progress: Progress,
        interruption: Interruption,
    ) -> None:
        self.flow, self.frames, self.validation, self.guard = flow, frames, validation, guard
        self.settings, self.seed, self.directory = settings, seed, directory
        self.limit_s, self.progress = limit_s, progress
        self.record = TrainingRecord()
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
            index = torch.randint(0, len(self.frames), (options.batch,), generator=generator)
            loss = forward_path_loss(self.flow, self.frames.rows(index), options.likelihood_share)
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
        optimisation = Optimisation(self.flow, rate=options.rate, average=options.average, weight_decay=0.0)
        if tensors is not None:
            optimisation.load(tensors)
            self._safe = [tensors[f"safe.{k}"] for k in range(len(optimisation.mean()))]
            self._fresh.load(tensors)
        else:
            self._safe = optimisation.mean()
            report = self._judge(optimisation)
            record.guarded = report.passed
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
            if (record.step % options.guard_every == 0 or fraction >= 1.0) and not self._passes(optimisation):
                return
            self._maybe_save(optimisation, {f"safe.{k}": v for k, v in enumerate(self._safe)} | self._fresh.state())
        optimisation.adopt(self._safe)

    def _passes(self, optimisation: Optimisation) -> bool:
        """Judge the averaged flow; False after a revert.

        A flow that no check has passed yet cannot be lost: the energy may mend what the frames left wrong, and the
        last finding stands in the record either way.
        """
        report = self._judge(optimisation)
        if not report.passed and self.record.guarded:
            self._revert(optimisation, report)
            return False
        self.record.guarded = report.passed
        self._safe = optimisation.mean()
        return True

    def _train_round(self, optimisation: Optimisation, fraction: float) -> None:
        options = self.settings.refine
        half = options.batch // 2
        rate = min(1.0, (self.record.step + 1) / 4.0) * (1.0 - 0.95 * fraction)
        for k in range(options.steps):
            generator = torch.Generator().manual_seed(child_seed(self.seed, "refine", self.record.step, k))
            rows = torch.randint(0, len(self.frames), (half,), generator=generator)
            loss = forward_path_loss(self.flow, self.frames.rows(rows), 0.0)
            loss = loss + forward_path_loss(self.flow, self._fresh.batch(half, generator), options.likelihood_share)
            self._keeper.count(self.record, optimisation.step(0.5 * loss, rate))

    def _revert(self, optimisation: Optimisation, report: GuardReport) -> None:
        """Back to the last parameters that the guard let pass; the stage ends."""
        optimisation.adopt(self._safe)
        self.record.notes.append(f"Energy training stopped and reverted: {' '.join(report.reasons)}")
        kept = self.guard.check(self.flow, self.settings.guard_draws, child_seed(self.seed, "guard", "reverted"))
        self._note_guard(kept)

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
                "guard": differences,
            }
        )

    # --- both ------------------------------------------------------------------------------------------------------

    def _report(self, stage: str, fraction: float) -> None:
        last = self.record.curve[-1] if self.record.curve else {}
        figures = {k: float(v) for k, v in last.items() if k in ("validation_nll", "ess") and v is not None}
        self.progress(ProgressEvent(stage, fraction, 1.0, "", figures))

    def _maybe_save(self, optimisation: Optimisation, extra: dict[str, torch.Tensor]) -> None:
        self._keeper.save_if_due(self.record, lambda: optimisation.state() | extra)
