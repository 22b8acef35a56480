"""Explore: hot dynamics finds the states, short runs at the target temperature follow from each.

The frames cover the states; how many fall into each is no estimate of a population. A declared state in which there are
few starting points or none is given some of the frames by which hot dynamics passed through it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.coordinates.domain import Domain
from molgen.dynamics.propagator import Piece, Propagator
from molgen.errors import PartialError
from molgen.seeds import child_seed

Label = Callable[[FloatArray], IntArray]
"""The state (n,) of frames (n, N, D), -1 for none."""
_ATTEMPTS_PER_SEED, _SPARE_ATTEMPTS = 3, 10
LOOKS = 10
"""Frames of an interval that are looked at for states, the last of them its starting point."""
MOST_VISITS = 20
"""Frames that a hot trajectory keeps of each state."""
LEAST_SHARE = 0.05
"""Share of the starting points that a state should have: one piece of dynamics in 81 does not teach a flow a state."""


@dataclass(frozen=True)
class HotSeeds:
    """Starting points (n, N, D) from hot dynamics, the attempts refused for their stereochemistry, steps spent.

    ``visits`` (m, N, D) are frames from between them that lie in the states ``visited`` (m,), some of each.
    """

    positions: FloatArray
    rejected: int
    evaluations: int
    visits: FloatArray
    visited: IntArray


def hot_chain(
    propagator: Propagator,
    start: FloatArray,
    domain: Domain,
    *,
    warm_up: Piece,
    interval: Piece,
    n: int,
    seed: int,
    label: Label | None = None,
) -> HotSeeds:
    """``n`` frames one ``interval`` apart of a hot trajectory from ``start`` (N, D) after ``warm_up``.

    ``label`` says in which declared state a frame is, if there are any.

    A frame whose stereochemistry has changed is counted and thrown away, and the trajectory tries again from the
    one before it: otherwise all that follow would be wrong as well. ``PartialError`` if this happens too often.
    """
    kept: list[FloatArray] = []
    passed: list[FloatArray] = []
    often = replace(interval, every=interval.steps // LOOKS) if interval.steps % LOOKS == 0 else interval
    attempts = rejected = evaluations = 0
    current = start
    while len(kept) < n + 1:
        if attempts > _ATTEMPTS_PER_SEED * n + _SPARE_ATTEMPTS:
            raise PartialError(
                f"Hot dynamics lost the stereochemistry in {rejected} of {attempts} intervals.",
                "Lower the hot temperature (--set hot_temperature_k=500).",
            )
        piece = (often if label else interval) if kept else warm_up
        frames = propagator.run(current[None], piece, child_seed(seed, "hot", attempts))[0]
        frame = frames[-1]
        attempts += 1
        evaluations += piece.evaluations
        if domain.contains(frame[None])[0]:
            if kept:
                passed.append(frames[:-1])
            kept.append(frame)
            current = frame
        else:
            rejected += 1
    visits, visited = _visits(passed, domain, label)
    return HotSeeds(np.stack(kept[1:]), rejected, evaluations, visits, visited)


def _visits(passed: list[FloatArray], domain: Domain, label: Label | None) -> tuple[FloatArray, IntArray]:
    """Frames of each state among those ``passed``, spread over the trajectory, and their states."""
    frames = np.concatenate(passed)
    states = np.full(len(frames), -1, dtype=np.int64) if label is None else label(frames)
    some = [_spread(np.flatnonzero(states == state), MOST_VISITS) for state in np.unique(states[states >= 0])]
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *some])
    rows = rows[domain.contains(frames[rows])] if len(rows) else rows
    return frames[rows], states[rows]


def _spread(rows: IntArray, most: int) -> IntArray:
    """At most ``most`` of ``rows`` (n,), evenly."""
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64))]


def with_visits(starts: FloatArray, states: IntArray, visits: FloatArray, visited: IntArray) -> FloatArray:
    """``starts`` (n, N, D) in the ``states`` (n,), with ``visits`` (m, N, D) of states (m,) in which there are few.

    Each state with visits has ``LEAST_SHARE`` of the starting points (all such states together half of them at most):
    what it lacks takes the place of points of the state that has most, a visit more than once if there are too few.
    Where every state has its share nothing changes.
    """
    starts, states = starts.copy(), states.copy()
    lacking = np.unique(visited)
    wanted = max(1, int(min(LEAST_SHARE, 0.5 / max(len(lacking), 1)) * len(starts)))
    for state in lacking:
        lack = wanted - int((states == state).sum())
        if lack <= 0:
            continue
        # Dynamics from one frame with velocities of its own goes its own way within a picosecond.
        found = np.resize(_spread(np.flatnonzero(visited == state), lack), lack)
        names, counts = np.unique(states, return_counts=True)
        crowd = np.flatnonzero(states == names[np.argmax(counts)])
        given = _spread(crowd, max(0, min(len(found), len(crowd) - wanted)))
        starts[given], states[given] = visits[found[: len(given)]], state
    return starts
