"""The flux through an interface between two states, and what becomes of the trajectories that cross it.

A trajectory that was in A last *first crosses* the interface when it reaches its far side for the first time since it
left A. With Φ the number of first crossings in a unit of such time, and P the share of them that reach B before A,

    k_AB = Φ P,

exact wherever the interface lies (R. J. Allen, C. Valeriani and P. R. ten Wolde, J. Phys.: Condens. Matter 21, 463102
(2009), doi:10.1088/0953-8984/21/46/463102). First crossings are no Boltzmann sample of the interface: each is continued
from the very positions and velocities that it had, with new random forces, several times.

A trajectory that reaches B is put back to where it entered A last, from where it goes on with new random forces. That
costs the difference between two distributions in A, which its relaxation takes away long before the next passage.
"""

from dataclasses import dataclass, replace

import numpy as np

from molgen.arrays import IntArray
from molgen.dynamics.passage import PassageDynamics, Passages, PhasePoints
from molgen.errors import InputError, PartialError
from molgen.observables.boundary import NEITHER, Boundary
from molgen.observables.regions import CROSSED, Interface, OneState
from molgen.seeds import child_seed
from molgen.shooting.direct import check_finite, other
from molgen.shooting.stages import Content

_MOST_SETTLING = 20
"""Stretches of settling in which a trajectory may leave its state again before that state is given up."""
_MOST_STRETCHES = 1000


@dataclass(frozen=True, eq=False)
class Walkers:
    """W trajectories that were last in the state ``origin``: where they are, and whether they have ``crossed``.

    ``home`` is where each entered the state last.
    """

    origin: int
    crossed: np.ndarray
    phase: PhasePoints
    home: PhasePoints

    def to_content(self) -> dict[str, np.ndarray]:
        """Everything as arrays."""
        return {
            "origin": np.array(self.origin),
            "crossed": self.crossed,
            "positions": self.phase.positions,
            "velocities": self.phase.velocities,
            "home_positions": self.home.positions,
            "home_velocities": self.home.velocities,
        }

    @classmethod
    def of_content(cls, content: Content) -> "Walkers":
        """What :meth:`to_content` gave."""
        return cls(
            int(content["origin"]),
            content["crossed"],
            PhasePoints(content["positions"], content["velocities"]),
            PhasePoints(content["home_positions"], content["home_velocities"]),
        )


@dataclass(frozen=True, eq=False)
class Crossings:
    """First crossings (n,): the ``walker`` that made each, its phase points, and the ``state`` if it lies in the other.

    ``steps`` (W,) were spent by each walker while it was last in its state; ``arrived`` of them reached the other one.
    """

    walker: IntArray
    state: IntArray
    phase: PhasePoints
    steps: IntArray
    arrived: int

    def to_content(self) -> dict[str, np.ndarray]:
        """Everything as arrays."""
        return {
            "walker": self.walker,
            "state": self.state,
            "crossing_positions": self.phase.positions,
            "crossing_velocities": self.phase.velocities,
            "steps": self.steps,
            "arrived": np.array(self.arrived),
        }

    @classmethod
    def of_content(cls, content: Content) -> "Crossings":
        """What :meth:`to_content` gave."""
        phase = PhasePoints(content["crossing_positions"], content["crossing_velocities"])
        return cls(content["walker"], content["state"], phase, content["steps"], int(content["arrived"]))


def settle(
    dynamics: PassageDynamics, boundary: Boundary, origin: int, start: PhasePoints, steps: int, seed: int
) -> tuple[Walkers, int]:
    """Walkers from ``start``, all in the state ``origin``, after ``steps`` steps without the other state; steps spent.

    One that reaches the other state begins again. ``InputError`` if that goes on.
    """
    to_other = dynamics.ending_at(OneState(boundary, other(origin)))
    to_origin = dynamics.ending_at(OneState(boundary, origin))
    positions, velocities = start.positions.copy(), start.velocities.copy()
    waiting, spent = np.arange(len(start)), 0
    for attempt in range(_MOST_SETTLING):
        found = to_other.run(start.rows(waiting), steps, child_seed(seed, "settle", attempt))
        check_finite(found.label)
        spent += int(found.steps.sum())
        stayed = found.label == NEITHER
        positions[waiting[stayed]] = found.end.positions[stayed]
        velocities[waiting[stayed]] = found.end.velocities[stayed]
        waiting = waiting[~stayed]
        if not len(waiting):
            break
    else:
        name = boundary.a if origin == 0 else boundary.b
        raise InputError(
            f"Dynamics leaves {name} within {steps} steps most of the time.",
            "Settle for a shorter time (--set settle_ps=...), or count direct passages instead.",
        )
    # The next entrance into the state itself is where counting begins.
    home = PhasePoints(positions.copy(), velocities.copy())
    outside = np.flatnonzero(boundary.assign(positions) != origin)
    if len(outside):
        back, more = until_decided(to_origin, home.rows(outside), steps, child_seed(seed, "settle", "back"))
        home.positions[outside], home.velocities[outside] = back.end.positions, back.end.velocities
        spent += more
    return Walkers(origin, np.zeros(len(start), np.bool_), home, home), spent


