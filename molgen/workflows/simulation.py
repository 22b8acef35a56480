"""Simulate: molecular dynamics into a run directory of immutable shards, plain (under a bias if asked) or exploring.

Every task has its own seed and is defined by the settings alone: the frames are the same with one worker and with
many, and after an interruption.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.dynamics.factory import open_propagator
from molgen.dynamics.propagator import Piece, Propagator
from molgen.dynamics.schedule import ExplorePlan, Mode, PlainPlan, SimulationSettings, plan_explore, plan_plain
from molgen.dynamics.starts import starting_structures
from molgen.energies.platforms import resolve_platform
from molgen.engines.executors import open_executor
from molgen.errors import UsageError
from molgen.interruption import Interruption
from molgen.progress import Progress, ProgressEvent, silent
from molgen.rundir import RunDirectory
from molgen.seeds import child_seed
from molgen.systems.record import system_record
from molgen.systems.system import MolecularSystem, System
from molgen.trajectories.frames import FrameKind
from molgen.trajectories.shards import read_shard, write_shard
from molgen.workflows.hot_dynamics import hot_task, read_hot, starting_points, write_hot
from molgen.workflows.starting_frame import start_digest, starting_frame

if TYPE_CHECKING:
    from molgen.bias.base import SumBias

KIND = "simulate"
_BYTES_PER_COORDINATE = 4


@dataclass(frozen=True)
class SimulationResult:
    """What a finished simulation gave; ``rejected_seeds`` hot frames had lost their stereochemistry.

    ``evaluations`` are steps of dynamics, hot ones included; frames of ``kind`` explore give no populations, those of
    ``kind`` umbrella are at equilibrium under ``bias``.
    """

    directory: Path
    system: str
    mode: Mode
    frames: int
    lineages: int
    shards: int
    rejected_seeds: int
    evaluations: int
    kind: FrameKind
    temperature_k: float
    seed: int
    platform: str
    bias: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**self.__dict__, "directory": str(self.directory)}


@dataclass(frozen=True)
class _Run:
    """What the tasks of one simulation share."""

    system: System
    propagator: Propagator
    directory: RunDirectory
    executor: Executor
    workers: int
    platform: str
    temperature_k: float
    progress: Progress
    interruption: Interruption
    kind: FrameKind
    bias: str | None
    start: FloatArray


def plan_simulation(
    system: System,
    *,
    mode: Mode,
    time_ps: float,
    bias: str | None = None,
    start: str | Path | None = None,
    settings: SimulationSettings | None = None,
) -> dict[str, Any]:
    """What :func:`simulate` would do: steps, frames, files and their size, memory of the largest task (MB)."""
    settings = settings or SimulationSettings()
    plan, parsed = _plan(system, mode, time_ps, settings), _bias(system, mode, bias, settings)
    starting_frame(start, system, mode)
    coordinates = system.n_particles * 3
    if isinstance(plan, ExplorePlan):
        shards, largest = len(plan.batches), plan.batch * plan.segment.frames
    else:
        shards, largest = plan.chains * len(plan.pieces), max(piece.frames for piece in plan.pieces)
    return {
        "system": system.name,
        "mode": mode,
        "bias": parsed.text if parsed is not None else None,
        "start": str(start) if start is not None else None,
        "steps": plan.evaluations,
        "frames": plan.frames,
        "files": shards,
        "disk_mb": round(plan.frames * coordinates * _BYTES_PER_COORDINATE / 1e6, 1),
        "memory_mb": round(largest * coordinates * 2 * 8 / 1e6, 1),
    }


def simulate(
    system: System,
    output: str | Path,
    *,
    mode: Mode = "explore",
    time_ps: float,
    bias: str | None = None,
    start: str | Path | None = None,
    settings: SimulationSettings | None = None,
    seed: int | None = None,
    workers: int = 1,
    platform: str = "auto",
    progress: Progress = silent,
    interruption: Interruption | None = None,
) -> SimulationResult:
    """Simulate ``system`` for ``time_ps`` in all and keep frames in shards ``frames-0000.h5`` … of ``output``.

    *explore* finds states by hot dynamics and samples from each at the target temperature: training data, whose
    shares are no populations. *plain* is dynamics in independent chains, unbiased or under a static ``bias`` in one
    line (:func:`molgen.bias.parsing.parse_bias`): an umbrella run. Its chains begin at the system's structure or, with
    ``start``, at the last frame of that file or run. The same call again continues an interrupted run.
    ``UsageError`` if the time is too short or exploring is to be biased or started elsewhere, ``InputError`` if
    ``output`` belongs to another run, the bias cannot be read or followed, or the frame to start from is unreadable,
    of other atoms or outside the system's domain, ``PartialError`` if a trajectory explodes,
    ``InterruptedRunError`` at the time limit.
    """
    settings = settings or SimulationSettings()
    plan, parsed = _plan(system, mode, time_ps, settings), _bias(system, mode, bias, settings)
    first = starting_frame(start, system, mode)
    chosen = resolve_platform(system, platform) if isinstance(system, MolecularSystem) else None
    name = "numpy" if chosen is None else chosen.name
    config = {
        "system": system.name,
        "fingerprint": system.fingerprint,
        "mode": mode,
        "time_ps": time_ps,
        # A run that was begun before there was this setting goes on.
        "settings": settings.model_dump(exclude={"temperature_k"} if settings.temperature_k is None else None),
        "platform": name,
    }
    kind: FrameKind = "explore" if mode == "explore" else "equilibrium"
    if parsed is not None:
        kind, config["bias"] = "umbrella", parsed.text
    if start is not None:
        config["start"] = start_digest(first)
    propagator = open_propagator(system, settings, platform=name, bias=parsed)
    with RunDirectory.open(output, kind=KIND, config=config, seed=seed) as directory:
        if directory.complete:
            return SimulationResult(**{**directory.manifest.result, "directory": directory.path})
        directory.record(platform=name, step_ms=chosen.step_ms if chosen else {})
        directory.write_json("system.json", system_record(system))
        with open_executor(workers) as executor:
            stop = interruption or Interruption()
            target = settings.target_k(system)
            text = parsed.text if parsed is not None else None
            run = _Run(
                system, propagator, directory, executor, workers, name, target, progress, stop, kind, text, first
            )
            counts = _explore(run, plan) if isinstance(plan, ExplorePlan) else _plain(run, plan)
        result = SimulationResult(
            directory=directory.path,
            system=system.name,
            mode=mode,
            kind=kind,
            temperature_k=target,
            seed=directory.seed,
            platform=name,
            bias=run.bias,
            **counts,
        )
        directory.finish(result.to_json())
    return result


def _plan(system: System, mode: Mode, time_ps: float, settings: SimulationSettings) -> ExplorePlan | PlainPlan:
    return (plan_explore if mode == "explore" else plan_plain)(system, settings, time_ps)


def _bias(system: System, mode: Mode, text: str | None, settings: SimulationSettings) -> "SumBias | None":
    """The bias of an umbrella run."""
    if text is None:
        return None
    if mode == "explore":
        raise UsageError("Exploring cannot be biased.", "Give --plain with --bias, or leave the bias out.")
    if settings.target_k(system) != system.temperature_k:
        raise UsageError(
            "A bias is in kT at the system's temperature, and another was asked for.",
            "Leave --temperature out, or set temperature_k in the system.toml.",
        )
    from molgen.bias.parsing import parse_bias

    return parse_bias(text, system)


def _explore(run: _Run, plan: ExplorePlan) -> dict[str, Any]:
    starts = starting_structures(run.system, len(plan.seeds), run.platform)
    missing = [chain for chain in range(len(plan.seeds)) if not (run.directory.path / _hot_name(chain)).exists()]
    hot_tasks = (
        (
            chain,
            (run.propagator, starts[chain], run.system, plan, chain, child_seed(run.directory.seed, "hot", chain)),
        )
        for chain in missing
    )
    done = len(plan.seeds) - len(missing)
    for chain, hot in _in_parallel(run, hot_task, hot_tasks):
        with run.directory.atomic(_hot_name(chain)) as path:
            write_hot(path, hot)
        done += 1
        run.progress(ProgressEvent("hot dynamics", done, len(plan.seeds), "chains"))
    chains = [read_hot(run.directory.path / _hot_name(chain)) for chain in range(len(plan.seeds))]
    points = starting_points(run.system, chains, seed=run.directory.seed, platform=run.platform)
    first_lineage = np.concatenate([[0], np.cumsum(plan.seeds)])
    batches = plan.batches

    def tasks() -> Iterator[tuple[int, tuple[Any, ...]]]:
        for index, (chain, first, end) in enumerate(batches):
            if not _shard_path(run, index).exists():
                seed = child_seed(run.directory.seed, "segments", index)
                offset = int(first_lineage[chain])
                yield index, (run.propagator, points[offset + first : offset + end], plan.segment, seed)

    def lineages(index: int) -> list[int]:
        chain, first, end = batches[index]
        return list(range(int(first_lineage[chain]) + first, int(first_lineage[chain]) + end))

    _write_shards(run, tasks(), lineages, len(batches), "segments")
    hot_steps = sum(chain.evaluations for chain in chains)
    rejected = sum(chain.rejected for chain in chains)
    steps = hot_steps + sum(plan.seeds) * plan.segment.evaluations
    return _counts(plan.frames, sum(plan.seeds), len(batches), rejected, steps)


def _plain(run: _Run, plan: PlainPlan) -> dict[str, Any]:
    for round_index, piece in enumerate(plan.pieces):
        indices = range(round_index * plan.chains, (round_index + 1) * plan.chains)

        def tasks(indices: range = indices, piece: Piece = piece) -> Iterator[tuple[int, tuple[Any, ...]]]:
            for index in indices:
                if not _shard_path(run, index).exists():
                    start = _plain_start(run, index - plan.chains)
                    yield index, (run.propagator, start, piece, child_seed(run.directory.seed, "plain", index))

        _write_shards(run, tasks(), lambda index: [index % plan.chains], plan.chains * len(plan.pieces), "dynamics")
    shards = plan.chains * len(plan.pieces)
    return _counts(plan.frames, plan.chains, shards, 0, plan.evaluations)


def _plain_start(run: _Run, previous: int) -> FloatArray:
    """Where a piece begins, (1, N, D): the last frame on disk of the piece before it, or the run's start."""
    if previous < 0:
        return run.start[None]
    frames = read_shard(_shard_path(run, previous), run.system.dim).positions
    return np.asarray(frames[-1:], dtype=np.float64)


