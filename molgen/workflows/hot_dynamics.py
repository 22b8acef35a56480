"""Hot trajectories of an exploring run, on disk, and the starting points that they give together."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from molgen.arrays import FloatArray
from molgen.coordinates.domain import domain_of
from molgen.dynamics.explore import HotSeeds, Label, hot_chain, with_visits
from molgen.dynamics.propagator import Propagator
from molgen.dynamics.schedule import ExplorePlan
from molgen.dynamics.starts import turned_into
from molgen.observables.states import build_states
from molgen.observables.table import evaluate_cvs
from molgen.seeds import child_seed
from molgen.systems.system import System

VISITS_BY_TURNING = 4
"""Structures that are made of a state which hot dynamics does not find."""


def hot_task(
    propagator: Propagator, start: FloatArray, system: System, plan: ExplorePlan, chain: int, seed: int
) -> HotSeeds:
    """The hot trajectory of ``chain`` from ``start`` (N, D)."""
    return hot_chain(
        propagator,
        start,
        domain_of(system),
        warm_up=plan.warm_up,
        interval=plan.interval,
        n=plan.seeds[chain],
        seed=seed,
        label=_label(system),
    )


def starting_points(system: System, chains: Sequence[HotSeeds], *, seed: int, platform: str) -> FloatArray:
    """Starting points (n, N, D) of all chains, some of them in each declared state if there is a way to it.

    States with few starting points are given frames that hot dynamics passed
    (:func:`molgen.dynamics.explore.with_visits`), and those that it never was in structures with turned torsions
    (:func:`molgen.dynamics.starts.turned_into`).
    """
    starts, label = np.concatenate([chain.positions for chain in chains]), _label(system)
    if label is None:
        return starts
    visits, visited = [chain.visits for chain in chains], [chain.visited for chain in chains]
    states = label(starts)
    for state in range(len(build_states(system).names)):
        if state not in states and not any(state in some for some in visited):
            turned = turned_into(
                system, label, state, most=VISITS_BY_TURNING, seed=child_seed(seed, "turned", state), platform=platform
            )
            visits.append(turned)
            visited.append(np.full(len(turned), state, dtype=np.int64))
    return with_visits(starts, states, np.concatenate(visits), np.concatenate(visited))


def write_hot(path: Path, hot: HotSeeds) -> None:
    """Write a trajectory's frames to the ``.npz`` file ``path``."""
    counts = np.array([hot.rejected, hot.evaluations])
    np.savez(path, positions=hot.positions, counts=counts, visits=hot.visits, visited=hot.visited)


def read_hot(path: Path) -> HotSeeds:
    """What :func:`write_hot` wrote."""
    with np.load(path, allow_pickle=False) as data:
        rejected, evaluations = (int(value) for value in data["counts"])
        return HotSeeds(data["positions"], rejected, evaluations, data["visits"], data["visited"])


def _label(system: System) -> Label | None:
    """The declared state of frames; None for a system that declares none."""
    if not system.definition.state:
        return None
    states = build_states(system)
    return lambda frames: states.assign(evaluate_cvs(system, frames))
