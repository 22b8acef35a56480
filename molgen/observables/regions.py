"""What may end a passage: one of two states, one state alone, or the far side of an interface between them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.errors import InputError
from molgen.observables.boundary import NEITHER, A, B, Boundary, values_of
from molgen.observables.compiled import compile_condition, compile_variable
from molgen.observables.states import states_of
from molgen.observables.table import build_cv
from molgen.observables.where import OTHERWISE
from molgen.systems.definition import StateSection

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
        if self.beyond.strip() == OTHERWISE:
            raise InputError("An interface cannot be 'otherwise'.", 'Write a condition such as "phi > -20deg".')
        self._condition  # noqa: B018 - reads it

    def __getstate__(self) -> dict[str, Any]:
        # Compiled functions stay where they are.
        return {"boundary": self.boundary, "beyond": self.beyond, "origin": self.origin}

    @cached_property
    def _condition(self) -> Any:
        section = StateSection(name="interface", where=self.beyond)
        return states_of(self.boundary.system.definition, (section,)).conditions[0]

    @cached_property
    def _variables(self) -> list[tuple[str, Any]]:
        import ast

        names = {node.id for node in ast.walk(self._condition.tree()) if isinstance(node, ast.Name)}
        system = self.boundary.system
        return [(part.name, build_cv(part, system)) for part in system.definition.cv if part.name in names]

    @cached_property
    def where_is(self) -> Callable[[FloatArray], int]:
        """See :class:`Labelling`."""
        found, origin, holds = self.boundary.where_is, self.origin, compile_condition(self._condition)
        variables = [(name, compile_variable(variable)) for name, variable in self._variables]

        def where_is(frame: FloatArray) -> int:
            state = found(frame)
            if state != NEITHER:
                return NEITHER if state == origin else state
            values = {name: variable(frame) for name, variable in variables}
            if any(value != value for value in values.values()):
                return NEITHER
            return CROSSED if bool(holds(values)) == (origin == A) else NEITHER

        return where_is

    def assign(self, positions: FloatArray) -> IntArray:
        """See :class:`Labelling`."""
        values = values_of(self._variables, positions)
        finite = np.ones(len(positions), dtype=np.bool_)
        for column in values.values():
            finite &= np.isfinite(column)
        far = finite & (np.asarray(compile_condition(self._condition)(values), dtype=np.bool_) == (self.origin == A))
        state = self.boundary.assign(positions)
        label = np.where(far, CROSSED, NEITHER)
        label[state == B if self.origin == A else state == A] = B if self.origin == A else A
        label[state == self.origin] = NEITHER
        return label.astype(np.int64)
