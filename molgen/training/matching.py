"""Training a continuous flow: match its field to random paths between noise and frames, then check fresh draws.

The loss is the model's own (:class:`ContinuousModel`): flow matching or denoising, which need no energy. The energy
enters in the check at the end only, which is what the model's record says of effective sample size and states.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from pydantic import create_model

from molgen.arrays import FloatArray, IntArray
from molgen.models.base import SavedModel
from molgen.models.table import model_class
from molgen.progress import ProgressEvent
from molgen.seeds import child_seed
from molgen.systems.system import System
from molgen.training.checkpoint import read_checkpoint
from molgen.training.fresh_check import FreshCheck
from molgen.training.keeper import Keeper
from molgen.training.optimisation import Optimisation
from molgen.training.pace import Pace
from molgen.training.record import TrainingRecord
from molgen.training.settings import MatchingTrainingSettings
from molgen.training.task import TrainingTask, check_energies

VALIDATION_FRAMES = 2048
"""Most frames on which a loss is noted."""
PAIRS = 20_000
"""Pairs of particles in a batch: fewer leave a processor waiting between operations."""
LEAST, MOST = 64, 256
WORSE = 0.02
"""Share of the lowest held-out loss by which that of the last parameters may be above it before they are not kept."""
_REPORT_EVERY = 10


@runtime_checkable
class ContinuousModel(Protocol):
    """What a model offers to be trained by matching."""

    def fit(self, positions: torch.Tensor) -> None:
        """Set scales from training frames (n, N, D), nm."""
        ...

    def standardise(self, positions: torch.Tensor) -> torch.Tensor:
        """Standard coordinates (n, N, D) of frames."""
        ...

    def loss(
        self, x: torch.Tensor, generator: torch.Generator, temperature_k: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Losses (n,) of standard coordinates (n, N, D), float32; times and noise come from ``generator``.

        ``temperature_k`` (n,) where the frames are of several.
        """
        ...


@cache
def matching_settings(name: str) -> type[MatchingTrainingSettings]:
    """The settings class of the model ``name``: the common ones with the model's own under ``flow``."""
    own = model_class(name).settings_class
    return create_model(
        f"MatchingTrainingSettings[{name}]",
        __base__=MatchingTrainingSettings,
        __doc__=MatchingTrainingSettings.__doc__,
        flow=(own, own()),
    )


