"""Frames to shoot from: trajectories, runs of dynamics, draws of a model with or without weights."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.committor.transition_states import FrameOrigin
from molgen.errors import InputError
from molgen.files import sha256_file
from molgen.models.temperature import ROUNDING_K
from molgen.rundir import MANIFEST, read_manifest
from molgen.shooting.ledger import Ledger
from molgen.systems.system import System
from molgen.trajectories.options import ReadingOptions
from molgen.workflows.export_source import open_source
from molgen.workflows.frames import open_frames

LEDGER = "shots"
COMMITTOR_RUN = "committor-run"
"""The kind of a ``committor run``."""
_REASONS = {
    "explore": "explore frames cover the states, or a part of the target only",
    "umbrella": "umbrella frames follow a bias",
}


@dataclass(frozen=True, eq=False)
class ShootingFrames:
    """Frames (n, N, D) inside the domain, their weights (n,) where they have any, and their lineage (n,).

    ``unweighted`` says why averages over them are none over the Boltzmann distribution; None where they are.
    ``origin`` says what a lineage is. ``refused`` are reasons not to believe the weights at all. ``notes`` say what
    was done to the frames that were given.
    """

    positions: FloatArray
    log_weight: FloatArray | None
    lineage: IntArray
    unweighted: str | None
    origin: FrameOrigin = "dynamics"
    refused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def shooting_frames(paths: Sequence[Path], system: System, reading: ReadingOptions) -> ShootingFrames:
    """The frames of ``paths``: of one ``sample``, ``reweight`` or ``committor run``, or what ``molgen train`` reads.

    Of a ``committor run`` they are those on the way of its shots.

    Draws that were not weighed all count the same: a committor belongs to a configuration, however that was found.
    ``InputError`` for frames of another system, and for draws given together with anything else.
    """
    if len(paths) == 1 and _kind(paths[0]) == COMMITTOR_RUN:
        return _of_run(paths[0], system)
    draws = [path for path in paths if _kind(path) in ("sample", "reweight")]
    if not draws:
        usable = open_frames(paths, system, reading)
        frames = usable.frames
        reason = None
        if frames.kind != "equilibrium":
            reason = _REASONS[frames.kind]
        elif any(abs(t - system.temperature_k) > ROUNDING_K for t in frames.temperatures):
            reason = f"frames of {frames.temperatures[0]:g} K are none of {system.temperature_k:g} K"
        positions = np.asarray(frames.positions, dtype=np.float64)
        lineage = np.asarray(frames.lineage)
        return ShootingFrames(positions, frames.total_log_weight, lineage, reason, notes=usable.notes)
    if len(paths) > 1:
        raise InputError(f"{draws[0]} holds draws, which cannot be joined with other frames.", "Give it alone.")
    source = open_source(draws[0])
    if source.system.fingerprint != system.fingerprint:
        raise InputError(
            f"{draws[0]} is of another molecule or force field than {system.name}.", "Give draws of this system."
        )
    positions = np.asarray(source.slice(0, source.n), dtype=np.float64)
    rows = np.flatnonzero(source.usable)
    weight = None if source.log_weight is None else source.log_weight[rows]
    reason = "draws of a model have its density" if weight is None else None
    if weight is not None and abs(source.temperature_k - system.temperature_k) > ROUNDING_K:
        reason = f"weights for {source.temperature_k:g} K are none for {system.temperature_k:g} K"
    if source.population is not None:  # particles of a population share ancestors
        return ShootingFrames(positions[rows], weight, source.population[rows], reason, "populations", source.refused)
    return ShootingFrames(positions[rows], weight, rows.astype(np.int64), reason, "draws", source.refused)


def boltzmann_frames(paths: Sequence[Path], system: System, reading: ReadingOptions) -> ShootingFrames:
    """:func:`shooting_frames` of a Boltzmann sample; ``InputError`` if they are none."""
    frames = shooting_frames(paths, system, reading)
    if frames.unweighted is not None:
        raise InputError(
            f"The frames in {paths[0]} are no Boltzmann sample: {frames.unweighted}.",
            "Give a reweight run, or frames of dynamics at equilibrium.",
        )
    return frames


def source_identity(path: Path) -> str:
    """What tells a source of frames from another: the hash of manifest or file. ``InputError`` for neither."""
    if (path / MANIFEST).is_file():
        return sha256_file(path / MANIFEST)
    if not path.is_file():
        raise InputError(
            f"{path} is neither the directory of a run nor a file of frames.", "Give the -o of a run, or a trajectory."
        )
    return sha256_file(path)


def _of_run(path: Path, system: System) -> ShootingFrames:
    if json.loads((path / "system.json").read_bytes())["fingerprint"] != system.fingerprint:
        raise InputError(f"The shots in {path} are of another molecule than {system.name}.", "Give this system's.")
    ledger = Ledger(path / LEDGER)
    points, trail = ledger.points(), ledger.trail(sorted(ledger.stages()))
    if points is None:
        raise InputError(f"{path} holds no shots.", "Let the run go on first.")
    reason = "frames on the way of shots are not those of the ensemble"
    return ShootingFrames(trail.positions, None, points.lineage[trail.passage], reason)


def _kind(path: Path) -> str | None:
    """The kind of run in ``path``; None for anything else."""
    return read_manifest(path).kind if (path / MANIFEST).is_file() else None
