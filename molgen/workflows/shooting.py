"""Shoot: pairs of short trajectories from configurations between two states, into a ledger that loses nothing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from molgen.dynamics.passage_factory import dynamics_record, open_passages
from molgen.dynamics.propagator import steps_of
from molgen.energies.platforms import platform_name
from molgen.engines.executors import open_executor
from molgen.errors import InputError, UsageError
from molgen.interruption import Interruption
from molgen.observables.boundary import Boundary
from molgen.observables.regions import Region
from molgen.progress import Progress, silent
from molgen.rundir import RunDirectory, configuration_hash
from molgen.seeds import numpy_generator
from molgen.settings import Settings
from molgen.shooting.ledger import Ledger
from molgen.shooting.points import choose_points
from molgen.shooting.shots import count
from molgen.systems.record import system_record
from molgen.systems.system import System
from molgen.trajectories.options import EVERYTHING, ReadingOptions
from molgen.workflows.shooting_batches import Batches
from molgen.workflows.shooting_choice import Along
from molgen.workflows.shooting_source import LEDGER as LEDGER
from molgen.workflows.shooting_source import ShootingFrames, shooting_frames

KIND = "shoot"
POPULATION = "population.npz"
"""How much of the source's weight each independent block of it has in A, in B and outside both."""


class ShootingSettings(Settings):
    """``pairs`` pairs of shots from each point, ``batch`` pairs a task; shots end after ``limit_ps`` at the latest.

    The limit is no part of what a run is: one that was finished with undecided shots goes on with a longer one. None
    is 10,000 time steps.
    """

    pairs: PositiveInt = 5
    batch: PositiveInt = 50
    limit_ps: PositiveFloat | None = None

    def limit_steps(self, timestep_ps: float) -> int:
        """The limit in time steps."""
        return 10_000 if self.limit_ps is None else max(1, steps_of(self.limit_ps, timestep_ps))


@dataclass(frozen=True)
class ShootingResult:
    """What became of the shots; ``evaluations`` are steps of dynamics, ``outside_share`` the source's weight between
    the states."""

    directory: Path
    system: str
    a: str
    b: str
    points: int
    shots: int
    reached_a: int
    reached_b: int
    undecided: int
    crashed: int
    evaluations: int
    mean_steps: float
    outside_share: float
    dynamics_sha256: str
    seed: int
    platform: str
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**self.__dict__, "directory": str(self.directory)}


def chosen_states(system: System, a: str | None, b: str | None) -> Boundary:
    """The two states named, or the system's own if it has just two; ``UsageError`` if that is not clear."""
    names = [state.name for state in system.definition.state]
    if not names:
        raise UsageError(f"{system.name} has no states to pass between.", "Define two [[state]] in its system.toml.")
    if a is None and b is None and len(names) == 2:
        a, b = names
    if a is None or b is None:
        listed = ", ".join(names) or "none"
        raise UsageError(f"{system.name} does not say which two states are meant ({listed}).", "Give --from and --to.")
    return Boundary(system, a, b)


def plan_shooting(
    system: System, *, points: int, a: str | None = None, b: str | None = None, settings: ShootingSettings | None = None
) -> dict[str, Any]:
    """What :func:`shoot` would do: shots, batches, most steps."""
    settings = settings or ShootingSettings()
    boundary = chosen_states(system, a, b)
    limit = settings.limit_steps(1e-3 * system.definition.dynamics.timestep_fs)
    shots = 2 * points * settings.pairs
    return {
        "system": system.name,
        "from": boundary.a,
        "to": boundary.b,
        "points": points,
        "shots": shots,
        "steps_at_most": shots * limit,
        "files": math.ceil(points * settings.pairs / settings.batch) + 1,
    }


