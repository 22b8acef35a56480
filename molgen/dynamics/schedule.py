"""How a simulation's time is divided into tasks; the division depends on the settings alone, never on workers."""

from dataclasses import dataclass
from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from molgen.dynamics.propagator import Piece, steps_of
from molgen.dynamics.starts import hot_chains
from molgen.errors import UsageError
from molgen.settings import Settings
from molgen.systems.system import AnalyticSystem, System

Mode = Literal["explore", "plain"]

_MOLECULE_TIMESTEP_FS = 2.0
_HOT_MOLECULE_K = 900.0
_HOT_ANALYTIC_FACTOR = 3.0


class SimulationSettings(Settings):
    """Settings of ``simulate``; times of an analytic system are in its reduced unit where ps or fs is written.

    ``timestep_fs`` None is 2 fs for a molecule (with hydrogens of ``hydrogen_mass_da``, None for physical masses) and
    the system's own for an analytic one. ``temperature_k`` None is the system's own; ``hot_temperature_k`` None is
    900 K for a molecule, three times the temperature of an analytic system. *Explore*: ``hot_chains`` independent hot
    trajectories (more where bonds may be cis or trans, so that every form is a start) give a starting point every
    ``hot_interval_ps``; each is equilibrated and then sampled for ``segment_ps``. *Plain*: ``plain_chains``
    independent trajectories, written in pieces of ``piece_ps``.
    """

    timestep_fs: PositiveFloat | None = None
    friction_per_ps: PositiveFloat = 1.0
    hydrogen_mass_da: PositiveFloat | None = 3.0
    save_every_ps: PositiveFloat = 0.1
    equilibration_ps: NonNegativeFloat = 4.0
    temperature_k: PositiveFloat | None = None
    hot_temperature_k: PositiveFloat | None = None
    hot_interval_ps: PositiveFloat = 5.0
    hot_chains: PositiveInt = 2
    segment_ps: PositiveFloat = 40.0
    seeds_per_task: PositiveInt = 10
    plain_chains: PositiveInt = 4
    piece_ps: PositiveFloat = 500.0

    def timestep_ps(self, system: System) -> float:
        """The time step in ps for ``system``."""
        if self.timestep_fs is not None:
            return 1e-3 * self.timestep_fs
        analytic = isinstance(system, AnalyticSystem)
        return 1e-3 * (system.definition.dynamics.timestep_fs if analytic else _MOLECULE_TIMESTEP_FS)

    def target_k(self, system: System) -> float:
        """The temperature of the frames of ``system`` in kelvin."""
        return system.temperature_k if self.temperature_k is None else self.temperature_k

    def hot_k(self, system: System) -> float:
        """The hot temperature for ``system`` in kelvin."""
        if self.hot_temperature_k is not None:
            return self.hot_temperature_k
        if isinstance(system, AnalyticSystem):
            return _HOT_ANALYTIC_FACTOR * self.target_k(system)
        return max(_HOT_MOLECULE_K, self.target_k(system))


@dataclass(frozen=True)
class ExplorePlan:
    """Hot chains and the segments that follow: ``seeds[i]`` starting points from chain i, ``batch`` of them a task."""

    seeds: tuple[int, ...]
    batch: int
    warm_up: Piece
    interval: Piece
    segment: Piece

    @property
    def batches(self) -> tuple[tuple[int, int, int], ...]:
        """The tasks at the target temperature: (chain, first seed, end) with seeds numbered within their chain."""
        return tuple(
            (chain, first, min(first + self.batch, n))
            for chain, n in enumerate(self.seeds)
            for first in range(0, n, self.batch)
        )

    @property
    def frames(self) -> int:
        """Frames kept in all."""
        return sum(self.seeds) * self.segment.frames

    @property
    def evaluations(self) -> int:
        """Steps in all, if no hot frame is refused."""
        hot = len(self.seeds) * self.warm_up.evaluations + sum(self.seeds) * self.interval.evaluations
        return hot + sum(self.seeds) * self.segment.evaluations


@dataclass(frozen=True)
class PlainPlan:
    """Independent chains, each of the same ``pieces`` in order (the first begins with the equilibration)."""

    chains: int
    pieces: tuple[Piece, ...]

    @property
    def frames(self) -> int:
        """Frames kept in all."""
        return self.chains * sum(piece.frames for piece in self.pieces)

    @property
    def evaluations(self) -> int:
        """Steps in all."""
        return self.chains * sum(piece.evaluations for piece in self.pieces)


def plan_explore(system: System, settings: SimulationSettings, time_ps: float) -> ExplorePlan:
    """Divide ``time_ps``, hot and cold together, into chains and segments; ``UsageError`` if too short for one."""
    dt = settings.timestep_ps(system)
    every = _every(settings, dt)
    equilibration = steps_of(settings.equilibration_ps, dt)
    hot = settings.hot_k(system)
    each = settings.hot_interval_ps + settings.equilibration_ps + settings.segment_ps
    warm_up_ps = settings.equilibration_ps + settings.hot_interval_ps
    chains = min(hot_chains(system, settings.hot_chains), int((time_ps + 1e-9) // (each + warm_up_ps)))
    if chains < 1:
        raise UsageError(
            f"{time_ps:g} ps is too short to explore {system.name!r}.",
            f"Give --time {each + warm_up_ps:g}ps or more, or shorter segments (--set segment_ps=...).",
        )
    seeds = int((time_ps - chains * warm_up_ps + 1e-9) // each)
    interval = steps_of(settings.hot_interval_ps, dt)
    return ExplorePlan(
        tuple(seeds // chains + (chain < seeds % chains) for chain in range(chains)),
        settings.seeds_per_task,
        Piece(hot, interval, interval, equilibration),
        Piece(hot, interval, interval),
        Piece(settings.target_k(system), steps_of(settings.segment_ps, dt), every, equilibration),
    )


def plan_plain(system: System, settings: SimulationSettings, time_ps: float) -> PlainPlan:
    """Divide ``time_ps`` among the chains, and each chain into pieces; ``UsageError`` if no frame would be kept."""
    dt = settings.timestep_ps(system)
    every = _every(settings, dt)
    equilibration = steps_of(settings.equilibration_ps, dt)
    frames = int(steps_of(time_ps / settings.plain_chains, dt) - equilibration) // every
    if frames < 1:
        needed = settings.plain_chains * (settings.equilibration_ps + settings.save_every_ps)
        raise UsageError(
            f"{time_ps:g} ps is too short for {settings.plain_chains} chains.",
            f"Give --time {needed:g}ps or more, or fewer chains (--set plain_chains=1).",
        )
    in_piece = max(1, steps_of(settings.piece_ps, dt) // every)
    lengths = [min(in_piece, frames - done) for done in range(0, frames, in_piece)]
    pieces = tuple(
        Piece(settings.target_k(system), n * every, every, equilibration if index == 0 else 0)
        for index, n in enumerate(lengths)
    )
    return PlainPlan(settings.plain_chains, pieces)


def _every(settings: SimulationSettings, timestep_ps: float) -> int:
    return max(1, steps_of(settings.save_every_ps, timestep_ps))
