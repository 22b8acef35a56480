"""The two states between which trajectories pass, as one fast question: in which of them is this frame?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.errors import InputError
from molgen.observables.compiled import compile_condition, compile_variable
from molgen.observables.position import Position
from molgen.observables.rows import Configurations, VariableRows
from molgen.observables.states import StateSet, states_of
from molgen.observables.table import build_cv
from molgen.observables.where import OTHERWISE
from molgen.settings import nearest_hint
from molgen.systems.system import System

A, B, NEITHER = 0, 1, -1
"""What :meth:`Boundary.where_is` and :meth:`Boundary.assign` answer."""


@dataclass(frozen=True, eq=False)
class Boundary:
    """States ``a`` and ``b`` of ``system``; a frame belongs to the first of the system's states whose condition holds.

    A picklable value; its functions are compiled where they are used. ``InputError`` for a state that the system has
    not, or for one state given twice.
    """

    system: System
    a: str
    b: str

    def __post_init__(self) -> None:
        names = [state.name for state in self.system.definition.state]
        for name in (self.a, self.b):
            if name not in names:
                hint = nearest_hint(name, names) if names else "Define [[state]] sections in the system.toml first."
                raise InputError(f"{self.system.name} has no state {name!r}.", hint)
        if self.a == self.b:
            raise InputError(f"Both states are {self.a!r}.", "Give two different ones.")

    def __getstate__(self) -> dict[str, Any]:
        # Compiled functions stay where they are.
        return {"system": self.system, "a": self.a, "b": self.b}

    @cached_property
    def _states(self) -> StateSet:
        definition = self.system.definition
        return states_of(definition, definition.state)

    @cached_property
    def _codes(self) -> tuple[int, ...]:
        """A, B or NEITHER for each of the system's states, in their order, as far as they matter."""
        codes = [A if name == self.a else B if name == self.b else NEITHER for name in self._states.names]
        last = max(index for index, code in enumerate(codes) if code != NEITHER)
        return tuple(codes[: last + 1])

    @cached_property
    def _tests(self) -> list[tuple[Callable[..., Any], int]]:
        return [
            (compile_condition(condition), code)
            for condition, code in zip(self._states.conditions, self._codes, strict=False)
        ]

    @cached_property
    def _sections(self) -> list[Any]:
        """The collective variables that some test needs."""
        texts = [condition.text for condition in self._states.conditions[: len(self._codes)]]
        needed = {name for text in texts for name in _names(text)}
        return [section for section in self.system.definition.cv if section.name in needed]

    @cached_property
    def where_is(self) -> Callable[[FloatArray], int]:
        """The state A, B or NEITHER of one frame (N, D), fast; a frame with a variable that is NaN is in neither."""
        variables = [(section.name, compile_variable(build_cv(section, self.system))) for section in self._sections]
        tests = self._tests

        def where_is(frame: FloatArray) -> int:
            values = {name: variable(frame) for name, variable in variables}
            if any(value != value for value in values.values()):
                return NEITHER
            for holds, code in tests:
                if holds(values):
                    return code
            return NEITHER

        return where_is

    @property
    def needed(self) -> tuple[str, ...]:
        """The collective variables that tell the states apart."""
        return tuple(section.name for section in self._sections)

    def assign(self, positions: Configurations) -> IntArray:
        """The states A, B or NEITHER (n,) of frames (n, N, D), or of rows with all variables that are :attr:`needed`.

        A frame with a variable that is NaN is in neither.
        """
        if isinstance(positions, VariableRows):
            values = {name: positions.values[name] for name in self.needed}
        else:
            values = values_of(self._variables, positions)
        labels = np.full(len(positions), NEITHER, dtype=np.int64)
        free = np.ones(len(positions), dtype=np.bool_)
        for column in values.values():
            free &= np.isfinite(column)
        for holds, code in self._tests:
            here = free & holds(values)
            labels[here] = code
            free &= ~here
        return labels

    def overlap(self, positions: FloatArray) -> np.ndarray:
        """Frames (n,) of ``positions`` (n, N, D) for which the conditions of both states hold, whatever their order.

        ``otherwise`` takes what is left, and overlaps with nothing.
        """
        values = values_of(self._variables, positions)
        conditions = dict(zip(self._states.names, self._states.conditions, strict=True))
        if OTHERWISE in (conditions[self.a].text.strip(), conditions[self.b].text.strip()):
            return np.zeros(len(positions), dtype=np.bool_)
        both = compile_condition(conditions[self.a])(values) & compile_condition(conditions[self.b])(values)
        return np.broadcast_to(np.asarray(both, dtype=np.bool_), (len(positions),))

    @cached_property
    def _variables(self) -> list[tuple[str, Any]]:
        return [(section.name, build_cv(section, self.system)) for section in self._sections]


def values_of(variables: Sequence[tuple[str, Any]], positions: FloatArray) -> dict[str, FloatArray]:
    """Values (n,) of collective variables, given with their names, at frames (n, N, D)."""
    if all(isinstance(variable, Position) for _, variable in variables):
        # A few walkers on a surface are asked after every step, which torch's overhead would double.
        first = np.asarray(positions, dtype=np.float64)[:, 0]
        return {name: first[:, variable.index] for name, variable in variables}
    import torch

    frames = torch.from_numpy(np.ascontiguousarray(positions, dtype=np.float64))
    with torch.no_grad():
        return {name: variable(frames).numpy() for name, variable in variables}


def _names(text: str) -> set[str]:
    """Everything in a condition that looks like a name."""
    import re

    return set(re.findall(r"[A-Za-z_]\w*", text))
