"""The biases by name."""

import importlib
from typing import cast

from molgen.bias.base import VariableBias
from molgen.errors import InputError
from molgen.settings import nearest_hint

BIASES: dict[str, str] = {
    "harmonic": "molgen.bias.harmonic:Harmonic",
    "linear": "molgen.bias.linear:Linear",
    "flat-bottom": "molgen.bias.flat_bottom:FlatBottom",
    "grid": "molgen.bias.grid:Grid",
}
"""Name of a bias ↦ ``module:Class``."""


def bias_class(name: str) -> type[VariableBias]:
    """The class of the bias ``name``; ``InputError`` with the nearest names if there is none."""
    if name not in BIASES:
        raise InputError(f"There is no bias called {name!r}.", nearest_hint(name, BIASES))
    module, _, attribute = BIASES[name].partition(":")
    return cast(type[VariableBias], getattr(importlib.import_module(module), attribute))
