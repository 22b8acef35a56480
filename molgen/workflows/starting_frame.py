"""The frame that plain and umbrella runs start from, where it is not the system's own structure."""

import hashlib
from pathlib import Path

import numpy as np

from molgen.arrays import FloatArray
from molgen.dynamics.schedule import Mode
from molgen.errors import UsageError
from molgen.systems.system import System
from molgen.trajectories.reading import read_frames
from molgen.workflows.frames import usable_frames


def starting_frame(path: Path | str | None, system: System, mode: Mode) -> FloatArray:
    """The last frame (N, D) in nm of a structure, a trajectory or a run (an umbrella run's too); None: the system's.

    It is checked as all frames of a user are, and labels of equal branches are matched to the system's.
    ``InputError`` for what :func:`molgen.trajectories.reading.read_frames` refuses, and for a frame outside the
    system's domain (another stereoisomer, a turned peptide bond); ``UsageError`` for an exploring run.
    """
    if path is None:
        return system.positions
    if mode == "explore":
        raise UsageError("Exploring starts from the system's own structure.", "Give --plain, or leave --start out.")
    frames = read_frames([Path(path)], system, biased=True)
    last = usable_frames(frames.select(slice(-1, None)), system).frames
    return np.asarray(last.positions[-1], dtype=np.float64)


def start_digest(frame: FloatArray) -> str:
    """What tells the runs from this frame (N, D) from those of another."""
    return hashlib.sha256(np.ascontiguousarray(frame, dtype="<f8").tobytes()).hexdigest()
