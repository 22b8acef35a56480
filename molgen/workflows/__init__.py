"""The public Python interface: one function a subcommand, each returning a result that knows its directory."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molgen.dynamics.schedule import SimulationSettings
    from molgen.training.settings import TrainingSettings
    from molgen.trajectories.options import ReadingOptions
    from molgen.workflows.checking import CheckResult, check
    from molgen.workflows.demonstration import DemoResult, demo, plan_demo
    from molgen.workflows.reweight_settings import ReweightSettings
    from molgen.workflows.reweighting import ReweightResult, plan_reweighting, reweight
    from molgen.workflows.sampling import SamplingResult, SamplingSettings, plan_sampling, sample
    from molgen.workflows.simulation import SimulationResult, plan_simulation, simulate
    from molgen.workflows.training import TrainingResult, plan_training, train

_MODULES = {
    "checking": ("check", "CheckResult"),
    "frames": ("ReadingOptions",),
    "simulation": ("simulate", "SimulationSettings", "SimulationResult", "plan_simulation"),
    "training": ("train", "TrainingSettings", "TrainingResult", "plan_training"),
    "sampling": ("sample", "SamplingSettings", "SamplingResult", "plan_sampling"),
    "reweighting": ("reweight", "ReweightResult", "plan_reweighting"),
    "reweight_settings": ("ReweightSettings",),
    "demonstration": ("demo", "DemoResult", "plan_demo"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "CheckResult",
    "DemoResult",
    "ReadingOptions",
    "ReweightResult",
    "ReweightSettings",
    "SamplingResult",
    "SamplingSettings",
    "SimulationResult",
    "SimulationSettings",
    "TrainingResult",
    "TrainingSettings",
    "check",
    "demo",
    "plan_demo",
    "plan_reweighting",
    "plan_sampling",
    "plan_simulation",
    "plan_training",
    "reweight",
    "sample",
    "simulate",
    "train",
]


def __getattr__(name: str) -> Any:
    """Load a workflow when it is first asked for: each brings torch or OpenMM, which take seconds."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
