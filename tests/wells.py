"""One particle in a double well between two cores, for everything that shoots."""

from dataclasses import replace
from typing import Any

import numpy as np

from molgen.observables.states import with_states
from molgen.systems.definition import StateSection
from molgen.systems.loading import load_system

CORE = 0.9


def double_well(integrator: str = "overdamped", timestep_fs: float = 1.0, check_every: int = 1) -> Any:
    """``double-well`` with the states ``left`` (x < -0.9) and ``right`` (x > 0.9) and this dynamics."""
    states = (StateSection(name="left", where=f"x < -{CORE}"), StateSection(name="right", where=f"x > {CORE}"))
    system = with_states(load_system("double-well"), states)
    changes = {"integrator": integrator, "timestep_fs": timestep_fs, "check_every": check_every}
    section = system.definition.dynamics.model_copy(update=changes)
    return replace(system, definition=system.definition.model_copy(update={"dynamics": section}))


def potential(x: np.ndarray) -> np.ndarray:
    """V in kT."""
    return np.asarray(5.0 * (x**2 - 1.0) ** 2 + 0.5 * x)


def committor(x: np.ndarray, overshoot: float = 0.0) -> np.ndarray:
    """q(x) = ∫ₐˣ e^V / ∫ₐᵇ e^V of overdamped dynamics, the cores moved outwards by ``overshoot``."""
    grid = np.linspace(-CORE - overshoot, CORE + overshoot, 20_001)
    weight = np.exp(potential(grid))
    total = np.concatenate([[0.0], np.cumsum(0.5 * (weight[1:] + weight[:-1]))])
    return np.asarray(np.interp(x, grid, total / total[-1]))
