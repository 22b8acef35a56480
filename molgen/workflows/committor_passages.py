"""`committor passages`: direct passages between two states, counted and timed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from molgen.coordinates.domain import domain_of
from molgen.dynamics.passage import PassageDynamics, PhasePoints
from molgen.dynamics.passage_factory import dynamics_record, open_passages
from molgen.dynamics.propagator import steps_of
from molgen.energies.platforms import platform_name
from molgen.engines.executors import open_executor
from molgen.errors import UsageError
from molgen.interruption import Interruption
from molgen.observables.boundary import A, B, Boundary
from molgen.progress import Progress, silent
from molgen.rundir import RunDirectory, configuration_hash
from molgen.seeds import numpy_generator
from molgen.settings import Settings
from molgen.shooting.direct import DirectPassages, Travellers, travel
from molgen.shooting.stages import Content, Stages
from molgen.systems.record import system_record
from molgen.systems.system import AnalyticSystem, System
from molgen.trajectories.options import EVERYTHING, ReadingOptions
from molgen.workflows.route_starts import PATHS, WAYS, Starts, check_way, entrances, kind_of, long_starts, states_for
from molgen.workflows.shooting import chosen_states
from molgen.workflows.stage_running import StageRunning

KIND = "passages"


class PassagesSettings(Settings):
    """``chains`` trajectories (None: 10, or one a passage where they begin at entrances of one state).

    A stage takes each at most ``stage_ps`` further (None: 200,000 time steps). ``group`` of them make a task; None is
    one of a molecule, all of an analytic system, which move at once.
    """

    chains: PositiveInt | None = None
    stage_ps: PositiveFloat | None = None
    group: PositiveInt | None = None

    def number(self, count: int, way: str) -> int:
        """Trajectories for ``count`` passages."""
        return count if way != "both" else min(self.chains or 10, count)

    def stage_steps(self, timestep_ps: float) -> int:
        """Steps of a stage."""
        return 200_000 if self.stage_ps is None else max(1, steps_of(self.stage_ps, timestep_ps))


@dataclass(frozen=True)
class PassagesResult:
    """Passages each way with the mean time of each, None where there is none; ``evaluations`` are steps of dynamics."""

    directory: Path
    system: str
    a: str
    b: str
    passages_ab: int
    passages_ba: int
    mean_time_ab: float | None
    mean_time_ba: float | None
    unit: str
    chains: int
    evaluations: int
    dynamics_sha256: str
    seed: int
    platform: str
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**self.__dict__, "directory": str(self.directory)}


@dataclass(frozen=True)
class _Task:
    """The trajectories ``first`` to ``last`` of the run."""

    first: int
    last: int


def plan_passages(
    system: System,
    *,
    count: int,
    a: str | None = None,
    b: str | None = None,
    way: str = "both",
    settings: PassagesSettings | None = None,
) -> dict[str, Any]:
    """What :func:`count_passages` would do: trajectories and passages; how long they take nobody knows."""
    settings = settings or PassagesSettings()
    boundary = chosen_states(system, a, b)
    check_way(way)
    return {
        "system": system.name,
        "from": boundary.a,
        "to": boundary.b,
        "passages": len(WAYS[way]) * count,
        "chains": settings.number(count, way),
        "steps_a_stage": settings.stage_steps(1e-3 * system.definition.dynamics.timestep_fs),
    }


def count_passages(
    system: System,
    data: Sequence[str | Path],
    output: str | Path,
    *,
    count: int = 100,
    a: str | None = None,
    b: str | None = None,
    way: str = "both",
    reading: ReadingOptions = EVERYTHING,
    settings: PassagesSettings | None = None,
    seed: int | None = None,
    workers: int = 1,
    platform: str = "auto",
    progress: Progress = silent,
    interruption: Interruption | None = None,
) -> PassagesResult:
    """Follow dynamics until there are ``count`` passages from ``a`` to ``b`` and back (``way``: both, ab or ba).

    Trajectories begin at frames of ``data`` (without any: at the system's structure), and the first passage of each is
    not counted; or where the transition paths of a ``committor paths`` run enter the states, which needs no such loss
    and alone gives passages one way. The same call continues an interrupted run. ``UsageError`` for one way without
    paths.
    """
    if count < 1:
        raise UsageError(f"{count} passages cannot be counted.", "Ask for at least one.")
    check_way(way)
    settings = settings or PassagesSettings()
    boundary = chosen_states(system, a, b)
    given = [Path(path) for path in data]
    paths = len(given) == 1 and kind_of(given[0]) == PATHS
    if way != "both" and not paths:
        raise UsageError(
            "Passages one way must begin where transition paths enter the state.",
            "Give the directory of molgen committor paths as DATA.",
        )
    chosen = platform_name(system, platform)
    dynamics = open_passages(system, boundary, platform=chosen)
    record = dynamics_record(system, boundary)
    config = {
        "system": system.name,
        "dynamics": record,
        "data": [str(path) for path in data],
        "count": count,
        "way": way,
        "settings": settings.model_dump(),
        "platform": chosen,
    }
    if reading != EVERYTHING:
        config["reading"] = reading.to_json()
    with RunDirectory.open(output, kind=KIND, config=config, seed=seed) as run:
        if run.complete:
            stored = run.manifest.result
            return PassagesResult(**{**stored, "directory": run.path, "notes": tuple(stored["notes"])})
        chains = settings.number(count, way)
        if not (run.path / "starts.npz").exists():
            if paths:
                starts = entrances(given[0], record, states_for(way, chains))
            else:
                rng = numpy_generator(run.seed, "starts")
                starts = long_starts(given, system, boundary, reading, chains, rng)
            _write_starts(run, starts)
        run.write_json("system.json", system_record(system))
        starts = _read_starts(run)
        each = 1 if way != "both" else 2 * math.ceil(count / chains)
        size = settings.group or (chains if isinstance(system, AnalyticSystem) else 1)
        tasks = [_Task(first, min(first + size, chains)) for first in range(0, chains, size)]
        stages = Stages(run.path / KIND, "chains")
        running = StageRunning(stages, run.seed, workers, progress, interruption or Interruption(), "passages")
        advance = partial(_advance, dynamics, boundary, starts, each, settings.stage_steps(dynamics.timestep_ps))
        with open_executor(workers) as executor:
            running.run(executor, tasks, advance, _done, [each * (task.last - task.first) for task in tasks])
        result = _result(run, stages, boundary, dynamics.timestep_ps, chains, record, chosen)
        run.finish(result.to_json())
    return result


def read_passages(stages: Stages) -> tuple[DirectPassages, int]:
    """All passages of a run, those of a trajectory in the order of time, and the steps spent."""
    contents = [content for _, content in stages.contents()]
    columns = [
        np.concatenate([content[f"passage_{name}"] for content in contents]) for name in ("number", "origin", "steps")
    ]
    return DirectPassages(*columns), sum(int(content["spent"]) for content in contents)


def detours(stages: Stages, system: System) -> tuple[str, ...]:
    """A sentence for passages whose trajectories left the domain of ``system``, looked at where each stage ends."""
    domain = domain_of(system)
    inside = np.concatenate([domain.contains(content["positions"]) for _, content in stages.contents()])
    if inside.all():
        return ()
    outside = int(np.sum(~inside))
    return (
        f"Trajectories of passages were outside the domain (peptide bonds turned, centres inverted) in {outside} of "
        f"{len(inside)} looks. Their times have such detours in them; frames to shoot from are of the domain alone.",
    )


def _advance(
    dynamics: PassageDynamics,
    boundary: Boundary,
    starts: Starts,
    passages: int,
    limit: int,
    task: _Task,
    before: Content | None,
    seed: int,
) -> Content:
    """The next stage of the trajectories of a task."""
    counted = 0
    if before is None:
        number, rows = np.arange(task.first, task.last), slice(task.first, task.last)
        positions, label = starts.positions[rows], starts.label[rows]
        if starts.velocities is None:
            velocities = dynamics.velocities(positions, numpy_generator(seed, "velocities"))
            present = Travellers.anywhere(number, label, PhasePoints(positions, velocities), passages)
        else:
            present = Travellers.entering(number, label, PhasePoints(positions, starts.velocities[rows]), passages)
    else:
        present, counted = Travellers.of_content(before), _done(before)
    present, made, spent = travel(dynamics, boundary, present, limit, seed)
    return {
        **present.to_content(),
        "counted": np.array(counted + len(made)),
        "spent": np.array(spent),
        "passage_number": made.number,
        "passage_origin": made.origin,
        "passage_steps": made.steps,
    }


def _done(content: Content) -> int:
    return int(content["counted"])


def _write_starts(run: RunDirectory, starts: Starts) -> None:
    known = {} if starts.velocities is None else {"velocities": starts.velocities}
    with run.atomic("starts.npz") as path:
        np.savez(path, allow_pickle=False, positions=starts.positions, label=starts.label, **known)


def _read_starts(run: RunDirectory) -> Starts:
    with np.load(run.path / "starts.npz", allow_pickle=False) as file:
        velocities = file["velocities"] if "velocities" in file.files else None
        return Starts(file["positions"], file["label"], velocities)


def _result(
    run: RunDirectory,
    stages: Stages,
    boundary: Boundary,
    timestep: float,
    chains: int,
    record: dict[str, Any],
    platform: str,
) -> PassagesResult:
    passages, spent = read_passages(stages)
    numbers, means = [], []
    for state in (A, B):
        steps = passages.steps[passages.origin == state]
        numbers.append(len(steps))
        means.append(float(steps.mean()) * timestep if len(steps) else None)
    return PassagesResult(
        directory=run.path,
        system=boundary.system.name,
        a=boundary.a,
        b=boundary.b,
        passages_ab=numbers[0],
        passages_ba=numbers[1],
        mean_time_ab=means[0],
        mean_time_ba=means[1],
        unit="time" if isinstance(boundary.system, AnalyticSystem) else "ps",
        chains=chains,
        evaluations=spent,
        dynamics_sha256=configuration_hash(record),
        seed=run.seed,
        platform=platform,
        notes=detours(stages, boundary.system),
    )
