"""Configurations of which only collective variables are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.observables.table import evaluate_cvs
from molgen.systems.system import System


@dataclass(frozen=True, eq=False)
class VariableRows:
    """Values (n,) of collective variables by name, in rad, nm or reduced units; indexed like an array of n rows."""

    values: Mapping[str, FloatArray]

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def __getitem__(self, index: Any) -> "VariableRows":
        return VariableRows({name: np.asarray(column[index]) for name, column in self.values.items()})


Configurations = FloatArray | VariableRows
"""Positions (n, N, D), or what is known instead of them."""


def values_of(system: System, configurations: Configurations) -> dict[str, FloatArray]:
    """The collective variables (n,) of ``configurations``, as far as they are known."""
    if isinstance(configurations, VariableRows):
        return dict(configurations.values)
    return evaluate_cvs(system, configurations)