def walk(
    dynamics: PassageDynamics, boundary: Boundary, beyond: str, walkers: Walkers, limit: int, rounds: int, seed: int
) -> tuple[Walkers, Crossings]:
    """``rounds`` rounds of at most ``limit`` steps: to the first crossing, or from one to a state.

    ``PartialError`` if one leaves the finite numbers.
    """
    origin, goal = walkers.origin, other(walkers.origin)
    to_interface = dynamics.ending_at(Interface(boundary, beyond, origin))
    to_states = dynamics.ending_at(boundary)
    positions, velocities = walkers.phase.positions.copy(), walkers.phase.velocities.copy()
    home = PhasePoints(walkers.home.positions.copy(), walkers.home.velocities.copy())
    crossed, steps = walkers.crossed.copy(), np.zeros(len(walkers.crossed), np.int64)
    rows_of, states, parts, arrived = [], [], [], 0
    for number in range(rounds):
        near, far = np.flatnonzero(~crossed), np.flatnonzero(crossed)
        for rows, dynamic, name in ((near, to_interface, "near"), (far, to_states, "far")):
            if not len(rows):
                continue
            start = PhasePoints(positions[rows], velocities[rows])
            found = dynamic.run(start, limit, child_seed(seed, "walk", number, name))
            check_finite(found.label)
            steps[rows] += found.steps
            positions[rows], velocities[rows] = found.end.positions, found.end.velocities
            if name == "near":
                first = (found.label == CROSSED) | (found.label == goal)
                rows_of.append(rows[first])
                states.append(np.where(found.label[first] == goal, goal, NEITHER))
                parts.append(found.end.rows(np.flatnonzero(first)))
                crossed[rows] = found.label == CROSSED
            back = rows[found.label == origin]
            home.positions[back], home.velocities[back] = positions[back], velocities[back]
            over = rows[found.label == goal]
            positions[over], velocities[over] = home.positions[over], home.velocities[over]
            crossed[np.concatenate([back, over])] = False
            arrived += len(over)
    shape = (0, *positions.shape[1:])
    phase = PhasePoints(
        np.concatenate([np.empty(shape), *(part.positions for part in parts)]),
        np.concatenate([np.empty(shape), *(part.velocities for part in parts)]),
    )
    nothing = np.empty(0, np.int64)
    found_rows = np.concatenate([nothing, *rows_of])
    crossings = Crossings(found_rows, np.concatenate([nothing, *states]), phase, steps, arrived)
    return replace(walkers, crossed=crossed, phase=PhasePoints(positions, velocities), home=home), crossings


def continue_crossings(
    dynamics: PassageDynamics, crossings: Crossings, times: int, limit: int, seed: int
) -> tuple[IntArray, int]:
    """The ends (n, ``times``), A or B, of every crossing continued ``times`` times with its own velocities; the steps.

    A crossing that lies in a state has that one as its end.
    """
    ends = np.repeat(crossings.state[:, None], times, axis=1)
    rows = np.repeat(np.flatnonzero(crossings.state == NEITHER), times)
    if not len(rows):
        return ends, 0
    found, spent = until_decided(dynamics, crossings.phase.rows(rows), limit, seed)
    ends[crossings.state == NEITHER] = found.label.reshape(-1, times)
    return ends, spent


def until_decided(dynamics: PassageDynamics, start: PhasePoints, limit: int, seed: int) -> tuple[Passages, int]:
    """Passages from ``start`` that go on, ``limit`` steps at a time, until every one has ended; the steps.

    ``PartialError`` if one leaves the finite numbers or does not end in a thousand stretches.
    """
    end = PhasePoints(start.positions.copy(), start.velocities.copy())
    label, steps = np.full(len(start), NEITHER, np.int64), np.zeros(len(start), np.int64)
    for stretch in range(_MOST_STRETCHES):
        rows = np.flatnonzero(label == NEITHER)
        if not len(rows):
            return Passages(label, steps, end), int(steps.sum())
        found = dynamics.run(end.rows(rows), limit, child_seed(seed, "stretch", stretch))
        check_finite(found.label)
        label[rows], steps[rows] = found.label, steps[rows] + found.steps
        end.positions[rows], end.velocities[rows] = found.end.positions, found.end.velocities
    raise PartialError(
        f"A trajectory has reached neither state in {_MOST_STRETCHES * limit} steps.",
        "Something else holds it: make it part of a state, or give a longer --limit.",
    )
