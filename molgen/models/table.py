"""The generative models by name."""

import importlib
from typing import Any

from molgen.errors import InputError
from molgen.settings import nearest_hint

MODELS: dict[str, str] = {
    "spline": "molgen.models.spline_flow:SplineFlow",
    "flow-matching": "molgen.models.flow_matching:FlowMatching",
    "diffusion": "molgen.models.diffusion:Diffusion",
}
"""Name of a model ↦ ``module:Class``."""


def model_class(name: str) -> Any:
    """The class of the model ``name``; ``InputError`` with the nearest names if there is none."""
    if name not in MODELS:
        raise InputError(f"There is no model called {name!r}.", nearest_hint(name, MODELS))
    module, _, attribute = MODELS[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
