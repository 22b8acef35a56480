"""The shards of a simulation: tasks with seeds of their own, run side by side and written as they come."""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.dynamics.propagator import Piece, Propagator
from molgen.dynamics.schedule import ExplorePlan, PlainPlan
from molgen.dynamics.starts import starting_structures
from molgen.interruption import Interruption
from molgen.progress import Progress, ProgressEvent
from molgen.rundir import RunDirectory
from molgen.seeds import child_seed
from molgen.systems.system import System
from molgen.trajectories.frames import FrameKind
from molgen.trajectories.shards import read_shard, write_shard
from molgen.workflows.hot_dynamics import hot_task, read_hot, starting_points, write_hot


@dataclass(frozen=True)
class SimulationRun:
    """What the tasks of one simulation share, and the frames of ``kind`` they make."""

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


def explore(run: SimulationRun, plan: ExplorePlan) -> dict[str, Any]:
    """Hot dynamics, then segments from where it went: frames, lineages, shards, rejected seeds, steps."""
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


def plain(run: SimulationRun, plan: PlainPlan) -> dict[str, Any]:
    """Chains of pieces, each from the end of the one before: frames, lineages, shards, rejected seeds, steps."""
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


def _plain_start(run: SimulationRun, previous: int) -> FloatArray:
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
    run: SimulationRun,
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
    run: SimulationRun, function: Callable[..., Any], tasks: Iterator[tuple[int, tuple[Any, ...]]]
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


def _shard_path(run: SimulationRun, index: int) -> Path:
    return run.directory.path / f"frames-{index:04d}.h5"
