"""`committor flux`: first crossings of an interface between two states, each continued to a state several times."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from molgen.dynamics.passage import PassageDynamics, PhasePoints
from molgen.dynamics.passage_factory import dynamics_record, open_passages
from molgen.dynamics.propagator import steps_of
from molgen.energies.platforms import platform_name
from molgen.engines.executors import open_executor
from molgen.errors import InputError, UsageError
from molgen.interruption import Interruption
from molgen.observables.boundary import A, B, Boundary
from molgen.observables.regions import Interface
from molgen.progress import Progress, silent
from molgen.rundir import RunDirectory, configuration_hash
from molgen.seeds import child_seed, numpy_generator
from molgen.settings import Settings
from molgen.shooting.flux import Walkers, continue_crossings, settle, walk
from molgen.shooting.stages import Content, Stages
from molgen.systems.record import system_record
from molgen.systems.system import AnalyticSystem, System
from molgen.trajectories.options import EVERYTHING, ReadingOptions
from molgen.workflows.flux_blocks import read_flux
from molgen.workflows.route_starts import PATHS, WAYS, check_way, entrances, kind_of, long_starts
from molgen.workflows.shooting import chosen_states
from molgen.workflows.stage_running import StageRunning

KIND = "flux"


class FluxSettings(Settings):
    """``walkers`` trajectories in each state, settled for ``settle_ps`` (None: 10,000 time steps) before they count.

    Each crossing is continued ``continuations`` times. A stage has ``rounds`` rounds, in each of which a walker goes to
    its next crossing or back, by ``limit_ps`` (None: 100,000 time steps) at most. ``group`` walkers make a task; None
    is one of a molecule, all of an analytic system.
    """

    walkers: PositiveInt = 10
    continuations: PositiveInt = 10
    settle_ps: PositiveFloat | None = None
    rounds: PositiveInt = 10
    limit_ps: PositiveFloat | None = None
    group: PositiveInt | None = None

    def settle_steps(self, timestep_ps: float) -> int:
        """Steps before counting."""
        return 10_000 if self.settle_ps is None else max(1, steps_of(self.settle_ps, timestep_ps))

    def limit_steps(self, timestep_ps: float) -> int:
        """Steps that a walker goes at most in a round."""
        return 100_000 if self.limit_ps is None else max(1, steps_of(self.limit_ps, timestep_ps))


@dataclass(frozen=True)
class FluxResult:
    """For each way (None where it was not taken) first crossings a unit of time and the share that goes on to the other
    state; ``arrived`` walkers got there by themselves."""

    directory: Path
    system: str
    a: str
    b: str
    interface: str
    crossings_ab: int
    crossings_ba: int
    flux_ab: float | None
    flux_ba: float | None
    reaching_ab: float | None
    reaching_ba: float | None
    arrived: int
    unit: str
    evaluations: int
    dynamics_sha256: str
    seed: int
    platform: str
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**self.__dict__, "directory": str(self.directory)}


@dataclass(frozen=True, eq=False)
class _Task:
    """Walkers of the state ``origin`` from ``start`` (W, N, D), which may lie anywhere."""

    origin: int
    start: Any


def plan_flux(
    system: System,
    *,
    interface: str,
    count: int,
    a: str | None = None,
    b: str | None = None,
    way: str = "both",
    settings: FluxSettings | None = None,
) -> dict[str, Any]:
    """What :func:`measure_flux` would do."""
    settings = settings or FluxSettings()
    boundary = chosen_states(system, a, b)
    Interface(boundary, interface, A)
    check_way(way)
    ways = len(WAYS[way])
    return {
        "system": system.name,
        "from": boundary.a,
        "to": boundary.b,
        "interface": interface,
        "crossings": ways * count,
        "continuations": ways * count * settings.continuations,
        "walkers": ways * settings.walkers,
    }


def measure_flux(
    system: System,
    data: Sequence[str | Path],
    output: str | Path,
    *,
    interface: str,
    count: int = 200,
    a: str | None = None,
    b: str | None = None,
    way: str = "both",
    reading: ReadingOptions = EVERYTHING,
    settings: FluxSettings | None = None,
    seed: int | None = None,
    workers: int = 1,
    platform: str = "auto",
    progress: Progress = silent,
    interruption: Interruption | None = None,
) -> FluxResult:
    """About ``count`` first crossings of ``interface`` by trajectories that were last in ``a`` (and in ``b``).

    ``interface`` is a condition on collective variables that holds on the side of ``b``, such as ``phi > -20deg``.
    Walkers begin at frames of ``data`` in the states, or where paths of a ``committor paths`` run enter them; without
    data at the system's structure. The same call continues an interrupted run. ``InputError`` for a condition that
    cannot be read, a state without frames, or one that is left at once.
    """
    if count < 1:
        raise UsageError(f"{count} crossings cannot be counted.", "Ask for at least one.")
    check_way(way)
    settings = settings or FluxSettings()
    boundary = chosen_states(system, a, b)
    Interface(boundary, interface, A)
    chosen = platform_name(system, platform)
    dynamics = open_passages(system, boundary, platform=chosen)
    record = dynamics_record(system, boundary)
    config = {
        "system": system.name,
        "dynamics": record,
        "data": [str(path) for path in data],
        "interface": interface,
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
            return FluxResult(**{**stored, "directory": run.path, "notes": tuple(stored["notes"])})
        if not (run.path / "starts.npz").exists():
            _write_starts(run, [Path(path) for path in data], system, boundary, reading, way, settings.walkers)
        run.write_json("system.json", system_record(system))
        tasks = _tasks(run, settings, system)
        walkers = {state: sum(len(task.start) for task in tasks if task.origin == state) for state in (A, B)}
        totals = [math.ceil(count * len(task.start) / walkers[task.origin]) for task in tasks]
        stages = Stages(run.path / KIND, "walkers")
        running = StageRunning(stages, run.seed, workers, progress, interruption or Interruption(), "crossings")
        advance = partial(_advance, dynamics, boundary, interface, settings)
        with open_executor(workers) as executor:
            running.run(executor, tasks, advance, _done, totals)
        result = _result(run, stages, boundary, dynamics.timestep_ps, config)
        run.finish(result.to_json())
    return result


def _advance(
    dynamics: PassageDynamics,
    boundary: Boundary,
    interface: str,
    settings: FluxSettings,
    task: _Task,
    before: Content | None,
    seed: int,
) -> Content:
    """The next stage of the walkers of a task, with the continuations of its crossings."""
    timestep = dynamics.timestep_ps
    limit, spent, counted = settings.limit_steps(timestep), 0, 0
    if before is None:
        steps = settings.settle_steps(timestep)
        generator = numpy_generator(seed, "velocities")
        start = PhasePoints(task.start, dynamics.velocities(task.start, generator))
        walkers, spent = settle(dynamics, boundary, task.origin, start, steps, child_seed(seed, "settle"))
    else:
        walkers, counted = Walkers.of_content(before), _done(before)
    seeds = child_seed(seed, "walk"), child_seed(seed, "crossings")
    walkers, found = walk(dynamics, boundary, interface, walkers, limit, settings.rounds, seeds[0])
    ends, steps = continue_crossings(dynamics, found, settings.continuations, limit, seeds[1])
    return {
        **walkers.to_content(),
        **found.to_content(),
        "ends": ends,
        "counted": np.array(counted + len(found.walker)),
        "spent": np.array(spent + steps + int(found.steps.sum())),
    }


def _done(content: Content) -> int:
    return int(content["counted"])


def _write_starts(
    run: RunDirectory,
    data: list[Path],
    system: System,
    boundary: Boundary,
    reading: ReadingOptions,
    way: str,
    walkers: int,
) -> None:
    """Choose where the walkers of each state begin."""
    states = WAYS[way]
    record = run.manifest.config["dynamics"]
    chosen = []
    for state in states:
        if len(data) == 1 and kind_of(data[0]) == PATHS:
            chosen.append(entrances(data[0], record, np.full(walkers, state)).positions)
            continue
        rng = numpy_generator(run.seed, "starts", state)
        pool = long_starts(data, system, boundary, reading, 100 * walkers if data else walkers, rng)
        inside = pool.positions[pool.label == state][:walkers]
        if len(inside) < walkers:
            name = boundary.a if state == A else boundary.b
            raise InputError(
                f"Only {len(inside)} of {len(pool.positions)} starts lie in {name}, where {walkers} walkers begin.",
                "Give frames or transition paths (molgen committor paths) as DATA, or one --way only.",
            )
        chosen.append(inside)
    with run.atomic("starts.npz") as path:
        positions = np.concatenate(chosen)
        np.savez(path, allow_pickle=False, positions=positions, origin=np.repeat(states, walkers))


def _tasks(run: RunDirectory, settings: FluxSettings, system: System) -> list[_Task]:
    with np.load(run.path / "starts.npz", allow_pickle=False) as file:
        positions, origin = file["positions"], file["origin"]
    size = settings.group or (settings.walkers if isinstance(system, AnalyticSystem) else 1)
    tasks = []
    for state in (A, B):
        mine = positions[origin == state]
        tasks += [_Task(state, mine[first : first + size]) for first in range(0, len(mine), size)]
    return tasks


def _result(
    run: RunDirectory, stages: Stages, boundary: Boundary, timestep: float, config: dict[str, Any]
) -> FluxResult:
    parts = read_flux(stages, timestep)
    contents = [content for _, content in stages.contents()]
    figures: dict[str, Any] = {}
    for way, part in zip(("ab", "ba"), parts, strict=True):
        crossings = 0 if part is None else int(part.crossings.sum())
        figures[f"crossings_{way}"] = crossings
        figures[f"flux_{way}"] = None if part is None else float(crossings / part.time.sum())
        figures[f"reaching_{way}"] = None if part is None else float(part.reached.sum() / crossings)
    notes = [
        f"No continued crossing went {way}: put the interface further."
        for way in ("ab", "ba")
        if figures[f"reaching_{way}"] == 0.0
    ]
    return FluxResult(
        directory=run.path,
        system=boundary.system.name,
        a=boundary.a,
        b=boundary.b,
        interface=str(config["interface"]),
        arrived=sum(int(content["arrived"]) for content in contents),
        unit="1/time" if isinstance(boundary.system, AnalyticSystem) else "1/ps",
        evaluations=sum(int(content["spent"]) for content in contents),
        dynamics_sha256=configuration_hash(config["dynamics"]),
        seed=run.seed,
        platform=str(config["platform"]),
        notes=tuple(notes),
        **figures,
    )
