"""Where long dynamics between two states begins: shots, frames, transition paths, or the system's own structure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.dynamics.passage import PhasePoints
from molgen.errors import InputError, UsageError
from molgen.observables.boundary import NEITHER, A, B, Boundary
from molgen.rundir import MANIFEST, configuration_hash, read_manifest
from molgen.shooting.ledger import Ledger
from molgen.shooting.paths import Path as TransitionPath
from molgen.shooting.paths import paths_of_content
from molgen.shooting.stages import Stages
from molgen.systems.system import System
from molgen.trajectories.options import ReadingOptions
from molgen.workflows.shooting import KIND as SHOOT
from molgen.workflows.shooting import LEDGER
from molgen.workflows.shooting_source import shooting_frames
from molgen.workflows.shot_data import RUN

PATHS = "paths"
"""The kind of a ``committor paths`` run, and its folder of chains."""
WAYS = {"both": (A, B), "ab": (A,), "ba": (B,)}
"""The states that trajectories leave."""
FIRST = -1
"""The move that stands for the path a chain began with."""


@dataclass(frozen=True, eq=False)
class Starts:
    """Configurations (W, N, D) and the states ``label`` (W,) they lie in.

    With ``velocities`` (W, N, D) each is a phase point at which a trajectory enters its state, coming from the other.
    """

    positions: FloatArray
    label: IntArray
    velocities: FloatArray | None = None

    @property
    def phase(self) -> PhasePoints:
        """The phase points; velocities must be known."""
        assert self.velocities is not None
        return PhasePoints(self.positions, self.velocities)


def path_candidates(data: list[Path], system: System, boundary: Boundary, reading: ReadingOptions) -> FloatArray:
    """Configurations (n, N, D) between the states to shoot a first transition path from.

    Of a ledger those of which a pair of shots ended in both states, if there are any. ``InputError`` without any
    configuration between the states.
    """
    if len(data) == 1 and kind_of(data[0]) in (SHOOT, RUN):
        positions = _of_ledger(data[0], system)
    else:
        positions = shooting_frames(data, system, reading).positions
    between = positions[boundary.assign(positions) == NEITHER]
    if not len(between):
        raise InputError(
            f"No configuration lies between {boundary.a} and {boundary.b}.", "Give shots, or frames between the states."
        )
    return np.asarray(between, dtype=np.float64)


def _of_ledger(source: Path, system: System) -> FloatArray:
    if json.loads((source / "system.json").read_bytes())["fingerprint"] != system.fingerprint:
        raise InputError(f"The shots in {source} are of another molecule than {system.name}.", "Give this system's.")
    ledger = Ledger(source / LEDGER)
    points, shots = ledger.points(), ledger.shots()
    if points is None or shots is None:
        raise InputError(f"{source} holds no shots.", "Run molgen committor shoot again.")
    order = np.lexsort((-shots.sign, shots.pair))
    outcome = shots.outcome[order].reshape(-1, 2)
    apart = np.sort(outcome, axis=1).tolist()
    both = np.array([ends == [A, B] for ends in apart], dtype=np.bool_)
    rows = np.unique(shots.configuration[order].reshape(-1, 2)[both, 0])
    return points.positions[rows] if len(rows) else points.positions


def long_starts(
    data: list[Path], system: System, boundary: Boundary, reading: ReadingOptions, count: int, rng: np.random.Generator
) -> Starts:
    """``count`` starts of long dynamics: frames of ``data`` drawn by their weights, or the system's structure."""
    if not data:
        positions = np.repeat(system.positions[None], count, axis=0)
    else:
        frames = shooting_frames(data, system, reading)
        chance = None
        if frames.log_weight is not None:
            chance = np.exp(frames.log_weight - frames.log_weight.max())
            chance = chance / chance.sum()
        positions = frames.positions[rng.choice(len(frames.positions), size=count, p=chance)]
    positions = np.asarray(positions, dtype=np.float64)
    if np.any(boundary.overlap(positions)):
        raise InputError(
            f"The states {boundary.a} and {boundary.b} overlap: some frames are in both.",
            "Give conditions that exclude each other in the system.toml.",
        )
    return Starts(positions, boundary.assign(positions))


def entrances(source: Path, record: object, states: IntArray) -> Starts:
    """Phase points at which transition paths of the run ``source`` enter the ``states`` (W,), evenly over its moves.

    ``InputError`` if the run is of other dynamics than ``record``, or its paths were given up for their length.
    """
    manifest = read_manifest(source, PATHS)
    if configuration_hash(manifest.config["dynamics"]) != configuration_hash(record):  # type: ignore[arg-type]
        raise InputError(f"The paths in {source} belong to other dynamics or states.", "Sample paths of this system.")
    if manifest.result["too_long"] > 0.01:
        raise InputError(f"{source} gave up paths for their length.", "Sample them again with a longer --limit.")
    paths = list(sampled_paths(source))
    numbers = np.linspace(0.0, len(paths), len(states), endpoint=False).astype(np.int64)
    ends = [paths[n].in_a if s == A else paths[n].in_b for n, s in zip(numbers, states, strict=True)]
    positions = np.concatenate([end.positions for end in ends])
    return Starts(positions, np.array(states), np.concatenate([end.velocities for end in ends]))


def sampled_paths(source: Path) -> Iterator[TransitionPath]:
    """The path after each move of the chains in ``source``, without the discarded moves; chain by chain."""
    manifest = read_manifest(source, PATHS)
    discard = int(manifest.config["settings"]["discard"])
    kept: dict[tuple[int, int], list[tuple[int, TransitionPath]]] = {}
    moves: dict[int, int] = {}
    for task, content in Stages(source / PATHS, "chain").contents():
        moves[task] = int(content["done"])
        for chain in range(content["length"].shape[1]):
            kept.setdefault((task, chain), [])
        if len(content["kept_move"]):
            paths = paths_of_content(content, "kept_")
            for move, chain, path in zip(content["kept_move"], content["kept_chain"], paths, strict=True):
                kept[(task, int(chain))].append((int(move), path))
    for (task, _), changes in sorted(kept.items(), key=lambda item: item[0]):
        changed = dict(changes)
        present = changed[FIRST]
        for move in range(moves[task]):
            present = changed.get(move, present)
            if move >= discard:
                yield present


def kind_of(path: Path) -> str | None:
    """The kind of run in ``path``; None for anything else."""
    return read_manifest(path).kind if (path / MANIFEST).is_file() else None


def states_for(way: str, count: int) -> IntArray:
    """States (``count``,) to begin in: A for ``ab``, B for ``ba``, in turn for ``both``."""
    states = np.array(WAYS[way])
    return np.asarray(states[np.arange(count) % len(states)])


def check_way(way: str) -> None:
    """``UsageError`` for anything but a way."""
    if way not in WAYS:
        raise UsageError(f"There is no way {way!r}.", "Give both, ab (from A to B) or ba (from B to A).")
