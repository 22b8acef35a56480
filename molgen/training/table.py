"""How each kind of model is trained, by the model's name."""

import importlib
from functools import cache
from typing import cast

from molgen.errors import InputError
from molgen.settings import nearest_hint
from molgen.training.settings import AnyTrainingSettings
from molgen.training.task import ModelTraining

TRAININGS: dict[str, str] = {
    "spline": "molgen.training.spline:SplineTraining",
    "flow-matching": "molgen.training.matching:MatchingTraining",
    "diffusion": "molgen.training.matching:MatchingTraining",
}
"""Name of a model (:data:`molgen.models.table.MODELS`) ↦ ``module:Class`` of its training, built with that name."""


@cache
def training_of(name: str) -> ModelTraining:
    """The training of the model ``name``; ``InputError`` with the nearest names if there is none."""
    if name not in TRAININGS:
        raise InputError(f"There is no model called {name!r}.", nearest_hint(name, TRAININGS))
    module, _, attribute = TRAININGS[name].partition(":")
    training: ModelTraining = getattr(importlib.import_module(module), attribute)(name)
    return training


def default_settings(name: str) -> AnyTrainingSettings:
    """The settings with which the model ``name`` is trained if nothing is said."""
    return cast(AnyTrainingSettings, training_of(name).settings_class())
