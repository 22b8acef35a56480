"""Train: a generative model from frames and the energy, into a run directory that resumes."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from molgen.arrays import IntArray
from molgen.energies.base import Energy
from molgen.energies.factory import open_energy
from molgen.energies.platforms import resolve_platform
from molgen.engines.executors import open_executor
from molgen.errors import InputError
from molgen.files import sha256_file
from molgen.interruption import Interruption
from molgen.models.artifact import save_model
from molgen.models.spline_flow import SplineFlow
from molgen.observables.states import build_states, with_states
from molgen.progress import Progress, ProgressEvent, silent
from molgen.rundir import MANIFEST, RunDirectory
from molgen.seeds import child_seed
from molgen.systems.system import MolecularSystem, System
from molgen.training.checkpoint import CHECKPOINT
from molgen.training.guard import Guard, states_of_frames
from molgen.training.labelled import LabelledFrames, label_frames
from molgen.training.settings import TrainingSettings
from molgen.training.states import check_visited, system_with_states
from molgen.training.trainer import Trainer, TrainingRecord
from molgen.trajectories.frames import FrameSet
from molgen.trajectories.options import EVERYTHING, ReadingOptions
from molgen.trajectories.splits import split_blocks
from molgen.workflows.frames import UsableFrames, open_frames

KIND = "train"
GUARD_FRAMES = 8192
GUARD_STATE_FRAMES = 100
LIMIT_SHARE = 0.95
"""Share of ``--max-time`` that training plans for, so that the model is written before the limit."""


@dataclass(frozen=True)
class TrainingResult:
    """What training gave; ``ess`` is that of its last fresh check draws, an indication and no estimate.

    ``state_conditions`` are the states by name, in their order; ``states_found`` says that they come from the frames.
    ``frames_relabelled`` counts frames by the centre at which equal branches had other labels than the system's.
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

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**self.__dict__, "directory": str(self.directory)}


