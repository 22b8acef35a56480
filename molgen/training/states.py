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


def check_visited(system: System, frames: FrameSet) -> None:
    """``InputError`` naming the first declared state that no frame inside the domain visits.

    ``otherwise`` may be empty, and frames all outside the domain are another error's business.
    """
    states = build_states(system)
    positions = np.asarray(frames.positions, dtype=np.float64)
    positions = positions[domain_of(system).contains(positions)]
    if not states.names or len(positions) == 0:
        return
    found = states.assign(evaluate_cvs(system, positions))
    for index, condition in enumerate(states.conditions):
        if condition.text.strip() != OTHERWISE and not np.any(found == index):
            raise InputError(
                f"None of the {len(frames)} frames visits the state {states.names[index]!r} ({condition.text}).",
                "Give frames that do (molgen simulate --explore finds states), or take it out of the system.",
            )


def system_with_states(system: System, frames: FrameSet, settings: StateSettings) -> System:
    """``system`` itself where it declares states, else with those found on ``frames`` (none without a barrier)."""
    if system.definition.state:
        return system
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
