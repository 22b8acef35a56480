"""One particle in a double well between two cores, for everything that shoots."""

from dataclasses import replace
from typing import Any

import numpy as np

from molgen.observables.states import with_states
from molgen.systems.definition import StateSection
from molgen.systems.loading import load_system
from molgen.systems.system import REDUCED_TEMPERATURE_K

CORE = 0.9


def double_well(
    integrator: str = "overdamped", timestep_fs: float = 1.0, check_every: int = 1, thermal: float = 1.0
) -> Any:
    """``double-well`` with the states ``left`` (x < -0.9) and ``right`` (x > 0.9) and this dynamics at kT = thermal."""
    states = (StateSection(name="left", where=f"x < -{CORE}"), StateSection(name="right", where=f"x > {CORE}"))
    system = with_states(load_system("double-well"), states)
    changes = {"integrator": integrator, "timestep_fs": timestep_fs, "check_every": check_every}
    section = system.definition.dynamics.model_copy(update=changes)
    warm = thermal * REDUCED_TEMPERATURE_K
    return replace(system, definition=system.definition.model_copy(update={"dynamics": section, "temperature_k": warm}))


def potential(x: np.ndarray) -> np.ndarray:
    """V in kT."""
    return np.asarray(5.0 * (x**2 - 1.0) ** 2 + 0.5 * x)


def committor(x: np.ndarray, overshoot: float = 0.0) -> np.ndarray:
    """q(x) = ∫ₐˣ e^V / ∫ₐᵇ e^V of overdamped dynamics, the cores moved outwards by ``overshoot``."""
    grid = np.linspace(-CORE - overshoot, CORE + overshoot, 20_001)
    weight = np.exp(potential(grid))
    total = np.concatenate([[0.0], np.cumsum(0.5 * (weight[1:] + weight[:-1]))])
    return np.asarray(np.interp(x, grid, total / total[-1]))


def chain_rates(timestep: float, check_every: int, thermal: float) -> tuple[float, float, float]:
    """ν, k_AB and k_BA of overdamped dynamics in steps of ``timestep``, looked at every ``check_every`` of them.

    From the matrix of the very chain of looks on a fine grid: no limit of short steps is taken.
    """
    x = np.linspace(-2.4, 2.4, 601)
    mean = x - timestep * (20.0 * x * (x * x - 1.0) + 0.5)
    kernel = np.exp(-((x[None, :] - mean[:, None]) ** 2) / (4.0 * thermal * timestep))
    one = kernel / kernel.sum(axis=1, keepdims=True)
    look = np.linalg.matrix_power(one, check_every)
    density = np.linalg.matrix_power(look, 1 << 20)[0]
    a, b = x < -CORE, x > CORE
    between = ~a & ~b
    forward = np.where(b, 1.0, 0.0)
    inner = np.eye(int(between.sum())) - look[np.ix_(between, between)]
    forward[between] = np.linalg.solve(inner, look[np.ix_(between, b)].sum(axis=1))
    # Last in A, of the chain turned round.
    back = look.T * density[None, :] / density[:, None]
    inner = np.eye(int(between.sum())) - back[np.ix_(between, between)]
    last = np.where(a, 1.0, 0.0)
    last[between] = np.linalg.solve(inner, back[np.ix_(between, a)].sum(axis=1))
    nu = float((density[a] * (look[a] @ forward)).sum()) / (timestep * check_every)
    share = float((density * last).sum())
    return nu, nu / share, nu / (1.0 - share)
