"""What may end a passage: one of two states, one state alone, or the far side of an interface between them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.errors import InputError
from molgen.observables.boundary import NEITHER, A, B, Boundary, values_of
from molgen.observables.compiled import compile_condition, compile_variable
from molgen.observables.states import known_variables
from molgen.observables.table import build_cv
from molgen.observables.where import OTHERWISE, Condition
from molgen.systems.system import System

CROSSED = 2
"""Label of a frame beyond the interface and in no state."""


class Labelling(Protocol):
    """Labels of frames; anything but NEITHER ends a passage. A picklable value."""

    @property
    def where_is(self) -> Callable[[FloatArray], int]:
        """The label of one frame (N, D), fast."""
        ...

    def assign(self, positions: FloatArray) -> IntArray:
        """The labels (n,) of frames (n, N, D)."""
        ...


@dataclass(frozen=True, eq=False)
class OneState:
    """``state`` (A or B) of ``boundary`` alone: frames in the other one are NEITHER."""

    boundary: Boundary
    state: int

    def __getstate__(self) -> dict[str, Any]:
        return {"boundary": self.boundary, "state": self.state}

    @cached_property
    def where_is(self) -> Callable[[FloatArray], int]:
        """See :class:`Labelling`."""
        found, state = self.boundary.where_is, self.state
        return lambda frame: state if found(frame) == state else NEITHER

    def assign(self, positions: FloatArray) -> IntArray:
        """See :class:`Labelling`."""
        return np.where(self.boundary.assign(positions) == self.state, self.state, NEITHER)


@dataclass(frozen=True, eq=False)
class Region:
    """Where a ``condition`` on the collective variables of ``system`` holds; never for a variable that is NaN.

    A picklable value. ``InputError`` for a condition that cannot be read.
    """

    system: System
    condition: str

    def __post_init__(self) -> None:
        if self.condition.strip() == OTHERWISE:
            raise InputError("'otherwise' is no condition here.", 'Write one such as "phi > -20deg".')
        self.parsed  # noqa: B018 - reads it

    def __getstate__(self) -> dict[str, Any]:
        # Compiled functions stay where they are.
        return {"system": self.system, "condition": self.condition}

    @cached_property
    def parsed(self) -> Condition:
        """The condition as it was read."""
        return Condition(self.condition, known_variables(self.system.definition), "condition")

    @cached_property
    def variables(self) -> list[tuple[str, Any]]:
        """The collective variables in it, by name."""
        import ast

        names = {node.id for node in ast.walk(self.parsed.tree()) if isinstance(node, ast.Name)}
        return [(part.name, build_cv(part, self.system)) for part in self.system.definition.cv if part.name in names]

    @cached_property
    def holds(self) -> Callable[[FloatArray], bool | None]:
        """Whether it holds in one frame (N, D), fast; None where a variable is NaN."""
        test = compile_condition(self.parsed)
        variables = [(name, compile_variable(variable)) for name, variable in self.variables]

        def holds(frame: FloatArray) -> bool | None:
            values = {name: variable(frame) for name, variable in variables}
            return None if any(value != value for value in values.values()) else bool(test(values))

        return holds

    def known(self, positions: FloatArray) -> tuple[BoolArray, BoolArray]:
        """Of frames (n, N, D) those where all variables are numbers (n,), and whether the condition holds (n,)."""
        values = values_of(self.variables, positions)
        finite = np.ones(len(positions), dtype=np.bool_)
        for column in values.values():
            finite &= np.isfinite(column)
        return finite, finite & np.asarray(compile_condition(self.parsed)(values), dtype=np.bool_)

    def contains(self, positions: FloatArray) -> BoolArray:
        """Whether the condition holds (n,) in frames (n, N, D)."""
        return self.known(positions)[1]


@dataclass(frozen=True, eq=False)
class Interface:
    """The far side, seen from the state ``origin``, of the interface at which the condition ``beyond`` begins to hold.

    From A the far side is where ``beyond`` holds, from B where it does not. The other state always belongs to it, and
    its frames keep their label; ``origin`` never does. Others there are CROSSED. Whatever the condition, a trajectory
    from one state to the other thus crosses the interface. ``InputError`` for a condition that cannot be read.
    """

    boundary: Boundary
    beyond: str
    origin: int

    def __post_init__(self) -> None:
        self._region  # noqa: B018 - reads the condition

    def __getstate__(self) -> dict[str, Any]:
        # Compiled functions stay where they are.
        return {"boundary": self.boundary, "beyond": self.beyond, "origin": self.origin}

    @cached_property
    def _region(self) -> Region:
        return Region(self.boundary.system, self.beyond)

    @cached_property
    def where_is(self) -> Callable[[FloatArray], int]:
        """See :class:`Labelling`."""
        found, origin, holds = self.boundary.where_is, self.origin, self._region.holds

        def where_is(frame: FloatArray) -> int:
            state = found(frame)
            if state != NEITHER:
                return NEITHER if state == origin else state
            beyond = holds(frame)
            return CROSSED if beyond is not None and beyond == (origin == A) else NEITHER

        return where_is

    def assign(self, positions: FloatArray) -> IntArray:
        """See :class:`Labelling`."""
        finite, beyond = self._region.known(positions)
        far = finite & (beyond == (self.origin == A))
        state = self.boundary.assign(positions)
        label = np.where(far, CROSSED, NEITHER)
        label[state == B if self.origin == A else state == A] = B if self.origin == A else A
        label[state == self.origin] = NEITHER
        return label.astype(np.int64)
