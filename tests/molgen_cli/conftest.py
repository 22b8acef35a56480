"""A stand-in for the workflows, so that the command line is tested alone."""

import sys
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import molgen
import molgen.systems
from molgen.progress import ProgressEvent
from molgen.settings import Settings
from molgen.trajectories.options import ReadingOptions

RESULT: dict[str, Any] = {
    "molgen": "0.1.0",
    "system": "alanine-dipeptide",
    "temperature_k": 300.0,
    "n": 20000,
    "ess_raw": 0.612,
    "ess_winsorised": 0.66,
    "ess_forward": None,
    "pareto_k": 0.41,
    "pareto_k_threshold": 0.7,
    "largest_weight_share": 0.01,
    "verdict": "caution",
    "reasons": ["Coverage was not tested, for want of reference frames."],
    "populations": {
        "alpha_l": {
            "value": 0.021,
            "low": 0.018,
            "high": 0.024,
            "pareto_k": 0.5,
            "verdict": "caution",
            "reference": {"value": 0.0199, "low": 0.0187, "high": 0.0211},
            "z": 0.7,
        },
        "extended": {
            "value": 0.4,
            "low": None,
            "high": float("nan"),
            "verdict": "reliable",
            "reference": None,
            "z": None,
        },
    },
    "delta_f": {"alpha_r->alpha_l": {"value": 3.7, "low": 3.5, "high": 3.9, "unit": "kT"}},
    "evaluations": {"data": 1, "training": 2, "sampling": 3, "reweighting": 4},
    "seed": 5,
    "platform": "Reference",
    "report": "result/report.html",
}

CONFORMERS: dict[str, Any] = {
    "system": "alanine-dipeptide",
    "temperature_k": 300.0,
    "verdict": "caution",
    "found": 12,
    "remaining_population": 0.0105,
    "conformers": [
        {
            "name": "c1",
            "where": "phi < 0deg",
            "population": {"value": 0.55, "low": 0.53, "high": 0.57},
            "free_energy_kt": {"value": 0.0, "low": 0.0, "high": 0.0},
            "free_energy_kj_per_mol": {"value": 8.17, "low": 7.9, "high": None},
            "ess": 42.4,
            "few_samples": True,
            "state": None,
        }
    ],
    "warnings": ["Fewer than 100 effective samples in c1."],
    "files": ["out/conformers.pdb"],
}


CHECKED: dict[str, Any] = {
    "system": "ala",
    "problems": 1,
    "findings": [
        {"name": "bonds", "level": "ok", "sentence": "Every bond is held.", "remedy": ""},
        {"name": "md.dcd", "level": "problem", "sentence": "It is truncated [cut].", "remedy": "Copy it again."},
    ],
    "frames": 0,
    "states": {},
    "evaluations": {"data": 1},
}


EVALUATED: dict[str, Any] = {
    "system": "ala",
    "model": "spline",
    "score": "exact",
    "frames": 500,
    "left_out": 0,
    "rows": [
        {
            "name": "all",
            "noise": 0.0,
            "components": 66,
            "correlation": 0.98765,
            "slope": 1.0123,
            "slope_error": 0.0045,
            "residual": 0.123,
            "rms_force": 345.6,
            "expected": None,
        }
    ],
    "notes": ["These are explore frames."],
    "evaluations": {"data": 500},
    "platform": "Reference",
}


class FakeSettings(Settings):
    bins: int = 8


@dataclass
class FakeResult:
    data: dict[str, Any]
    directory: Path = Path("out")
    reweighting: Any = None

    def to_json(self) -> dict[str, Any]:
        return self.data


@dataclass
class FakeWorkflows:
    """Records every call; ``during`` runs inside a workflow, ``result`` is what reweighting gives."""

    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=lambda: dict(RESULT))
    checked: dict[str, Any] = field(default_factory=lambda: dict(CHECKED))
    during: Callable[..., None] = lambda *_, **__: None

    def plan(self, name: str) -> Callable[..., dict[str, Any]]:
        def call(*args: Any, **options: Any) -> dict[str, Any]:
            self.calls.append((name, args, options))
            return {"evaluations": 1000, "memory_mb": 12, "files": ["a.h5"], "steps": ["one", "two"]}

        return call

    def work(self, name: str) -> Callable[..., FakeResult]:
        def call(*args: Any, **options: Any) -> FakeResult:
            self.calls.append((name, args, options))
            options["progress"](ProgressEvent(name, 1, 2, "steps"))
            self.during(*args, **options)
            if name == "reweight":
                return FakeResult(self.result)
            if name == "check":
                return FakeResult(self.checked)
            if name == "demo":
                return FakeResult({"directory": "out"}, reweighting=FakeResult(self.result))
            if name == "conformers":
                return FakeResult(dict(CONFORMERS))
            if name == "evaluate":
                return FakeResult(dict(EVALUATED))
            if name == "export":
                return FakeResult({"frames": 10, "warnings": ["Many repeat."], "files": ["out.xtc"]})
            return FakeResult({"frames": 10, "evaluations": {"data": 7}, "curve": [1, 2]})

        return call


@pytest.fixture
def workflows(monkeypatch: pytest.MonkeyPatch) -> FakeWorkflows:
    fake = FakeWorkflows()
    module = types.ModuleType("molgen.workflows")
    for name in (
        "check",
        "simulate",
        "train",
        "sample",
        "reweight",
        "demo",
        "evaluate",
        "export",
        "conformers",
        "shoot",
        "run_committor",
        "sample_paths",
        "count_passages",
        "measure_flux",
    ):
        setattr(module, name, fake.work(name))
    for name in ("plan_simulation", "plan_training", "plan_sampling", "plan_reweighting", "plan_demo"):
        setattr(module, name, fake.plan(name))
    for name in ("plan_evaluation", "plan_export", "plan_conformers", "plan_shooting", "plan_committor_run"):
        setattr(module, name, fake.plan(name))
    for name in ("plan_paths", "plan_passages", "plan_flux"):
        setattr(module, name, fake.plan(name))
    for name in (
        "SimulationSettings",
        "TrainingSettings",
        "SamplingSettings",
        "ReweightSettings",
        "ShootingSettings",
        "CommittorRunSettings",
        "PathsSettings",
        "PassagesSettings",
        "FluxSettings",
    ):
        setattr(module, name, FakeSettings)
    module.ReadingOptions = ReadingOptions  # type: ignore[attr-defined]
    module.training_settings = lambda system, model: FakeSettings()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "molgen.workflows", module)
    monkeypatch.setattr(molgen, "workflows", module, raising=False)
    monkeypatch.setattr(molgen.systems, "load_system", lambda name: f"<{name}>", raising=False)
    return fake


@pytest.fixture
def molgen_command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Call the entry point with arguments; the exit code comes back."""
    from molgen_cli.main import run

    def call(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["molgen", *arguments])
        with pytest.raises(SystemExit) as caught:
            run()
        return int(caught.value.code or 0)

    return call
