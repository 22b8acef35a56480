"""Train: a generative model from frames and the energy, into a run directory that resumes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from molgen.energies.factory import open_energy
from molgen.energies.platforms import platform_name
from molgen.engines.executors import open_executor
from molgen.errors import InputError, UsageError
from molgen.files import sha256_file
from molgen.interruption import Interruption
from molgen.models.base import SavedModel
from molgen.models.choice import AUTO, ModelChoice, choose_model
from molgen.models.table import model_class
from molgen.models.temperature import ROUNDING_K
from molgen.progress import Progress, silent
from molgen.rundir import MANIFEST, RunDirectory
from molgen.systems.system import System
from molgen.training.checkpoint import CHECKPOINT
from molgen.training.settings import AnyTrainingSettings, MatchingTrainingSettings, TrainingSettings
from molgen.training.states import check_visited
from molgen.training.table import default_settings, training_of
from molgen.trajectories.frames import FrameSet
from molgen.trajectories.options import EVERYTHING, ReadingOptions
from molgen.workflows.frames import UsableFrames, open_frames
from molgen.workflows.training_session import TrainingResult, TrainingSession

__all__ = [
    "MatchingTrainingSettings",
    "TrainingResult",
    "TrainingSettings",
    "plan_training",
    "train",
    "training_settings",
]

KIND = "train"


def training_settings(system: System, model: str = AUTO) -> AnyTrainingSettings:
    """The default settings of the training of ``model`` (or of the one that suits ``system``), of that model's class.

    ``UsageError`` for a model that does not exist.
    """
    return default_settings(choose_model(system, model).name)


def plan_training(
    system: System,
    data: Sequence[Path],
    *,
    model: str = AUTO,
    reading: ReadingOptions = EVERYTHING,
    settings: AnyTrainingSettings | None = None,
) -> dict[str, Any]:
    """What :func:`train` would do: model, frames, steps, energy evaluations, memory (MB) and files."""
    choice = choose_model(system, model)
    settings = _settings(choice, settings)
    built: SavedModel = model_class(choice.name)(system, settings.flow)
    frames = _open_frames(data, system, reading, settings).frames
    settings = _at_temperatures(choice, settings, system, frames)
    built = model_class(choice.name)(system, settings.flow)
    return {
        "system": system.name,
        "model": choice.name,
        "model_reason": choice.reason,
        "parameters": sum(parameter.numel() for parameter in built.parameters()),
        "frames": len(frames),
        **training_of(choice.name).plan(settings, built, len(frames)),
        "files": ["model.safetensors", "model.json", MANIFEST, "run.log"],
    }


def train(
    system: System,
    data: Sequence[str | Path],
    output: str | Path,
    *,
    model: str = AUTO,
    reading: ReadingOptions = EVERYTHING,
    settings: AnyTrainingSettings | None = None,
    seed: int | None = None,
    workers: int = 1,
    platform: str = "auto",
    progress: Progress = silent,
    interruption: Interruption | None = None,
) -> TrainingResult:
    """Train a model of ``system`` on the frames in ``data`` (run directories, ensembles, trajectories).

    ``model`` names its kind (:data:`molgen.models.table.MODELS`); ``auto`` takes the one that suits the system.
    ``reading`` says which frames and atoms of trajectory files are taken. Labels of equal branches are matched to the
    system's; frames outside its domain are left out and counted, and if they are more than half the run is refused.
    Frames of umbrella runs may stand beside others: the model then draws more often where these biases held the
    molecule, and states are judged by the others alone. From frames of several temperatures, the system's among them, a
    continuous flow learns all temperatures between. How each kind learns is said in :mod:`molgen.training`; in the end
    fresh draws and frames are compared state by state. A time limit in ``interruption`` shortens training to fit (such
    a model cannot be repeated exactly); without one it depends on system, data, settings, seed and platform alone. The
    same call again continues an interrupted run. A system without states gets those its frames fall into
    (:mod:`molgen.observables.basins`); they stay in the model. ``InputError`` for unusable frames, a model that does
    not suit the system, or a declared state that no frame visits; ``UsageError`` for settings of another model.
    """
    choice = choose_model(system, model)
    settings = _settings(choice, settings)
    interruption = interruption or Interruption()
    paths = [Path(item) for item in data]
    frames = _open_frames(paths, system, reading, settings)
    settings = _at_temperatures(choice, settings, system, frames.frames)
    check_visited(system, frames.frames)
    name = platform_name(system, platform)
    config = {
        "system": system.name,
        "fingerprint": system.fingerprint,
        "temperature_k": system.temperature_k,
        "data": {str(path): _fingerprint(path) for path in paths},
        "model": choice.name,
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
            session = TrainingSession(run, system, choice, settings, energy, progress, interruption)
            result = session.train(frames)
        run.finish(result.to_json(), artifacts=["model.safetensors", "model.json"])
        (run.path / CHECKPOINT).unlink(missing_ok=True)
    return result


def _open_frames(
    paths: Sequence[Path], system: System, reading: ReadingOptions, settings: AnyTrainingSettings
) -> UsableFrames:
    """The frames that are usable; ``InputError`` if all of them were made under a bias."""
    usable = open_frames(paths, system, reading, most=settings.max_frames, biased=True)
    if not usable.frames.unbiased.any():
        raise InputError(
            f"All frames were made under the bias {usable.frames.biases[0]}.",
            "Give frames of simulate --explore or --plain beside them: by those the states are judged.",
        )
    return usable


def _settings(choice: ModelChoice, settings: AnyTrainingSettings | None) -> AnyTrainingSettings:
    """``settings``, or the defaults of the chosen model; ``UsageError`` if they are another model's."""
    wanted = training_of(choice.name).settings_class
    if settings is None:
        return default_settings(choice.name)
    if not isinstance(settings, wanted):
        raise UsageError(
            f"These are settings of {type(settings).__name__}, not of the model {choice.name}.",
            f'Start from training_settings(system, "{choice.name}").',
        )
    return settings


def _at_temperatures(
    choice: ModelChoice, settings: AnyTrainingSettings, system: System, frames: FrameSet
) -> AnyTrainingSettings:
    """``settings`` of a model of all temperatures of ``frames``; ``InputError`` if the system's is not among them."""
    if all(abs(t - system.temperature_k) > ROUNDING_K for t in frames.temperatures):
        listed = ", ".join(f"{t:g}" for t in frames.temperatures)
        raise InputError(
            f"The frames are from {listed} K, the system is at {system.temperature_k:g} K.",
            f"Give frames of {system.temperature_k:g} K, alone or beside those of others.",
        )
    result: AnyTrainingSettings = training_of(choice.name).at_temperatures(settings, system, frames.temperatures)
    return result


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
