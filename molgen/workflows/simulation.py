"""Simulate: molecular dynamics into a run directory of immutable shards, plain (under a bias if asked) or exploring.

Every task has its own seed and is defined by the settings alone: the frames are the same with one worker and with
many, and after an interruption.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen.dynamics.factory import open_propagator
from molgen.dynamics.schedule import ExplorePlan, Mode, PlainPlan, SimulationSettings, plan_explore, plan_plain
from molgen.energies.platforms import resolve_platform
from molgen.engines.executors import open_executor
from molgen.errors import UsageError
from molgen.interruption import Interruption
from molgen.progress import Progress, silent
from molgen.rundir import RunDirectory
from molgen.systems.record import system_record
from molgen.systems.system import MolecularSystem, System
from molgen.trajectories.frames import FrameKind
from molgen.workflows.simulation_shards import SimulationRun, explore, plain
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
            run = SimulationRun(
                system, propagator, directory, executor, workers, name, target, progress, stop, kind, text, first
            )
            counts = explore(run, plan) if isinstance(plan, ExplorePlan) else plain(run, plan)
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
