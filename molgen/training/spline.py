"""Training a spline flow: frames with their forces first, then fresh draws under the guard."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from molgen.arrays import FloatArray, IntArray
from molgen.errors import InputError
from molgen.models.base import SavedModel
from molgen.models.spline_flow import SplineFlow
from molgen.observables.states import StateSet, build_states
from molgen.progress import ProgressEvent
from molgen.systems.system import System
from molgen.training.felt_biases import FeltBiases
from molgen.training.guard import Guard, guard_rows, states_of_frames
from molgen.training.labelled import LabelledFrames, label_frames
from molgen.training.record import TrainingRecord
from molgen.training.settings import TrainingSettings
from molgen.training.task import TrainingTask, check_energies
from molgen.training.trainer import Trainer


class SplineTraining:
    """See :class:`molgen.training.task.ModelTraining`."""

    settings_class = TrainingSettings

    def __init__(self, name: str = "spline") -> None:
        self.name = name

    def at_temperatures(
        self, settings: TrainingSettings, system: System, temperatures: Sequence[float]
    ) -> TrainingSettings:
        """See :class:`molgen.training.task.ModelTraining`: one temperature."""
        if len(temperatures) > 1:
            listed = ", ".join(f"{t:g}" for t in temperatures)
            raise InputError(
                f"The frames are from {listed} K, and a spline flow learns one temperature.",
                f"Give frames of {system.temperature_k:g} K, or train --model flow-matching.",
            )
        return settings

    def plan(self, settings: TrainingSettings, model: SavedModel, frames: int) -> dict[str, Any]:
        """See :class:`molgen.training.task.ModelTraining`."""
        assert isinstance(model, SplineFlow)
        refine = settings.refine
        checks = (refine.rounds // refine.guard_every + 3) * settings.guard_draws
        numbers = model.chart.dimension
        return {
            "steps": settings.learn.steps + refine.rounds * refine.steps,
            "evaluations_at_most": frames + refine.rounds * refine.draws * refine.pieces + checks,
            "memory_mb": round((frames * numbers * 40 + settings.learn.batch * 4e5) / 1e6),
        }

    def run(self, model: SavedModel, task: TrainingTask) -> TrainingRecord:
        """See :class:`molgen.training.task.ModelTraining`."""
        assert isinstance(model, SplineFlow)
        positions = np.asarray(task.frames.positions, dtype=np.float64)
        labelled = self._label(model, task, positions)
        states = build_states(task.system)
        found = states_of_frames(task.system, states, positions)
        trainer = Trainer(
            model,
            labelled.rows(torch.as_tensor(task.rows)),
            labelled.rows(torch.as_tensor(task.held_out)),
            self._guard(task, states, found, labelled),
            task.settings,
            seed=task.seed,
            states=found[task.rows],
            directory=task.directory,
            limit_s=task.limit_s,
            progress=task.progress,
            interruption=task.interruption,
        )
        return trainer.run()

    def _label(self, flow: SplineFlow, task: TrainingTask, positions: FloatArray) -> LabelledFrames:
        """All frames with their energies and slopes, after the whitening was fitted to those for training."""
        flow.fit(torch.as_tensor(positions[task.rows]))
        task.progress(ProgressEvent("label", 0, len(positions), "frames"))
        labelled = label_frames(flow, positions, task.energy, FeltBiases.of(task.frames, task.system))
        task.progress(ProgressEvent("label", len(positions), len(positions), "frames"))
        check_energies(torch.isfinite(labelled.potential), len(positions))
        weight = task.frames.total_log_weight
        return labelled if weight is None else labelled.weighted(torch.as_tensor(weight))

    def _guard(
        self, task: TrainingTask, states: StateSet, found: IntArray, labelled: LabelledFrames
    ) -> Guard[SplineFlow]:
        judging = task.frames.unbiased
        training, held_out = (rows[judging[rows]] for rows in (task.rows, task.held_out))
        kept = guard_rows(found, len(states.names), training, held_out)
        return Guard(
            task.system,
            states,
            task.energy,
            labelled.rows(torch.as_tensor(kept)),
            found[kept],
            task.frames.lineage[kept],
            task.negligible,
        )
