"""The first configurations between two states: hot dynamics from the structure and, once reached, from both states."""

from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from molgen.arrays import FloatArray, IntArray
from molgen.coordinates.domain import domain_of
from molgen.dynamics.factory import open_propagator
from molgen.dynamics.propagator import Piece, Propagator, steps_of
from molgen.dynamics.schedule import SimulationSettings
from molgen.dynamics.starts import starting_structures
from molgen.errors import InputError
from molgen.interruption import Interruption
from molgen.observables.boundary import NEITHER, A, B, Boundary
from molgen.progress import Progress, ProgressEvent
from molgen.rundir import RunDirectory
from molgen.seeds import child_seed, numpy_generator
from molgen.settings import Settings
from molgen.shooting.lineages import excursions
from molgen.workflows.committor_bisection import Way

_CHAINS_PER_TASK = 5
OUTSIDE_DOMAIN = -3
"""Label of a frame that is no longer the molecule (another stereoisomer)."""


class ExploringSettings(Settings):
    """``chains`` hot trajectories of at most ``limit_ps`` each, until there is enough between the states.

    Enough are ``candidates`` frames outside both states and ``transitions`` ways from one to the other. The chains
    advance by ``interval_ps`` at a time and keep ``frames`` frames of it, of which every ``stride``-th counts where no
    transition is under way. The temperature, the time step and the friction are those of ``molgen simulate --explore``
    (``dynamics``).
    """

    chains: PositiveInt = 20
    interval_ps: PositiveFloat = 5.0
    frames: PositiveInt = 250
    stride: PositiveInt = 5
    limit_ps: PositiveFloat = 200.0
    candidates: PositiveInt = 500
    transitions: PositiveInt = 40
    dynamics: SimulationSettings = SimulationSettings()


@dataclass(frozen=True, eq=False)
class Explored:
    """Frames (n, N, D) outside both states, the excursion (n,) of each, the ways between them, and the steps spent."""

    positions: FloatArray
    lineage: IntArray
    ways: list[Way]
    evaluations: int


@dataclass(frozen=True, eq=False)
class _Stage:
    """Frames (W, F, N, D) of all chains, and their labels (W, F)."""

    positions: FloatArray
    label: IntArray


