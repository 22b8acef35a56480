"""Systems whose overdamped committor is known on a grid, for `committor selftest` and its benchmark."""

import math
from dataclasses import dataclass, replace

import numpy as np

from molgen.arrays import BoolArray, FloatArray
from molgen.committor.grid import GridCommittor, Plane, cells_between, grid_committor
from molgen.observables.boundary import Boundary
from molgen.observables.states import with_states
from molgen.systems.definition import StateSection
from molgen.systems.loading import load_system
from molgen.systems.system import AnalyticSystem

OVERSHOOT = 0.5826
"""Dynamics in steps of dt meets a boundary as if it lay so many √(2 D dt) further away (S. Asmussen, P. Glynn and
J. Pitman, Ann. Appl. Probab. 5 (1995) 875; M. Broadie, P. Glasserman and S. Kou, Math. Finance 7 (1997) 325)."""


@dataclass(frozen=True, eq=False)
class KnownCase:
    """The states of ``boundary``, and the committor of its dynamics on ``plane`` in cells of ``spacing``.

    ``reference`` has the states where dynamics in steps seems to meet them. Errors of a model are root mean squares
    over cells below ``below`` kT with 0.05 < q < 0.95.
    """

    boundary: Boundary
    reference: Boundary
    plane: Plane
    spacing: float
    below: float

    @property
    def system(self) -> AnalyticSystem:
        """The system with its dynamics."""
        system = self.boundary.system
        assert isinstance(system, AnalyticSystem)
        return system

    def grid(self, spacing: float | None = None) -> GridCommittor:
        """The reference, in cells of ``spacing`` if given."""
        return grid_committor(self.reference, self.plane, self.spacing if spacing is None else spacing)

    def cells(self, grid: GridCommittor) -> BoolArray:
        """The cells over which errors are taken."""
        return cells_between(grid, self.below)


def double_well_case(timestep_fs: float = 1.0) -> KnownCase:
    """``double-well``, overdamped, between x < −0.9 and x > 0.9."""
    core = (-0.9, 0.9)
    plane = Plane.box([-2.5], [2.5])
    return _case("double-well", "x < {}", "x > {}", core, plane, 0.0025, 100.0, timestep_fs)


def muller_brown_case(timestep_fs: float = 0.1) -> KnownCase:
    """``muller-brown`` between the discs of radius 0.1 about (−0.5, 1.5) and (0.5, 0)."""
    conditions = "within(x, y; -0.5, 1.5; {})", "within(x, y; 0.5, 0.0; {})"
    plane = Plane.box([-1.5, -0.5], [1.2, 2.2])
    return _case("muller-brown", *conditions, (0.1, 0.1), plane, 0.0125, 0.0, timestep_fs, inwards=True)


def dead_end_case() -> KnownCase:
    """``dead-end`` between its wells; the pocket is flat at q = 0.94."""
    conditions = "x < {} and y < 0.7", "x > {} and y < 0.7"
    return _case("dead-end", *conditions, (-0.8, 0.8), Plane.box([-2.0, -2.0], [2.0, 3.0]), 0.025, 6.0, 1.0)


def hidden_coordinate_case() -> KnownCase:
    """``hidden-coordinate`` on the plane of x0 and s."""
    plane = hidden_plane(np.zeros(10))
    return _case("hidden-coordinate", "x0 < {}", "x0 > {}", (-0.9, 0.9), plane, 0.05, 8.0, 1.0)


def hidden_plane(origin: FloatArray) -> Plane:
    """The plane of x0 and s through ``origin`` (10,) of ``hidden-coordinate``."""
    directions = np.zeros((2, 10))
    directions[0, 0], directions[1, 1:] = 1.0, 1.0 / 3.0
    return Plane(origin, directions, np.array([-1.8, -3.4]), np.array([1.8, 3.4]))


def _case(
    name: str,
    a: str,
    b: str,
    numbers: tuple[float, float],
    plane: Plane,
    spacing: float,
    below: float,
    timestep_fs: float,
    *,
    inwards: bool = False,
) -> KnownCase:
    """States with ``numbers`` put into the conditions ``a`` and ``b``.

    For the reference they go away from 0 by what a step overshoots, or towards it where they are radii (``inwards``).
    """
    shift = OVERSHOOT * math.sqrt(2e-3 * timestep_fs) * (-1.0 if inwards else 1.0)
    moved = tuple(number + math.copysign(shift, shift * number) for number in numbers)
    boundary, reference = (
        _between(name, (("left", a.format(first)), ("right", b.format(second))), timestep_fs)
        for first, second in (numbers, moved)
    )
    return KnownCase(boundary, reference, plane, spacing, below)


def _between(name: str, states: tuple[tuple[str, str], tuple[str, str]], timestep_fs: float) -> Boundary:
    """Between two ``states`` (name, condition) of a shipped system, overdamped in steps of ``timestep_fs``."""
    system = with_states(load_system(name), tuple(StateSection(name=key, where=where) for key, where in states))
    assert isinstance(system, AnalyticSystem)
    changes = {"integrator": "overdamped", "timestep_fs": timestep_fs, "friction_per_ps": 1.0, "check_every": 1}
    section = system.definition.dynamics.model_copy(update=changes)
    changed = replace(system, definition=system.definition.model_copy(update={"dynamics": section}))
    return Boundary(changed, states[0][0], states[1][0])
