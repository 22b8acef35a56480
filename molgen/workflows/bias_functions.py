"""Variables of a bias that are none of the system's: what the folders of a bias and of a committor have in common."""

from collections.abc import Iterable
from pathlib import Path
from typing import cast

from molgen.bias.base import SumBias
from molgen.bias.parsing import Functions, parse_bias
from molgen.errors import UsageError
from molgen.observables.base import CollectiveVariable
from molgen.systems.system import System


def _committor(inside: str, folder: Path, system: System) -> CollectiveVariable:
    from molgen.committor.variable import open_variable

    return cast(CollectiveVariable, open_variable(inside, folder, system))


FUNCTIONS: Functions = {"committor": _committor}
"""``committor(c)`` is logit q̂ of the committor in the directory ``c``."""


def read_bias(text: str, system: System, *, folder: Path | None = None) -> SumBias:
    """:func:`molgen.bias.parsing.parse_bias` with :data:`FUNCTIONS`."""
    return parse_bias(text, system, folder=folder, functions=FUNCTIONS)


def check_smooth(variables: Iterable[CollectiveVariable]) -> None:
    """``UsageError`` if one of ``variables`` jumps, so that no drift may follow it."""
    for variable in variables:
        if not getattr(variable, "smooth", True):
            raise UsageError(
                f"{variable.name} jumps where equal atoms change places, which no drift can follow.",
                "Fit a committor with --features cv, or sample a spline flow.",
            )