@dataclass(frozen=True, eq=False)
class Exploring:
    """Exploring between the states of ``boundary``; every stage is a file of ``run``, found again when resumed."""

    run: RunDirectory
    boundary: Boundary
    settings: ExploringSettings
    platform: str
    progress: Progress
    interruption: Interruption

    def explore(self, executor: Executor) -> Explored:
        """Advance the chains until there is enough between the states.

        ``InputError`` if they overlap, or if one of them is not met within the limit, or nothing between them.
        """
        system, settings = self.boundary.system, self.settings
        propagator = open_propagator(system, settings.dynamics, platform=self.platform)
        every = max(1, steps_of(settings.interval_ps / settings.frames, propagator.timestep_ps))
        piece = Piece(settings.dynamics.hot_k(system), every * settings.frames, every)
        most = max(2, round(settings.limit_ps / settings.interval_ps))
        starts = np.stack(starting_structures(system, settings.chains, self.platform))
        stages: list[_Stage] = []
        met_at: int | None = None
        while len(stages) < most:
            number = len(stages)
            path = self.run.path / f"explore-{number:03d}.npz"
            if not path.exists():
                self._advance(executor, propagator, starts, piece, number)
            stages.append(self._read(path))
            self.progress(ProgressEvent("exploring", number + 1, most, "stages"))
            if met_at is None and _met(stages, A) and _met(stages, B):
                met_at = number
                starts = self._from_both(stages)
            else:
                starts = _going_on(stages[-1], starts)
            if met_at is not None and number > met_at and self._enough(stages, met_at + 1):
                break
        steps = len(stages) * settings.chains * piece.evaluations
        return self._found(stages, len(stages) if met_at is None else met_at + 1, steps, piece.temperature_k)

    def _enough(self, stages: list[_Stage], renewed: int) -> bool:
        outside = sum(int((stage.label == NEITHER).sum()) for stage in stages) // self.settings.stride
        ways = sum(len(found) for found in _transitions(stages, renewed))
        return outside >= self.settings.candidates and ways >= self.settings.transitions

    def _advance(
        self, executor: Executor, propagator: Propagator, starts: FloatArray, piece: Piece, number: int
    ) -> None:
        """Write one stage."""
        self.interruption.check()
        futures = []
        for first in range(0, len(starts), _CHAINS_PER_TASK):
            seed = child_seed(self.run.seed, "exploring", number, first)
            futures.append(executor.submit(propagator.run, starts[first : first + _CHAINS_PER_TASK], piece, seed))
        positions = np.concatenate([future.result() for future in futures])
        flat = positions.reshape(-1, *positions.shape[2:])
        if np.any(self.boundary.overlap(flat)):
            raise InputError(
                f"The states {self.boundary.a} and {self.boundary.b} overlap: some frames are in both.",
                "Give conditions that exclude each other in the system.toml.",
            )
        label = np.where(domain_of(self.boundary.system).contains(flat), self.boundary.assign(flat), OUTSIDE_DOMAIN)
        with self.run.atomic(f"explore-{number:03d}.npz") as path:
            np.savez(path, allow_pickle=False, positions=positions, label=label.reshape(positions.shape[:2]))

    def _from_both(self, stages: list[_Stage]) -> FloatArray:
        """Starts (W, N, D): even chains from frames in A, odd ones from frames in B."""
        generator = numpy_generator(self.run.seed, "exploring", "both")
        inside = [np.concatenate([stage.positions[stage.label == state] for stage in stages]) for state in (A, B)]
        return np.stack([inside[c % 2][generator.integers(len(inside[c % 2]))] for c in range(self.settings.chains)])

    def _found(self, stages: list[_Stage], renewed: int, steps: int, hot_k: float) -> Explored:
        label, positions = _joined([stage.label for stage in stages]), _joined([stage.positions for stage in stages])
        lineage = _lineage(label, renewed * stages[0].label.shape[1])
        ways, counted = [], np.zeros(label.shape, dtype=np.bool_)
        counted[:, :: self.settings.stride] = True
        for row, found in enumerate(_transitions(stages, renewed)):
            for first, last in found:
                counted[row, first + 1 : last] = True
                frames = positions[row, first + 1 : last]
                forwards = label[row, first] == A
                ways.append(Way(frames if forwards else frames[::-1], int(lineage[row, first + 1])))
        time = self.settings.chains * len(stages) * self.settings.interval_ps
        for state, name in ((A, self.boundary.a), (B, self.boundary.b)):
            if not np.any(label == state):
                raise InputError(
                    f"No dynamics reached {name} in {time:g} ps at {hot_k:g} K.",
                    "Give frames near it as DATA, or explore hotter or longer (--set "
                    "exploring.dynamics.hot_temperature_k=..., --set exploring.limit_ps=...).",
                )
        outside = (label == NEITHER) & counted
        if not outside.any():
            raise InputError(
                f"No frame lies between {self.boundary.a} and {self.boundary.b}.",
                "Make the states smaller, so that they do not touch.",
            )
        return Explored(positions[outside], lineage[outside], ways, steps)

    def _read(self, path: Path) -> _Stage:
        with np.load(path, allow_pickle=False) as file:
            content: dict[str, Any] = {name: file[name] for name in file.files}
        return _Stage(**content)


def _met(stages: list[_Stage], state: int) -> bool:
    return any(bool(np.any(stage.label == state)) for stage in stages)


def _joined(parts: list[Any]) -> Any:
    """Stages (W, F, ...) one after the other in time, (W, stages * F, ...)."""
    return np.concatenate(parts, axis=1)


def _lineage(label: IntArray, cut: int) -> IntArray:
    """The excursion (W, F) of the frames of chains with these labels (W, F), which began anew at frame ``cut``."""
    chains, frames = label.shape
    piece = 2 * np.arange(chains)[:, None] + (np.arange(frames) >= cut)
    return excursions((label != NEITHER).ravel(), piece.ravel()).reshape(label.shape)


def _transitions(stages: list[_Stage], renewed: int) -> list[list[tuple[int, int]]]:
    """For each chain the frames (last in one state, first in the other) of its ways between them, in time.

    At the stage ``renewed`` the chains began anew; a way through another stereoisomer is none.
    """
    label = _joined([stage.label for stage in stages])
    cut = renewed * stages[0].label.shape[1]
    return [
        [
            (first + start, last + start)
            for start, piece in ((0, row[:cut]), (cut, row[cut:]))
            for first, last in pairwise(np.flatnonzero(piece != NEITHER).tolist())
            if {int(piece[first]), int(piece[last])} == {A, B} and last - first > 1
        ]
        for row in label
    ]


def _going_on(stage: _Stage, starts: FloatArray) -> FloatArray:
    """The last frame of each chain that is still the molecule; where there is none, where it started."""
    result = np.array(starts)
    for chain, label in enumerate(stage.label):
        usable = np.flatnonzero(label != OUTSIDE_DOMAIN)
        if len(usable):
            result[chain] = stage.positions[chain, usable[-1]]
    return result
