"""The public Python interface: one function a subcommand, each returning a result that knows its directory."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molgen.committor.fitting import FittingSettings
    from molgen.dynamics.schedule import SimulationSettings
    from molgen.training.settings import MatchingTrainingSettings, TrainingSettings
    from molgen.trajectories.options import ReadingOptions
    from molgen.workflows.checking import CheckResult, check
    from molgen.workflows.committor_evaluation import CommittorEvaluation, evaluate_committor
    from molgen.workflows.committor_fitting import FitResult, fit
    from molgen.workflows.committor_flux import FluxResult, FluxSettings, measure_flux, plan_flux
    from molgen.workflows.committor_passages import PassagesResult, PassagesSettings, count_passages, plan_passages
    from molgen.workflows.committor_paths import PathsResult, PathsSettings, plan_paths, sample_paths
    from molgen.workflows.committor_rates import CommittorRate, committor_rate
    from molgen.workflows.committor_request import CommittorRunResult, CommittorRunSettings
    from molgen.workflows.committor_run import plan_committor_run, run_committor
    from molgen.workflows.committor_selftest import SelftestResult, selftest
    from molgen.workflows.conformer_export import ConformersResult, conformers, plan_conformers
    from molgen.workflows.demonstration import DemoResult, demo, plan_demo
    from molgen.workflows.diagnosis import Diagnosis, diagnose
    from molgen.workflows.evaluation import EvaluationResult, evaluate, plan_evaluation
    from molgen.workflows.exporting import ExportResult, export, plan_export
    from molgen.workflows.initialisation import InitResult, init
    from molgen.workflows.reweight_settings import ReweightSettings
    from molgen.workflows.reweighting import ReweightResult, plan_reweighting, reweight
    from molgen.workflows.sampling import SamplingResult, SamplingSettings, plan_sampling, sample
    from molgen.workflows.shooting import ShootingResult, ShootingSettings, plan_shooting, shoot
    from molgen.workflows.simulation import SimulationResult, plan_simulation, simulate
    from molgen.workflows.training import TrainingResult, plan_training, train, training_settings
    from molgen.workflows.transition_states import TransitionStatesResult, transition_ensemble

_MODULES = {
    "initialisation": ("init", "InitResult"),
    "checking": ("check", "CheckResult"),
    "frames": ("ReadingOptions",),
    "simulation": ("simulate", "SimulationSettings", "SimulationResult", "plan_simulation"),
    "training": (
        "train",
        "training_settings",
        "TrainingSettings",
        "MatchingTrainingSettings",
        "TrainingResult",
        "plan_training",
    ),
    "sampling": ("sample", "SamplingSettings", "SamplingResult", "plan_sampling"),
    "reweighting": ("reweight", "ReweightResult", "plan_reweighting"),
    "reweight_settings": ("ReweightSettings",),
    "shooting": ("shoot", "ShootingSettings", "ShootingResult", "plan_shooting"),
    "committor_rates": ("committor_rate", "CommittorRate"),
    "committor_flux": ("measure_flux", "FluxSettings", "FluxResult", "plan_flux"),
    "committor_passages": ("count_passages", "PassagesSettings", "PassagesResult", "plan_passages"),
    "committor_paths": ("sample_paths", "PathsSettings", "PathsResult", "plan_paths"),
    "committor_request": ("CommittorRunResult", "CommittorRunSettings"),
    "committor_run": ("run_committor", "plan_committor_run"),
    "committor_selftest": ("selftest", "SelftestResult"),
    "committor_fitting": ("fit", "FitResult", "FittingSettings"),
    "committor_evaluation": ("evaluate_committor", "CommittorEvaluation"),
    "transition_states": ("transition_ensemble", "TransitionStatesResult"),
    "evaluation": ("evaluate", "EvaluationResult", "plan_evaluation"),
    "exporting": ("export", "ExportResult", "plan_export"),
    "conformer_export": ("conformers", "ConformersResult", "plan_conformers"),
    "demonstration": ("demo", "DemoResult", "plan_demo"),
    "diagnosis": ("diagnose", "Diagnosis"),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "CheckResult",
    "CommittorEvaluation",
    "CommittorRate",
    "CommittorRunResult",
    "CommittorRunSettings",
    "ConformersResult",
    "DemoResult",
    "Diagnosis",
    "EvaluationResult",
    "ExportResult",
    "FitResult",
    "FittingSettings",
    "FluxResult",
    "FluxSettings",
    "InitResult",
    "MatchingTrainingSettings",
    "PassagesResult",
    "PassagesSettings",
    "PathsResult",
    "PathsSettings",
    "ReadingOptions",
    "ReweightResult",
    "ReweightSettings",
    "SamplingResult",
    "SamplingSettings",
    "SelftestResult",
    "ShootingResult",
    "ShootingSettings",
    "SimulationResult",
    "SimulationSettings",
    "TrainingResult",
    "TrainingSettings",
    "TransitionStatesResult",
    "check",
    "committor_rate",
    "conformers",
    "count_passages",
    "demo",
    "diagnose",
    "evaluate",
    "evaluate_committor",
    "export",
    "fit",
    "init",
    "measure_flux",
    "plan_committor_run",
    "plan_conformers",
    "plan_demo",
    "plan_evaluation",
    "plan_export",
    "plan_flux",
    "plan_passages",
    "plan_paths",
    "plan_reweighting",
    "plan_sampling",
    "plan_shooting",
    "plan_simulation",
    "plan_training",
    "reweight",
    "run_committor",
    "sample",
    "sample_paths",
    "selftest",
    "shoot",
    "simulate",
    "train",
    "training_settings",
    "transition_ensemble",
]


def __getattr__(name: str) -> Any:
    """Load a workflow when it is first asked for: each brings torch or OpenMM, which take seconds."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
