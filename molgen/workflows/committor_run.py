"""`committor run`: from two states to a committor, shooting in rounds from where it is least known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from molgen.dynamics.passage import Doubling
from molgen.dynamics.passage_factory import dynamics_record, open_passages
from molgen.energies.factory import open_energy
from molgen.energies.platforms import platform_name
from molgen.engines.executors import open_executor
from molgen.errors import InputError
from molgen.interruption import Interruption
from molgen.observables.boundary import NEITHER, Boundary
from molgen.progress import Progress, silent
from molgen.rundir import RunDirectory
from molgen.shooting.ledger import Ledger
from molgen.shooting.lineages import excursions, independent_blocks
from molgen.systems.record import system_record
from molgen.systems.system import System
from molgen.trajectories.options import EVERYTHING, ReadingOptions
from molgen.workflows.committor_bisection import Way
from molgen.workflows.committor_exploring import Exploring
from molgen.workflows.committor_loop import Loop
from molgen.workflows.committor_request import CommittorRunResult, CommittorRunSettings
from molgen.workflows.committor_rounds import Pool
from molgen.workflows.committor_shooting import RoundShooting, bisect
from molgen.workflows.shooting import LEDGER, chosen_states
from molgen.workflows.shooting_batches import Batches
from molgen.workflows.shooting_source import shooting_frames
from molgen.workflows.shot_data import RUN as KIND

LEAST_LINEAGES = 10
"""Frames of fewer pieces of dynamics are cut into blocks of time."""


def plan_committor_run(
    system: System,
    data: Sequence[str | Path] = (),
    *,
    shots: int,
    a: str | None = None,
    b: str | None = None,
    settings: CommittorRunSettings | None = None,
) -> dict[str, Any]:
    """What :func:`run_committor` would do at most."""
    settings = settings or CommittorRunSettings()
    boundary = chosen_states(system, a, b)
    plan = settings.plan(shots)
    limit = settings.limit_steps(1e-3 * system.definition.dynamics.timestep_fs)
    return {
        "system": system.name,
        "from": boundary.a,
        "to": boundary.b,
        "first_points": "data" if data else "hot dynamics",
        "rounds": len(plan),
        "shots": 2 * sum(entry.all_pairs for entry in plan),
        "held_out_shots": 2 * sum(entry.held * entry.held_pairs for entry in plan),
        "steps_at_most": 2 * limit * settings.longest * sum(entry.all_pairs for entry in plan),
    }


def run_committor(
    system: System,
    data: Sequence[str | Path],
    output: str | Path,
    *,
    shots: int,
    a: str | None = None,
    b: str | None = None,
    reading: ReadingOptions = EVERYTHING,
    settings: CommittorRunSettings | None = None,
    seed: int | None = None,
    workers: int = 1,
    platform: str = "auto",
    progress: Progress = silent,
    interruption: Interruption | None = None,
) -> CommittorRunResult:
    """Learn the committor between the states ``a`` and ``b`` from ``shots`` shots at most.

    The first points are frames of ``data`` or, without, of hot dynamics, whose ways between the states are bisected;
    later ones are also frames on the way of shots. Each round chooses points where the committor is uncertain and along
    all of it, shoots pairs and fits anew; points of lineages of their own, evenly along q̂, are kept for judging. The
    same call continues an interrupted run to the identical ledger.

    ``InputError`` for states that overlap, touch or are not reached, too few decided shots or shots of one outcome
    alone, and as soon as more than 2 % of the shots are undecided after ``longest`` times their limit (the same call
    with a larger one takes them on); ``UsageError`` for too few shots; ``InterruptedRunError`` at the time limit.
    """
    settings = settings or CommittorRunSettings()
    settings.plan(shots)  # raises if they are too few
    boundary = chosen_states(system, a, b)
    chosen = platform_name(system, platform)
    dynamics = open_passages(system, boundary, platform=chosen)
    record = dynamics_record(system, boundary)
    config = {
        "system": system.name,
        "dynamics": record,
        "data": [str(path) for path in data],
        "shots": shots,
        "settings": settings.model_dump(exclude={"longest"}),  # so that a longer one takes undecided shots on
        "platform": chosen,
    }
    if reading != EVERYTHING:
        config["reading"] = reading.to_json()
    stop = interruption or Interruption()
    with RunDirectory.open(output, kind=KIND, config=config, seed=seed) as run:
        if run.complete:
            return _stored(run)
        ledger = Ledger(run.path / LEDGER)
        limit = settings.limit_steps(dynamics.timestep_ps)
        batches = Batches(
            ledger, dynamics, settings.batch, limit, run.seed, workers, progress, stop, Doubling(settings.trail)
        )
        with open_executor(workers) as executor:
            ways: list[Way] = []
            if data:
                pool, spent = _pool_of_data(run, boundary, [Path(path) for path in data], reading, settings), 0
            else:
                exploring = Exploring(run, boundary, settings.exploring, chosen, progress, stop)
                explored = exploring.explore(executor)
                ways, spent = explored.ways, explored.evaluations
                pool = Pool.begin(explored.positions, explored.lineage, held_share=settings.held_share, seed=run.seed)
            run.write_json("system.json", system_record(system))
            shooting = RoundShooting(ledger, batches, settings.longest)
            bisected, pool = bisect(shooting, executor, ways, pool, settings.bisection_pairs(shots))
            plan = settings.plan(shots - 2 * sum(entry.all_pairs for entry in bisected))
            energy = open_energy(system, platform=chosen)
            loop = Loop(run, boundary, energy, record, shooting, bisected, plan, settings, spent)
            rounds, ended = loop.go(executor, pool)
        result = loop.result(rounds, ended, chosen)
        run.finish(result.to_json())
    return result


def _pool_of_data(
    run: RunDirectory, boundary: Boundary, data: list[Path], reading: ReadingOptions, settings: CommittorRunSettings
) -> Pool:
    frames = shooting_frames(data, boundary.system, reading)
    if np.any(boundary.overlap(frames.positions)):
        raise InputError(
            f"The states {boundary.a} and {boundary.b} overlap: some frames are in both.",
            "Give conditions that exclude each other in the system.toml.",
        )
    inside = boundary.assign(frames.positions) != NEITHER
    outside = ~inside
    if outside.sum() < 2 * LEAST_LINEAGES:
        raise InputError(
            f"Only {int(outside.sum())} of {len(outside)} frames lie outside {boundary.a} and {boundary.b}.",
            "Give more frames between the states, or none at all, so that hot dynamics finds them.",
        )
    lineage = excursions(inside, frames.lineage) if frames.origin == "dynamics" else frames.lineage
    lineage = independent_blocks(lineage[outside], LEAST_LINEAGES)
    return Pool.begin(frames.positions[outside], lineage, held_share=settings.held_share, seed=run.seed)


def _stored(run: RunDirectory) -> CommittorRunResult:
    stored = run.manifest.result
    return CommittorRunResult(
        **{**stored, "directory": run.path, "notes": tuple(stored["notes"]), "rounds": tuple(stored["rounds"])}
    )
