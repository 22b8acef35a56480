"""States: named regions of collective-variable space, tried in order."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.errors import InputError
from molgen.observables.table import cv_class
from molgen.observables.where import OTHERWISE, Condition, Variable
from molgen.systems.definition import StateSection, SystemDefinition
from molgen.systems.system import System


@dataclass(frozen=True)
class StateSet:
    """Names and conditions of states; a frame belongs to the first state whose condition holds."""

    names: tuple[str, ...]
    conditions: tuple[Condition, ...]

    def assign(self, cv_values: Mapping[str, FloatArray]) -> IntArray:
        """Index of each frame's state (n,), −1 where none holds or a collective variable is not finite."""
        n = len(next(iter(cv_values.values()))) if cv_values else 0
        finite = np.ones(n, dtype=np.bool_)
        for values in cv_values.values():
            finite &= np.isfinite(values)
        labels = np.full(n, -1, dtype=np.int64)
        for index, condition in enumerate(self.conditions):
            labels[(labels < 0) & finite & condition.holds(cv_values)] = index
        return labels


def build_states(system: System) -> StateSet:
    """The states of a system; ``InputError`` for a condition that cannot be read or a cv that is not defined."""
    return states_of(system.definition, system.definition.state)


def known_variables(definition: SystemDefinition) -> dict[str, Variable]:
    """What conditions need to know of the collective variables of ``definition``, by name."""
    variables = {}
    for cv in definition.cv:
        (kind,) = cv.kinds
        described = cv_class(kind)
        variables[cv.name] = Variable(described.unit, described.periodic)
    return variables


def states_of(definition: SystemDefinition, sections: tuple[StateSection, ...]) -> StateSet:
    """The states ``sections`` describe on the collective variables of ``definition``."""
    variables = known_variables(definition)
    for section in sections[:-1]:
        if section.where.strip() == OTHERWISE:
            message = f"state {section.name!r}: 'otherwise' leaves nothing to the states after it."
            raise InputError(message, "Put this state last.")
    conditions = tuple(Condition(section.where, variables, f"state {section.name!r}") for section in sections)
    return StateSet(tuple(section.name for section in sections), conditions)


def with_states(system: System, sections: tuple[StateSection, ...]) -> System:
    """``system`` with these states in place of its own; its fingerprint, which knows no states, is the same."""
    return replace(system, definition=system.definition.model_copy(update={"state": sections}))