def shoot(
    system: System,
    data: Sequence[str | Path],
    output: str | Path,
    *,
    points: int,
    a: str | None = None,
    b: str | None = None,
    along: str | Path | None = None,
    within: float | None = None,
    region: str | None = None,
    reading: ReadingOptions = EVERYTHING,
    settings: ShootingSettings | None = None,
    seed: int | None = None,
    workers: int = 1,
    platform: str = "auto",
    progress: Progress = silent,
    interruption: Interruption | None = None,
) -> ShootingResult:
    """Shoot from ``points`` frames of ``data`` that lie outside the states ``a`` and ``b``, by the system's dynamics.

    Frames (:func:`molgen.workflows.shooting_source.shooting_frames`) are taken in proportion to their weights, or
    evenly along q̂ of the committor ``along``, or as they weigh among those with |q̂ − ½| < ``within``. Half of the
    points lie in a ``region`` (a condition on collective variables), if there is one, and paths count how often they
    do: for a rate from frames that were pushed to a barrier and weighted since. Each point gets pairs of shots with
    velocities v and −v; a shot ends in a state or, undecided, at the limit, where positions and velocities are kept.
    The ledger is in ``output/shots``. The same call continues an interrupted run, and one with a longer limit takes
    undecided shots on.

    ``InputError`` for states that overlap or leave nothing between them, or too few frames outside; ``UsageError`` for
    fewer than one point; ``InterruptedRunError`` at the time limit.
    """
    if points < 1:
        raise UsageError(f"{points} points cannot be shot from.", "Ask for at least one.")
    settings = settings or ShootingSettings()
    boundary = chosen_states(system, a, b)
    chosen = platform_name(system, platform)
    dynamics = open_passages(system, boundary, platform=chosen)
    record = dynamics_record(system, boundary)
    config = {
        "system": system.name,
        "dynamics": record,
        "data": [str(path) for path in data],
        "points": points,
        "pairs": settings.pairs,
        "batch": settings.batch,
        "platform": chosen,
    }
    if reading != EVERYTHING:
        config["reading"] = reading.to_json()
    if region is not None and along is not None:
        raise UsageError("Points are taken along a committor or from a region.", "Give --along or --region.")
    line = Along.open(along, within, record)
    if line is not None:
        config["along"] = line.config
    there = None if region is None else Region(system, region)
    if there is not None:
        config["region"] = there.condition
        dynamics = dynamics.counting(there)
    with RunDirectory.open(output, kind=KIND, config=config, seed=seed) as run:
        limit = settings.limit_steps(dynamics.timestep_ps)
        if run.complete and (not run.manifest.result["undecided"] or limit <= run.manifest.result["limit_steps"]):
            return _stored(run)
        ledger = Ledger(run.path / LEDGER)
        if ledger.points() is None:
            frames = shooting_frames([Path(path) for path in data], system, reading)
            _choose(run, ledger, boundary, frames, points, line, there)
        found = ledger.points()
        assert found is not None
        run.write_json("system.json", system_record(system))
        stop = interruption or Interruption()
        batches = Batches(ledger, dynamics, settings.batch, limit, run.seed, workers, progress, stop)
        with open_executor(workers) as executor:
            batches.shoot(executor, found.positions, np.repeat(np.arange(len(found)), settings.pairs))
            batches.take_on(executor)
        result = _result(run, ledger, system, boundary, record, chosen)
        run.finish(result.to_json() | {"limit_steps": limit})
    return result


def _choose(
    run: RunDirectory,
    ledger: Ledger,
    boundary: Boundary,
    frames: ShootingFrames,
    points: int,
    line: Along | None,
    region: Region | None,
) -> None:
    """Choose the points and write them as the ledger's first round."""
    if np.any(boundary.overlap(frames.positions)):
        raise InputError(
            f"The states {boundary.a} and {boundary.b} overlap: some frames are in both.",
            "Give conditions that exclude each other in the system.toml.",
        )
    choice = choose_points(
        boundary,
        frames.positions,
        points,
        numpy_generator(run.seed, "points"),
        log_weight=frames.log_weight,
        lineage=frames.lineage,
        chance=None if line is None else line.chance,
        region=None if region is None else region.contains(frames.positions),
    )
    unweighted = frames.unweighted if line is None else "points chosen by a committor are not those of the ensemble"
    shares = {"outside_share": choice.outside_share, "share_a": choice.share_a, "share_b": choice.share_b}
    record: dict[str, Any] = {
        **shares,
        "frames": len(frames.positions),
        "unweighted": unweighted,
        "notes": frames.notes,
    }
    if region is not None:
        inside = float(choice.points.selection.max())
        record["region"] = {"inside": inside, "outside": 1.0 - points // 2 / points}
    run.write_json("points.json", record)
    with run.atomic(POPULATION) as path:
        np.savez(path, allow_pickle=False, **choice.population.__dict__)
    ledger.add_points(choice.points)


def _result(
    run: RunDirectory,
    ledger: Ledger,
    system: System,
    boundary: Boundary,
    record: dict[str, Any],
    platform: str,
) -> ShootingResult:
    shots, points = ledger.shots(), ledger.points()
    assert shots is not None
    assert points is not None
    counts = count(shots, len(points))
    known = run.read_json("points.json") or {}
    undecided, crashed = int(counts.undecided.sum()), int(counts.crashed.sum())
    notes = list(known.get("notes", []))
    if undecided:
        notes.append(f"{undecided} shots are undecided: run again with a longer --limit to take them on.")
    if crashed:
        notes.append(f"{crashed} shots left the finite numbers; they count as neither state.")
    return ShootingResult(
        directory=run.path,
        system=system.name,
        a=boundary.a,
        b=boundary.b,
        points=len(points),
        shots=len(shots),
        reached_a=int(counts.a.sum()),
        reached_b=int(counts.b.sum()),
        undecided=undecided,
        crashed=crashed,
        evaluations=shots.total_steps,
        mean_steps=shots.total_steps / len(shots),
        outside_share=float(known.get("outside_share", math.nan)),
        dynamics_sha256=configuration_hash(record),
        seed=run.seed,
        platform=platform,
        notes=tuple(notes),
    )


def _stored(run: RunDirectory) -> ShootingResult:
    stored = {key: value for key, value in run.manifest.result.items() if key != "limit_steps"}
    return ShootingResult(**{**stored, "directory": run.path, "notes": tuple(stored["notes"])})