def plan_training(
    system: System,
    data: Sequence[Path],
    *,
    reading: ReadingOptions = EVERYTHING,
    settings: TrainingSettings | None = None,
) -> dict[str, Any]:
    """What :func:`train` would do: frames, steps, energy evaluations, memory (MB) and files."""
    settings = settings or TrainingSettings()
    frames = open_frames(data, system, reading, most=settings.learn.max_frames).frames
    refine = settings.refine
    checks = (refine.rounds // refine.guard_every + 2) * settings.guard_draws
    numbers = system.n_particles * system.dim
    return {
        "system": system.name,
        "frames": len(frames),
        "steps": settings.learn.steps + refine.rounds * refine.steps,
        "evaluations_at_most": len(frames) + refine.rounds * refine.draws * refine.pieces + checks,
        "memory_mb": round((len(frames) * numbers * 40 + settings.learn.batch * 4e5) / 1e6),
        "files": ["model.safetensors", "model.json", MANIFEST, "run.log"],
    }


def train(
    system: System,
    data: Sequence[str | Path],
    output: str | Path,
    *,
    reading: ReadingOptions = EVERYTHING,
    settings: TrainingSettings | None = None,
    seed: int | None = None,
    workers: int = 1,
    platform: str = "auto",
    progress: Progress = silent,
    interruption: Interruption | None = None,
) -> TrainingResult:
    """Train a model of ``system`` on the frames in ``data`` (run directories, ensembles, trajectories).

    ``reading`` says which frames and atoms of trajectory files are taken. Labels of equal branches are matched to the
    system's; frames outside its domain are left out and counted, and if they are more than half the run is refused.
    First the frames' forces and likelihood, then fresh draws of the model weighted by the energy, while the guard
    watches that no state is lost. A time limit in ``interruption`` shortens both stages to fit (such a model cannot be
    repeated exactly); without one the model depends on system, data, settings, seed and platform alone. The same
    call again continues an interrupted run. A system without states gets those its frames fall into
    (:mod:`molgen.observables.basins`); they stay in the model. ``InputError`` for unusable frames, or a declared state
    that none of them visits.
    """
    settings = settings or TrainingSettings()
    interruption = interruption or Interruption()
    paths = [Path(item) for item in data]
    frames = open_frames(paths, system, reading, most=settings.learn.max_frames)
    check_visited(system, frames.frames)
    name = resolve_platform(system, platform).name if isinstance(system, MolecularSystem) else "numpy"
    config = {
        "system": system.name,
        "fingerprint": system.fingerprint,
        "temperature_k": system.temperature_k,
        "data": {str(path): _fingerprint(path) for path in paths},
        "settings": settings.model_dump(),
        "platform": name,
    }
    if reading != EVERYTHING:
        config["reading"] = reading.to_json()
    with RunDirectory.open(output, kind=KIND, config=config, seed=seed) as run, _threads(settings.torch_threads):
        if run.complete:
            return _stored(run)
        run.record(platform=name)
        with open_executor(workers) as executor:
            energy = open_energy(system, executor=executor, platform=name)
            session = _Session(run, system, settings, energy, progress, interruption)
            result = session.train(frames)
        run.finish(result.to_json(), artifacts=["model.safetensors", "model.json"])
        (run.path / CHECKPOINT).unlink(missing_ok=True)
    return result


@dataclass(frozen=True)
class _Session:
    run: RunDirectory
    system: System
    settings: TrainingSettings
    energy: Energy
    progress: Progress
    interruption: Interruption

    def train(self, usable: UsableFrames) -> TrainingResult:
        flow = SplineFlow(
            self.system, self.settings.flow, torch.Generator().manual_seed(child_seed(self.run.seed, "initial"))
        )
        frames = usable.frames
        system = system_with_states(self.system, frames, self.settings.states)
        conditions = {state.name: state.where for state in system.definition.state}
        found = bool(conditions) and not self.system.definition.state
        rows, held_out = split_blocks(
            frames, validation_fraction=self.settings.learn.validation_fraction, seed=self.run.seed
        )
        labelled = self._label(flow, frames, rows)
        guard = self._guard(system, frames, labelled, rows, held_out)
        record = self._fit(flow, labelled.rows(torch.as_tensor(rows)), labelled.rows(torch.as_tensor(held_out)), guard)
        record.notes.extend(usable.notes)
        if found:
            record.notes.append(f"{len(conditions)} states were found from the frames.")
            rare = [state["name"] for state in record.states if state["negligible"]]
            if rare:
                least = self.settings.states.min_population
                record.notes.append(f"Too rare to report on (less than {100 * least:g} %): {', '.join(rare)}.")
                record.states = [state for state in record.states if state["name"] not in rare]
                conditions = {name: where for name, where in conditions.items() if name not in rare}
                system = with_states(system, tuple(s for s in system.definition.state if s.name not in rare))
        if not conditions:
            record.notes.append("No states: none declared, and no barrier found in the frames; coverage is untested.")
        evaluations = {"data": frames.evaluations, "training": self.energy.counter.training}
        digest = save_model(
            self.run.path,
            "spline",
            flow,
            system,
            {
                "evaluations": evaluations,
                "states": record.states,
                "state_conditions": conditions,
                "states_found": found,
                "curve": record.curve,
                "notes": record.notes,
                "frames": len(frames),
                "seed": self.run.seed,
                "platform": self.energy.platform,
            },
        )
        checks = [row["ess"] for row in record.curve if "ess" in row]
        return TrainingResult(
            directory=self.run.path,
            system=self.system.name,
            model="spline",
            frames=len(frames),
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
            frames_made_whole=frames.made_whole,
        )

    def _label(self, flow: SplineFlow, frames: FrameSet, training_rows: IntArray) -> LabelledFrames:
        """All frames with their energies and slopes, after the whitening was fitted to those for training."""
        positions = np.asarray(frames.positions, dtype=np.float64)
        with torch.no_grad():
            flow.whitening.fit(flow.chart.encode(flow.chart.canonical(torch.as_tensor(positions[training_rows]))))
        self.progress(ProgressEvent("label", 0, len(frames), "frames"))
        labelled = label_frames(flow, positions, self.energy)
        self.progress(ProgressEvent("label", len(frames), len(frames), "frames"))
        infinite = int((~torch.isfinite(labelled.potential)).sum())
        if infinite:
            raise InputError(
                f"{infinite} of {len(frames)} frames have no finite energy.",
                "Check the units, the order of the atoms and the force field.",
            )
        weight = frames.total_log_weight
        return labelled if weight is None else labelled.weighted(torch.as_tensor(weight))

    def _guard(
        self, system: System, frames: FrameSet, labelled: LabelledFrames, rows: IntArray, held_out: IntArray
    ) -> Guard:
        states = build_states(system)
        found = states_of_frames(system, states, np.asarray(frames.positions, dtype=np.float64))
        kept = guard_rows(found, len(states.names), rows, held_out)
        # States that nobody declared may turn out too rare to matter; those that somebody did are all guarded.
        negligible = 0.0 if self.system.definition.state else self.settings.states.min_population
        judged = labelled.rows(torch.as_tensor(kept))
        return Guard(system, states, self.energy, judged, found[kept], frames.lineage[kept], negligible)

    def _fit(
        self, flow: SplineFlow, training: LabelledFrames, held_out: LabelledFrames, guard: Guard
    ) -> TrainingRecord:
        limit = self.interruption.max_time_s
        trainer = Trainer(
            flow,
            training,
            held_out,
            guard,
            self.settings,
            seed=self.run.seed,
            directory=self.run.path,
            limit_s=None if limit is None else max(1.0, LIMIT_SHARE * limit - self.interruption.elapsed_s),
            progress=self.progress,
            interruption=self.interruption,
        )
        return trainer.run()


def guard_rows(found: IntArray, states: int, training: IntArray, held_out: IntArray) -> IntArray:
    """Rows of the frames by which the guard judges, given each frame's state ``found`` (n,).

    Frames that were learned from flatter the model, so those held out are asked; only a state of which fewer than
    ``GUARD_STATE_FRAMES`` are held out is judged by its training frames too.
    """
    chosen = [held_out[:: max(1, math.ceil(len(held_out) / GUARD_FRAMES))]]
    for state in range(states):
        if int((found[chosen[0]] == state).sum()) < GUARD_STATE_FRAMES:
            learned = training[found[training] == state]
            chosen.append(learned[:: max(1, math.ceil(len(learned) / GUARD_FRAMES))])
    return np.unique(np.concatenate(chosen))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """A fixed number of torch threads: sums, and so the model, depend on it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _fingerprint(path: Path) -> str:
    """SHA-256 of what a path holds: of the manifest of a run directory, or of the file."""
    manifest = path / MANIFEST
    return sha256_file(manifest if manifest.is_file() else path)


def _stored(run: RunDirectory) -> TrainingResult:
    fields = {**run.manifest.result, "directory": run.path}
    fields.setdefault("state_conditions", {})
    fields.setdefault("states_found", False)
    fields["notes"], fields["states"] = tuple(fields["notes"]), tuple(fields["states"])
    return TrainingResult(**fields)
