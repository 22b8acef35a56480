"""One particle in a double well between two cores, for everything that shoots."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from molgen.ensemble import Ensemble, EnsembleHeader, EnsembleWriter
from molgen.observables.states import with_states
from molgen.systems.definition import StateSection
from molgen.systems.loading import load_system
from molgen.systems.record import system_record

CORE = 0.9


def double_well(
    integrator: str = "overdamped", timestep_fs: float = 1.0, check_every: int = 1, flat: float = 1.0
) -> Any:
    """``double-well`` with the states ``left`` (x < -0.9) and ``right`` (x > 0.9), this dynamics, and V/``flat``."""
    states = (StateSection(name="left", where=f"x < -{CORE}"), StateSection(name="right", where=f"x > {CORE}"))
    system = with_states(load_system("double-well"), states)
    changes = {"integrator": integrator, "timestep_fs": timestep_fs, "check_every": check_every}
    section = system.definition.dynamics.model_copy(update=changes)
    definition = system.definition.model_copy(update={"dynamics": section})
    if flat != 1.0:
        shape = {"barrier": 5.0 / flat, "tilt": 0.5 / flat}
        definition = definition.model_copy(
            update={"analytic": definition.analytic.model_copy(update={"parameters": shape})}
        )
    return replace(system, definition=definition)


def potential(x: np.ndarray) -> np.ndarray:
    """V in kT."""
    return np.asarray(5.0 * (x**2 - 1.0) ** 2 + 0.5 * x)


def weighted_frames(path: Path, system: Any, n: int) -> Path:
    """An ensemble of ``n`` frames all over the line, with the weights of the Boltzmann distribution."""
    x = np.random.default_rng(2).uniform(-1.6, 1.6, n)
    header = EnsembleHeader(system_record(system), system.temperature_k, "external", kind="equilibrium", dim=1)
    rows = Ensemble(x.reshape(-1, 1, 1), None, None, -potential(x), np.ones(n, dtype=np.bool_), header)
    with EnsembleWriter(path, header) as writer:
        writer.append(rows)
    return path


def committor(x: np.ndarray, overshoot: float = 0.0) -> np.ndarray:
    """q(x) = ∫ₐˣ e^V / ∫ₐᵇ e^V of overdamped dynamics, the cores moved outwards by ``overshoot``."""
    grid = np.linspace(-CORE - overshoot, CORE + overshoot, 20_001)
    weight = np.exp(potential(grid))
    total = np.concatenate([[0.0], np.cumsum(0.5 * (weight[1:] + weight[:-1]))])
    return np.asarray(np.interp(x, grid, total / total[-1]))


@dataclass(frozen=True, eq=False)
class Looks:
    """The chain of looks of overdamped dynamics in steps of ``timestep`` on V/``flat``, every ``check_every`` of them.

    On a fine grid ``x`` (n,) with the chances ``look`` (n, n) to go from one of its points to another; no limit of
    short steps is taken anywhere.
    """

    timestep: float
    check_every: int
    flat: float

    @property
    def x(self) -> np.ndarray:
        return np.linspace(-2.6, 2.6, 521)

    @cached_property
    def look(self) -> np.ndarray:
        mean = self.x - self.timestep * (20.0 * self.x * (self.x**2 - 1.0) + 0.5) / self.flat
        kernel = np.exp(-((self.x[None, :] - mean[:, None]) ** 2) / (4.0 * self.timestep))
        return np.linalg.matrix_power(kernel / kernel.sum(axis=1, keepdims=True), self.check_every)

    @cached_property
    def density(self) -> np.ndarray:
        """The stationary distribution (n,), wider than Boltzmann's by what the step is too long."""
        return np.asarray(np.linalg.matrix_power(self.look, 1 << 14)[260])

    @cached_property
    def forward(self) -> np.ndarray:
        """The chance (n,) to be in B before A."""
        return self._reached(self.look, self.x > CORE)

    def rates(self) -> tuple[float, float, float]:
        """ν, k_AB and k_BA."""
        # Last in A: the chain turned round reaches A before B.
        back = self.look.T * self.density[None, :] / self.density[:, None]
        share = float((self.density * self._reached(back, self.x < -CORE)).sum())
        a = self.x < -CORE
        nu = float((self.density[a] * (self.look[a] @ self.forward)).sum()) / (self.timestep * self.check_every)
        return nu, nu / share, nu / (1.0 - share)

    def _reached(self, chances: np.ndarray, goal: np.ndarray) -> np.ndarray:
        between = np.abs(self.x) <= CORE
        found = np.where(goal, 1.0, 0.0)
        inner = np.eye(int(between.sum())) - chances[np.ix_(between, between)]
        found[between] = np.linalg.solve(inner, chances[np.ix_(between, goal)].sum(axis=1))
        return found
