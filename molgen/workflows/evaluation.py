"""`evaluate`: what a model has learned of the physics, beside what it was trained to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molgen.analysis import forces as compared
from molgen.arrays import FloatArray
from molgen.energies.factory import open_energy
from molgen.engines.executors import open_executor
from molgen.errors import InputError, UsageError
from molgen.files import to_plain
from molgen.interruption import Interruption
from molgen.models.artifact import LoadedModel, load_model
from molgen.models.table import MODELS, model_class
from molgen.progress import Progress, ProgressEvent, silent
from molgen.rundir import RunDirectory
from molgen.systems.system import MolecularSystem, System
from molgen.trajectories.options import EVERYTHING, ReadingOptions
from molgen.weights import normalised
from molgen.workflows.frames import UsableFrames, check_temperature, open_frames

KIND = "evaluate"
RESULT = "evaluation.json"
FRAMES = 500
"""Frames compared where no number is asked for."""
NOISE = (0.01, 0.03, 0.1)
"""Noise levels where none is asked for, in parts of the root mean square coordinate of the centred frames."""
_PIECE = 64


@dataclass(frozen=True)
class _Job:
    """What is compared with what."""

    loaded: LoadedModel
    usable: UsableFrames
    noise: tuple[float, ...] | None
    workers: int
    platform: str


@dataclass(frozen=True)
class EvaluationResult:
    """What stands in evaluation.json; ``directory`` is None where nothing was written."""

    directory: Path | None
    record: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The content of evaluation.json."""
        return dict(self.record)


def evaluate(
    model: str | Path,
    data: Sequence[Path],
    output: Path | None = None,
    *,
    forces: bool = False,
    frames: int = FRAMES,
    noise: Sequence[float] | None = None,
    reading: ReadingOptions = EVERYTHING,
    seed: int | None = None,
    workers: int = 1,
    platform: str = "auto",
    progress: Progress = silent,
    interruption: Interruption | None = None,
) -> EvaluationResult:
    """Compare the score of ``model`` with the forces on at most ``frames`` frames of ``data``.

    A model with an exact density is compared by ∇ log q, one that was trained on noised frames by its score at each
    ``noise`` (nm; :data:`NOISE` if None). Both are compared in Cartesian space without their parts along rigid
    motion. With ``output`` the result is written there as evaluation.json.

    ``UsageError`` if nothing is to be evaluated; ``InputError`` for a model without a score in closed form, fixed
    bonds, or frames that are not the system's.
    """
    if not forces:
        raise UsageError("There is nothing to evaluate.", "Give --forces.")
    if frames < 2 or any(not np.isfinite(level) or level <= 0.0 for level in noise or ()):
        raise UsageError(
            "There are too few frames, or a noise level is not above zero.",
            "Give 2 frames or more, and noise such as 0.005.",
        )
    loaded = load_model(model)
    _check(loaded, noise)
    usable = open_frames(list(data), loaded.system, reading, most=frames)
    check_temperature(usable.frames, loaded.temperature_k, "The data")
    stop = interruption or Interruption()
    job = _Job(loaded, usable, None if noise is None else tuple(noise), workers, platform)
    if output is None:
        return EvaluationResult(None, _evaluate(job, progress, stop))
    config = {
        "model_sha256": loaded.sha256,
        "data": [str(Path(path).resolve()) for path in data],
        "forces": forces,
        "frames": frames,
        "noise": list(noise) if noise is not None else None,
        "reading": reading.to_json(),
        "platform": platform,
    }
    with RunDirectory.open(output, kind=KIND, config=config, seed=seed) as run:
        record = run.read_json(RESULT) if run.complete else None
        if record is None:
            record = _evaluate(job, progress, stop)
            run.write_json(RESULT, record)
            run.finish({"correlation": record["rows"][0]["correlation"], "slope": record["rows"][0]["slope"]})
    return EvaluationResult(Path(output), record)


def plan_evaluation(model: str | Path, *, frames: int = FRAMES, noise: Sequence[float] | None = None) -> dict[str, Any]:
    """What :func:`evaluate` would do: energy evaluations, scores, memory of one piece (MB)."""
    loaded = load_model(model)
    _check(loaded, noise)
    levels = 1 if _exact(loaded) else len(noise or NOISE)
    numbers = loaded.system.n_particles * loaded.system.dim
    return {
        "system": loaded.system.name,
        "frames_at_most": frames,
        "evaluations": frames,
        "scores": levels * frames,
        "memory_mb": round((frames * numbers * 8 * 6 + _PIECE * numbers * 8 * 200) / 1e6 + 300),
        "files": [RESULT],
    }


def _name(loaded: LoadedModel) -> str:
    return next(name for name in MODELS if isinstance(loaded.model, model_class(name)))


def _exact(loaded: LoadedModel) -> bool:
    """Whether the model's own density has a gradient in closed form."""
    return hasattr(loaded.model, "exact_score")