def _counts(frames: int, lineages: int, shards: int, rejected: int, steps: int) -> dict[str, Any]:
    return {
        "frames": frames,
        "lineages": lineages,
        "shards": shards,
        "rejected_seeds": rejected,
        "evaluations": steps,
    }


def _write_shards(
    run: _Run,
    tasks: Iterator[tuple[int, tuple[Any, ...]]],
    lineages: Callable[[int], list[int]],
    total: int,
    stage: str,
) -> None:
    """Run the tasks; each result (W, n, N, D) becomes the shard of its number, lineages in order."""
    for index, frames in _in_parallel(run, _segment_task, tasks):
        lineage = np.repeat(np.asarray(lineages(index), dtype=np.int64), frames.shape[1])
        flat = frames.reshape(-1, *frames.shape[2:])
        kelvin = run.temperature_k
        write_shard(_shard_path(run, index), flat, lineage, run.system, kelvin, kind=run.kind, bias=run.bias)
        done = sum(_shard_path(run, other).exists() for other in range(total))
        run.progress(ProgressEvent(stage, done, total, "shards"))


def _in_parallel(
    run: _Run, function: Callable[..., Any], tasks: Iterator[tuple[int, tuple[Any, ...]]]
) -> Iterator[tuple[int, Any]]:
    """Results as they are ready, at most one task a worker under way; stops between tasks when asked to."""
    pending: dict[Future[Any], int] = {}
    exhausted = False
    while True:
        while not exhausted and len(pending) < run.workers:
            run.interruption.check()
            item = next(tasks, None)
            if item is None:
                exhausted = True
            else:
                pending[run.executor.submit(function, *item[1])] = item[0]
        if not pending:
            return
        for future in wait(pending, return_when=FIRST_COMPLETED).done:
            yield pending.pop(future), future.result()


def _segment_task(propagator: Propagator, start: FloatArray, piece: Piece, seed: int) -> FloatArray:
    return propagator.run(start, piece, seed)


def _hot_name(chain: int) -> str:
    return f"hot-{chain:04d}.npz"


def _shard_path(run: _Run, index: int) -> Path:
    return run.directory.path / f"frames-{index:04d}.h5"