class MatchingTraining:
    """See :class:`molgen.training.task.ModelTraining`; for every model that is a :class:`ContinuousModel`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.settings_class = matching_settings(name)

    def at_temperatures(
        self, settings: MatchingTrainingSettings, system: System, temperatures: Sequence[float]
    ) -> MatchingTrainingSettings:
        """See :class:`molgen.training.task.ModelTraining`; the flow becomes one of all temperatures between."""
        if len(temperatures) == 1 or "temperatures" not in type(settings.flow).model_fields:
            return settings
        flow = settings.flow.model_copy(update={"temperatures": (temperatures[0], temperatures[-1])})
        return settings.model_copy(update={"flow": flow})

    def plan(self, settings: MatchingTrainingSettings, model: SavedModel, frames: int) -> dict[str, Any]:
        """See :class:`molgen.training.task.ModelTraining`."""
        parameters = sum(p.numel() for p in model.parameters())
        return {
            "steps": settings.steps,
            "evaluations_at_most": frames + settings.check_draws,
            "memory_mb": round((40 * frames * 3 + 16 * parameters + (settings.batch or MOST) * 2e5) / 1e6),
        }

    def run(self, model: SavedModel, task: TrainingTask) -> TrainingRecord:
        """See :class:`molgen.training.task.ModelTraining`."""
        positions = np.asarray(task.frames.positions, dtype=np.float64)
        reduced = _energies(task, positions)
        trainer = MatchingTrainer(model, task, positions)
        record = trainer.learn()
        trainer.check.run(positions, reduced, record, trainer.keeper)
        return record


def _energies(task: TrainingTask, positions: FloatArray) -> FloatArray:
    task.progress(ProgressEvent("label", 0, len(positions), "frames"))
    reduced = task.energy.reduced(positions, purpose="training")
    task.progress(ProgressEvent("label", len(positions), len(positions), "frames"))
    check_energies(np.isfinite(reduced), len(positions))
    return reduced


class MatchingTrainer:
    """Trains ``model`` in place on the frames of ``task``; ``positions`` (n, N, D) are all of them.

    The result depends on settings, frames and seed alone unless the time limit ends it. A checkpoint in the task's
    directory is taken up.
    """

    def __init__(self, model: SavedModel, task: TrainingTask, positions: FloatArray) -> None:
        assert isinstance(model, ContinuousModel)
        self.model, self.task, self._matched = model, task, cast(ContinuousModel, model)
        self.settings: MatchingTrainingSettings = task.settings
        self.record = TrainingRecord()
        self._size = batch_size(self.settings.batch, positions.shape[1])
        self._matched.fit(torch.as_tensor(positions[task.rows]))
        with torch.no_grad():
            self._training = self._matched.standardise(torch.as_tensor(positions[task.rows])).float()
            self._held_out = self._matched.standardise(torch.as_tensor(positions[task.held_out])).float()
        several = len(task.frames.temperatures) > 1
        self._temperature = torch.as_tensor(task.frames.temperature_k) if several else None
        weight = task.frames.total_log_weight
        self._weight = [_weights(weight, rows) for rows in (task.rows, task.held_out)]
        self._cumulative = None if weight is None else self._weight[0].cumsum(0)
        self.keeper = Keeper(
            task.directory,
            task.interruption,
            limit_s=task.limit_s,
            spent=lambda: task.energy.counter.training,
            remedy="Check the frames with molgen check, or lower --set rate.",
        )
        self.check = FreshCheck(model, task)

    # --- learning --------------------------------------------------------------------------------------------------

    def learn(self) -> TrainingRecord:
        """All steps; the model ends with its averaged parameters.

        ``InterruptedRunError`` at a signal (a checkpoint is written first), ``PartialError`` if gradients stay
        non-finite.
        """
        optimisation = Optimisation(self.model, rate=self.settings.rate, average=self.settings.average)
        best = optimisation.mean()
        checkpoint = read_checkpoint(self.task.directory)
        if checkpoint is not None:
            tensors, stored = checkpoint
            self.record = TrainingRecord(**stored)
            self.task.energy.counter.add("training", self.record.evaluations)
            optimisation.load(tensors)
            best = [tensors[f"best.{k}"] for k in range(len(best))]
        if self.record.stage == "learn":
            best = self._steps(optimisation, best)
            self.record.stage = "check"
            self.keeper.save(self.record, _state(optimisation, best))
        optimisation.adopt(best if self.record.stale else None)
        return self.record

    def _steps(self, optimisation: Optimisation, best: list[torch.Tensor]) -> list[torch.Tensor]:
        settings, record = self.settings, self.record
        limit = None if self.task.limit_s is None else max(1.0, self.task.limit_s - self.check.reserve_s)
        pace = Pace(settings.steps, limit, record.seconds.get("learn", 0.0))
        while (fraction := pace.fraction(record.step)) < 1.0:
            generator = torch.Generator().manual_seed(child_seed(self.task.seed, "learn", record.step))
            rows = self._batch(generator)
            loss = self._matched.loss(self._training[rows], generator, self._of(self.task.rows, rows)).mean()
            rate = min(1.0, (record.step + 1) / settings.warmup) * (1.0 - (1.0 - settings.final_rate) * fraction)
            self.keeper.count(record, optimisation.step(loss, rate))
            record.step += 1
            record.seconds["learn"] = pace.elapsed_s
            if record.step % settings.check_every == 0:
                best = self._validate(optimisation, best)
            if record.step % _REPORT_EVERY == 0:
                self._report(fraction)
            self.keeper.save_if_due(record, lambda kept=best: _state(optimisation, kept))  # type: ignore[misc]
        best = self._validate(optimisation, best)
        self._choose(record.curve)
        return best

    def _batch(self, generator: torch.Generator) -> torch.Tensor:
        """``batch`` rows of the training frames, each as often as its weight says."""
        rows = len(self._training)
        if self._cumulative is None:
            return torch.randint(0, rows, (self._size,), generator=generator)
        where = torch.rand(self._size, generator=generator, dtype=torch.float64)
        return torch.searchsorted(self._cumulative, where, right=True).clamp_max(rows - 1)

    def _of(self, frames: IntArray, rows: torch.Tensor) -> torch.Tensor | None:
        """Temperatures of ``rows`` of the ``frames``; None where all are of one."""
        return None if self._temperature is None else self._temperature[torch.as_tensor(frames)[rows]]

    def _validate(self, optimisation: Optimisation, best: list[torch.Tensor]) -> list[torch.Tensor]:
        """Note the averaged model's losses; returns the averaged parameters with the lowest on held-out frames."""
        with optimisation.averaged():
            training = self._loss(self._training, self._weight[0], self.task.rows)
            held_out = self._loss(self._held_out, self._weight[1], self.task.held_out)
        self.record.curve.append(
            {"stage": "learn", "step": self.record.step, "validation_loss": held_out, "train_loss": training}
        )
        if self.record.best is None or held_out < self.record.best:
            self.record.best = held_out
            return optimisation.mean()
        return best

    @torch.no_grad()
    def _loss(self, x: torch.Tensor, weight: torch.Tensor, frames: IntArray) -> float:
        """Mean loss of at most ``VALIDATION_FRAMES`` weighted frames, with the same times and noise every time."""
        generator = torch.Generator().manual_seed(child_seed(self.task.seed, "validation"))
        stride = -(-len(x) // VALIDATION_FRAMES)
        some = torch.arange(0, len(x), stride)
        losses = [
            self._matched.loss(x[piece], generator, self._of(frames, piece)).double()
            for piece in torch.split(some, self._size)
        ]
        return float((torch.cat(losses) * weight[some]).sum() / weight[some].sum())

    def _choose(self, curve: list[dict[str, Any]]) -> None:
        """Whether the parameters of the lowest held-out loss are better than the last ones (``record.stale``)."""
        last = curve[-1]["validation_loss"]
        lowest = self.record.best
        if lowest is not None and not last <= lowest + WORSE * abs(lowest):
            step = next(row["step"] for row in curve if row["validation_loss"] == lowest)
            self.record.stale = 1
            self.record.notes.append(
                f"The loss of the held-out frames was lowest after {step} of {self.record.step} steps; "
                "the parameters of then were kept. More frames would help."
            )

    def _report(self, fraction: float) -> None:
        last = self.record.curve[-1] if self.record.curve else {}
        figures = {"validation_loss": float(last["validation_loss"])} if last else {}
        self.task.progress(ProgressEvent("learn", fraction, 1.0, "", figures))


def batch_size(chosen: int | None, particles: int) -> int:
    """Frames in a batch: ``chosen``, or as many as have ``PAIRS`` pairs of particles, within bounds."""
    return chosen or min(MOST, max(LEAST, round(PAIRS / particles**2)))


def _weights(log_weight: FloatArray | None, rows: IntArray) -> torch.Tensor:
    """Weights of the frames ``rows`` that sum to 1."""
    chosen = np.zeros(len(rows)) if log_weight is None else log_weight[rows]
    return torch.softmax(torch.as_tensor(chosen, dtype=torch.float64), 0)


def _state(optimisation: Optimisation, best: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    return optimisation.state() | {f"best.{k}": value for k, value in enumerate(best)}
