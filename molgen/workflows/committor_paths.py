"""`committor paths`: transition path sampling between two states, and what its chains are worth."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from molgen.analysis.correlated import independent_rows
from molgen.arrays import FloatArray
from molgen.committor.artifact import load_committor
from molgen.committor.selection import CommittorSelection
from molgen.dynamics.passage import PassageDynamics
from molgen.dynamics.passage_factory import dynamics_record, open_passages
from molgen.dynamics.propagator import steps_of
from molgen.energies.platforms import platform_name
from molgen.engines.executors import open_executor
from molgen.errors import InputError, UsageError
from molgen.files import to_plain
from molgen.interruption import Interruption
from molgen.observables.boundary import Boundary
from molgen.progress import Progress, silent
from molgen.rundir import RunDirectory, configuration_hash
from molgen.settings import Settings
from molgen.shooting.paths import (
    Selection,
    UniformSelection,
    first_paths,
    make_moves,
    paths_content,
    paths_of_content,
)
from molgen.shooting.stages import Content, Stages
from molgen.systems.record import system_record
from molgen.systems.system import AnalyticSystem, System
from molgen.trajectories.options import EVERYTHING, ReadingOptions
from molgen.workflows.route_starts import FIRST, PATHS, path_candidates
from molgen.workflows.shooting import chosen_states
from molgen.workflows.stage_running import StageRunning

MOST_TOO_LONG = 0.01
"""Share of moves that may be given up for their length."""


class PathsSettings(Settings):
    """``chains`` chains, of which ``discard`` moves each are left out; ``stage`` moves a file, ``group`` chains a task.

    A leg that has found no state after ``limit_ps`` (None: 1,000,000 time steps) is given up. None for ``group`` is one
    chain of a molecule, all chains of an analytic system, which move at once.
    """

    chains: PositiveInt = 10
    discard: NonNegativeInt = 20
    stage: PositiveInt = 10
    group: PositiveInt | None = None
    limit_ps: PositiveFloat | None = None

    def limit_steps(self, timestep_ps: float) -> int:
        """The limit in time steps."""
        return 1_000_000 if self.limit_ps is None else max(1, steps_of(self.limit_ps, timestep_ps))

    def groups(self, system: System) -> list[int]:
        """How many chains each task has."""
        size = self.group or (self.chains if isinstance(system, AnalyticSystem) else 1)
        return [min(size, self.chains - first) for first in range(0, self.chains, size)]

    def moves(self, n: int) -> int:
        """Moves of each chain for ``n`` paths in all."""
        return self.discard + math.ceil(n / self.chains)


@dataclass(frozen=True)
class PathsResult:
    """The chains in figures; paths after the discarded moves, one a move, accepted or not.

    ``reactive`` is the share of moves whose legs ended in different states, ``too_long`` of those that were given up.
    ``path_time`` is the mean duration (that of its frames) with its 95 % interval; ``inefficiency`` moves of a chain
    are worth one independent path, by the path's length.
    """

    directory: Path
    system: str
    a: str
    b: str
    paths: int
    chains: int
    selection: str
    acceptance: float
    reactive: float
    too_long: float
    crashed: int
    path_time: float
    path_time_low: float
    path_time_high: float
    unit: str
    inefficiency: float
    independent_paths: float
    evaluations: int
    dynamics_sha256: str
    seed: int
    platform: str
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**self.__dict__, "directory": str(self.directory)}


def plan_paths(
    system: System, *, n: int, a: str | None = None, b: str | None = None, settings: PathsSettings | None = None
) -> dict[str, Any]:
    """What :func:`sample_paths` would do: chains, moves, files."""
    settings = settings or PathsSettings()
    boundary = chosen_states(system, a, b)
    moves = settings.moves(n)
    return {
        "system": system.name,
        "from": boundary.a,
        "to": boundary.b,
        "chains": settings.chains,
        "moves": moves * settings.chains,
        "files": len(settings.groups(system)) * math.ceil(moves / settings.stage),
    }


def sample_paths(
    system: System,
    data: Sequence[str | Path],
    output: str | Path,
    *,
    n: int = 500,
    a: str | None = None,
    b: str | None = None,
    committor: str | Path | None = None,
    reading: ReadingOptions = EVERYTHING,
    settings: PathsSettings | None = None,
    seed: int | None = None,
    workers: int = 1,
    platform: str = "auto",
    progress: Progress = silent,
    interruption: Interruption | None = None,
) -> PathsResult:
    """Sample ``n`` transition paths between ``a`` and ``b`` and write them into ``output``.

    The first path of each chain is shot from ``data``: shots among which pairs ended in both states, or frames between
    them. Frames of a path are shot from alike, or as the ``committor`` (a directory) prefers. The same call continues
    an interrupted run. ``InputError`` where no first path is found, or for a committor of other dynamics.
    """
    if n < 1:
        raise UsageError(f"{n} paths cannot be sampled.", "Ask for at least one.")
    settings = settings or PathsSettings()
    boundary = chosen_states(system, a, b)
    chosen = platform_name(system, platform)
    dynamics = open_passages(system, boundary, platform=chosen)
    record = dynamics_record(system, boundary)
    selection, digest = _selection(committor, record)
    config = {
        "system": system.name,
        "dynamics": record,
        "data": [str(path) for path in data],
        "paths": n,
        "settings": settings.model_dump(),
        "committor": digest,
        "platform": chosen,
    }
    if reading != EVERYTHING:
        config["reading"] = reading.to_json()
    with RunDirectory.open(output, kind=PATHS, config=config, seed=seed) as run:
        if run.complete:
            stored = run.manifest.result
            return PathsResult(**{**stored, "directory": run.path, "notes": tuple(stored["notes"])})
        if not (run.path / "candidates.npz").exists():
            found = path_candidates([Path(path) for path in data], system, boundary, reading)
            with run.atomic("candidates.npz") as path:
                np.savez(path, allow_pickle=False, positions=found)
        run.write_json("system.json", system_record(system))
        with np.load(run.path / "candidates.npz", allow_pickle=False) as file:
            candidates = file["positions"]
        stages, moves = Stages(run.path / PATHS, "chain"), settings.moves(n)
        running = StageRunning(stages, run.seed, workers, progress, interruption or Interruption(), "moves")
        limit = settings.limit_steps(dynamics.timestep_ps)
        advance = partial(_advance, dynamics, selection, candidates, settings.stage, moves, limit)
        groups = settings.groups(system)
        with open_executor(workers) as executor:
            running.run(executor, groups, advance, _done, [moves] * len(groups))
        result = _result(run, stages, boundary, settings, dynamics, config, run.seed)
        run.finish(result.to_json())
    return result


def _selection(committor: str | Path | None, record: dict[str, Any]) -> tuple[Selection, str | None]:
    if committor is None:
        return UniformSelection(), None
    loaded = load_committor(committor)
    if loaded.dynamics_sha256 != configuration_hash(record):
        raise InputError(
            f"The committor in {committor} belongs to other dynamics or states.", "Fit one to shots of this system."
        )
    return CommittorSelection(Path(committor).absolute()), loaded.sha256


def _advance(
    dynamics: PassageDynamics,
    selection: Selection,
    candidates: FloatArray,
    stage: int,
    total: int,
    limit: int,
    chains: int,
    before: Content | None,
    seed: int,
) -> Content:
    """The next ``stage`` moves of a task of ``chains`` chains."""
    steps = 0
    if before is None:
        paths, steps = first_paths(dynamics, selection, candidates, chains, limit, seed)
        done = 0
        kept = [(FIRST, chain, path) for chain, path in enumerate(paths)]
    else:
        paths, done, kept = paths_of_content(before, "last_"), _done(before), []
    paths, moves, accepted = make_moves(dynamics, selection, paths, min(stage, total - done), limit, seed)
    kept += [(done + move, chain, path) for move, chain, path in accepted]
    content = {
        "done": np.array(done + len(moves.length)),
        "length": moves.length,
        "trial": moves.trial,
        "accepted": moves.accepted,
        "too_long": moves.too_long,
        "crashed": np.array(moves.crashed),
        "steps": np.array(steps + moves.steps),
        "kept_move": np.array([move for move, _, _ in kept], dtype=np.int64),
        "kept_chain": np.array([chain for _, chain, _ in kept], dtype=np.int64),
        **paths_content(paths, "last_"),
    }
    if kept:
        content |= paths_content([path for _, _, path in kept], "kept_")
    return content


def _done(content: Content) -> int:
    return int(content["done"])


def _result(
    run: RunDirectory,
    stages: Stages,
    boundary: Boundary,
    settings: PathsSettings,
    dynamics: PassageDynamics,
    config: dict[str, Any],
    seed: int,
) -> PathsResult:
    groups: dict[int, list[Content]] = {}
    for task, content in stages.contents():
        groups.setdefault(task, []).append(content)

    def columns(name: str) -> FloatArray:
        """(chains, moves) without the discarded ones."""
        parts = [np.concatenate([content[name] for content in group]) for group in groups.values()]
        return np.asarray(np.concatenate(parts, axis=1).T[:, settings.discard :])

    length = columns("length")
    time = length * (dynamics.check_every * dynamics.timestep_ps)
    chain = np.repeat(np.arange(len(length)), length.shape[1])
    inefficiency = independent_rows(chain, [time.ravel()]).inefficiency
    worth = time.size / inefficiency
    half = 1.96 * float(time.std()) / math.sqrt(worth)
    too_long, mean = float(columns("too_long").mean()), float(time.mean())
    contents = [content for group in groups.values() for content in group]
    crashed = sum(int(content["crashed"]) for content in contents)
    notes = []
    if too_long > MOST_TOO_LONG:
        notes.append(f"{too_long:.1%} of the moves were given up for their length: long paths are missing.")
    if worth < 10 * len(length) / 2:
        notes.append("The chains are short beside their correlation: discard and sample more moves.")
    if crashed:
        notes.append(f"{crashed} legs left the finite numbers; their moves were rejected.")
    return PathsResult(
        directory=run.path,
        system=boundary.system.name,
        a=boundary.a,
        b=boundary.b,
        paths=time.size,
        chains=len(length),
        selection="uniform" if config["committor"] is None else "committor",
        acceptance=float(columns("accepted").mean()),
        reactive=float((columns("trial") > 0).mean()),
        too_long=too_long,
        crashed=crashed,
        path_time=mean,
        path_time_low=mean - half,
        path_time_high=mean + half,
        unit="time" if isinstance(boundary.system, AnalyticSystem) else "ps",
        inefficiency=inefficiency,
        independent_paths=worth,
        evaluations=sum(int(content["steps"]) for content in contents),
        dynamics_sha256=configuration_hash(config["dynamics"]),
        seed=seed,
        platform=str(config["platform"]),
        notes=tuple(to_plain(notes)),
    )
