"""One training, from usable frames to a saved model."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from molgen.energies.base import Energy
from molgen.interruption import Interruption
from molgen.models.artifact import save_model
from molgen.models.base import SavedModel
from molgen.models.choice import ModelChoice
from molgen.models.table import model_class
from molgen.observables.states import with_states
from molgen.progress import Progress
from molgen.rundir import RunDirectory
from molgen.seeds import child_seed
from molgen.systems.system import System
from molgen.training.record import TrainingRecord
from molgen.training.settings import AnyTrainingSettings
from molgen.training.states import system_with_states
from molgen.training.table import training_of
from molgen.training.task import TrainingTask
from molgen.trajectories.frames import FrameSet
from molgen.trajectories.splits import split_blocks
from molgen.workflows.frames import UsableFrames

LIMIT_SHARE = 0.95
"""Share of ``--max-time`` that training plans for, so that the model is written before the limit."""


@dataclass(frozen=True)
class TrainingResult:
    """What training gave; ``ess`` is that of its last fresh check draws, an indication and no estimate.

    ``state_conditions`` are the states by name, in their order; ``states_found`` says that they come from the frames.
    ``frames_relabelled`` counts frames by the centre at which equal branches had other labels than the system's;
    ``model_reason`` says why this kind of model was taken, ``learning_steps`` how many steps learning from the frames
    made.
    """

    directory: Path
    system: str
    model: str
    frames: int
    frames_outside_domain: int
    ess: float | None
    notes: tuple[str, ...]
    states: tuple[dict[str, Any], ...]
    state_conditions: dict[str, str]
    states_found: bool
    evaluations: dict[str, int]
    seconds: dict[str, float]
    seed: int
    platform: str
    model_sha256: str
    frames_relabelled: dict[str, int] = field(default_factory=dict)
    frames_made_whole: int = 0
    model_reason: str = ""
    learning_steps: int = 0
    choice: str = ""

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**self.__dict__, "directory": str(self.directory)}


@dataclass(frozen=True)
class TrainingSession:
    """One run of training: what it has to work with, and the model and record it leaves in ``run``."""

    run: RunDirectory
    system: System
    choice: ModelChoice
    settings: AnyTrainingSettings
    energy: Energy
    progress: Progress
    interruption: Interruption

    def train(self, usable: UsableFrames) -> TrainingResult:
        """Train on the frames, save the model, and say what came of it."""
        generator = torch.Generator().manual_seed(child_seed(self.run.seed, "initial"))
        model: SavedModel = model_class(self.choice.name)(self.system, self.settings.flow, generator)
        system = system_with_states(self.system, usable.frames, self.settings.states)
        record = training_of(self.choice.name).run(model, self._task(system, usable.frames))
        record.notes.extend(usable.notes)
        if biased := int((~usable.frames.unbiased).sum()):
            under = " and under ".join(usable.frames.biases)
            record.notes.append(f"{biased} of {len(usable.frames)} frames were made under {under}.")
        system, found = self._reported_states(system, record)
        conditions = {state.name: state.where for state in system.definition.state}
        evaluations = {"data": usable.frames.evaluations, "training": self.energy.counter.training}
        digest = save_model(
            self.run.path,
            self.choice.name,
            model,
            system,
            {
                "evaluations": evaluations,
                "states": record.states,
                "state_conditions": conditions,
                "states_found": found,
                "curve": record.curve,
                "notes": record.notes,
                "choice": record.choice,
                "objectives_off": record.off,
                "frames": len(usable.frames),
                "seed": self.run.seed,
                "platform": self.energy.platform,
            },
        )
        checks = [row["ess"] for row in record.curve if "ess" in row]
        return TrainingResult(
            directory=self.run.path,
            system=self.system.name,
            model=self.choice.name,
            frames=len(usable.frames),
            frames_outside_domain=usable.outside,
            ess=checks[-1] if checks else None,
            notes=tuple(record.notes),
            states=tuple(record.states),
            state_conditions=conditions,
            states_found=found,
            evaluations=evaluations,
            seconds=record.seconds,
            seed=self.run.seed,
            platform=self.energy.platform,
            model_sha256=digest,
            frames_relabelled=dict(usable.relabelled),
            frames_made_whole=usable.frames.made_whole,
            model_reason=self.choice.reason,
            learning_steps=max((row["step"] for row in record.curve if row["stage"] == "learn"), default=0),
            choice=record.choice,
        )

    def _task(self, system: System, frames: FrameSet) -> TrainingTask:
        rows, held_out = split_blocks(frames, validation_fraction=self.settings.validation_fraction, seed=self.run.seed)
        limit = self.interruption.max_time_s
        return TrainingTask(
            system=system,
            frames=frames,
            rows=rows,
            held_out=held_out,
            settings=self.settings,
            energy=self.energy,
            # States that nobody declared may turn out too rare to matter; those that somebody did are all guarded.
            negligible=0.0 if self.system.definition.state else self.settings.states.min_population,
            seed=self.run.seed,
            directory=self.run.path,
            limit_s=None if limit is None else max(1.0, LIMIT_SHARE * limit - self.interruption.elapsed_s),
            progress=self.progress,
            interruption=self.interruption,
        )

    def _reported_states(self, system: System, record: TrainingRecord) -> tuple[System, bool]:
        """The system with the states that are reported on, and whether they were found; says so in the record."""
        states = system.definition.state
        found = bool(states) and not self.system.definition.state
        if found:
            record.notes.append(f"{len(states)} states were found from the frames.")
            rare = [state["name"] for state in record.states if state["negligible"]]
            if rare:
                least = self.settings.states.min_population
                record.notes.append(f"Too rare to report on (less than {100 * least:g} %): {', '.join(rare)}.")
                record.states = [state for state in record.states if state["name"] not in rare]
                system = with_states(system, tuple(s for s in states if s.name not in rare))
        if not system.definition.state:
            record.notes.append("No states: none declared, and no barrier found in the frames; coverage is untested.")
        return system, found
