"""The states that training guards: the system's own, all of them visited, or those its frames fall into."""

import numpy as np

from molgen.coordinates.domain import domain_of
from molgen.errors import InputError
from molgen.observables.basins import find_states, parting_cvs
from molgen.observables.states import build_states, with_states
from molgen.observables.table import evaluate_cvs
from molgen.observables.where import OTHERWISE
from molgen.systems.system import System
from molgen.training.settings import StateSettings
from molgen.trajectories.frames import FrameSet

_BLOCK = 16384


def check_visited(system: System, frames: FrameSet) -> None:
    """``InputError`` naming the first declared state that no frame inside the domain visits without a bias.

    A frame under a bias cannot be judged by. ``otherwise`` may be empty, and frames all outside the domain are another
    error's business.
    """
    states, domain, frames = build_states(system), domain_of(system), frames.select(frames.unbiased)
    visited = np.zeros(len(states.names) + 1, dtype=np.int64)  # frames in each state, and last those in none
    for start in range(0, len(frames) if states.names else 0, _BLOCK):
        block = np.asarray(frames.positions[start : start + _BLOCK], dtype=np.float64)
        block = block[domain.contains(block)]
        if len(block):
            visited += np.bincount(states.assign(evaluate_cvs(system, block)) % len(visited), minlength=len(visited))
    for index, condition in enumerate(states.conditions):
        if np.any(visited) and not visited[index] and condition.text.strip() != OTHERWISE:
            raise InputError(
                f"None of the {len(frames)} frames visits the state {states.names[index]!r} ({condition.text}).",
                "Give frames that do (molgen simulate --explore finds states), or take it out of the system.",
            )


def system_with_states(system: System, frames: FrameSet, settings: StateSettings) -> System:
    """``system`` itself where it declares states, else with those found on ``frames`` (none without a barrier)."""
    if system.definition.state:
        return system
    frames = frames.select(frames.unbiased)
    values = evaluate_cvs(system, np.asarray(frames.positions, dtype=np.float64))
    weight = None if frames.log_weight is None else np.exp(frames.log_weight - np.max(frames.log_weight))
    found = find_states(
        values,
        parting_cvs(system),
        lineage=frames.lineage,
        weight=weight,
        max_states=settings.max,
        min_share=settings.min_share,
    )
    return with_states(system, found)