def _check(loaded: LoadedModel, noise: Sequence[float] | None) -> None:
    """``InputError`` for a model or system whose score cannot be compared with forces."""
    if not _exact(loaded) and not hasattr(loaded.model, "score"):
        raise InputError(
            f"A {_name(loaded)} model learns a velocity field that has no score in closed form to compare with forces.",
            "Train with --model spline or --model diffusion.",
        )
    if _exact(loaded) and noise is not None:
        raise InputError(
            f"A {_name(loaded)} model has an exact density, so that no noise is added to it.", "Leave out --noise."
        )
    if isinstance(loaded.system, MolecularSystem) and loaded.system.constraints:
        raise InputError(
            f"{loaded.system.name} has fixed bonds, along which a density has no gradient to compare with forces.",
            "Use a system without constraints.",
        )


def _evaluate(job: _Job, progress: Progress, stop: Interruption) -> dict[str, Any]:
    loaded, frames = job.loaded, job.usable.frames
    positions = np.asarray(frames.positions, dtype=np.float64)
    with open_executor(job.workers) as executor:
        energy = open_energy(
            loaded.system, executor=executor, platform=job.platform, temperature_k=loaded.temperature_k
        )
        reduced, gradient = energy.reduced_and_gradient(positions, purpose="data")
    finite = np.asarray(np.isfinite(reduced))
    if np.sum(finite) < 2:
        raise InputError("No frames have finite forces to compare with.", "Look at them with molgen check.")
    total = frames.total_log_weight
    weight = normalised((np.zeros(len(frames)) if total is None else total)[finite])
    positions, force = positions[finite], compared.without_rigid_motion(positions[finite], -gradient[finite])
    rows: list[compared.ForceRow] = []
    for level in _levels(job, positions):
        score = _scored(loaded, positions, level, progress, stop)
        bad = int(np.sum(~np.isfinite(score).all(axis=(1, 2))))
        if bad:
            raise InputError(f"The score of {bad} of {len(score)} frames is not finite.", "Train the model again.")
        score = compared.without_rigid_motion(positions, score)
        rows += _rows(loaded.system, positions, score, force, weight, level)
    return to_plain(  # type: ignore[no-any-return]
        {
            "system": loaded.system.name,
            "model": _name(loaded),
            "model_sha256": loaded.sha256,
            "temperature_k": loaded.temperature_k,
            "score": "exact" if _exact(loaded) else "noised",
            "frames": len(positions),
            "left_out": int(np.sum(~finite)),
            "rows": [row.to_json() for row in rows],
            "notes": _notes(job),
            "evaluations": energy.counter.as_dict(),
            "platform": energy.platform,
        }
    )


def _levels(job: _Job, positions: FloatArray) -> tuple[float, ...]:
    """Noise in nm; 0 stands for the exact density."""
    if _exact(job.loaded):
        return (0.0,)
    if job.noise is not None:
        return job.noise
    centred = positions - positions.mean(axis=1, keepdims=True)
    return tuple(float(f"{part * np.sqrt(np.mean(centred**2)):.2g}") for part in NOISE)


def _scored(
    loaded: LoadedModel, positions: FloatArray, noise: float, progress: Progress, stop: Interruption
) -> FloatArray:
    """The score (n, N, D) in 1/nm, piece by piece."""
    import torch

    parts = []
    for start in range(0, len(positions), _PIECE):
        stop.check()
        piece = torch.as_tensor(positions[start : start + _PIECE])
        model: Any = loaded.model
        score = model.exact_score(piece) if noise == 0.0 else model.score(piece, noise)
        parts.append(score.detach().double().numpy())
        done = min(start + _PIECE, len(positions))
        progress(ProgressEvent("scores", done, len(positions), "frames"))
    return np.concatenate(parts)


def _rows(
    system: System, positions: FloatArray, score: FloatArray, force: FloatArray, weight: FloatArray, noise: float
) -> list[compared.ForceRow]:
    """All components, those along bonds, and those of each element (of a cluster: none, its particles are alike)."""
    rows = [compared.compare("all", score, force, weight, noise=noise)]
    if not isinstance(system, MolecularSystem):
        return rows
    bonds = system.topology.bonds
    directions, length = compared.bond_directions(positions, bonds)
    pulled, held = (compared.along_bonds(vectors, directions, bonds) for vectors in (score, force))
    expected = compared.expected_bond_slope(length, weight, noise)
    rows.append(compared.compare("bonds", pulled, held, weight, noise=noise, expected=expected))
    elements = [atom.element for atom in system.topology.atoms]
    for element, atoms in compared.classes(elements).items():
        rows.append(compared.compare(element, score[:, atoms], force[:, atoms], weight, noise=noise))
    return rows


def _notes(job: _Job) -> list[str]:
    notes = list(job.usable.notes)
    if job.usable.frames.kind != "equilibrium":
        notes.append(
            "These are explore frames: a model of such frames alone has learned their density, whose score is no force."
        )
    return notes
