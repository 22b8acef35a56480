"""The demonstration in miniature: complete, made from nothing, the same with any number of workers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molgen.dynamics.schedule import SimulationSettings
from molgen.ensemble import EnsembleReader
from molgen.errors import InputError
from molgen.rundir import read_manifest
from molgen.systems.loading import load_system
from molgen.training.settings import LearnSettings, TrainingSettings
from molgen.trajectories.reading import read_frames
from molgen.workflows import demonstration, training
from molgen.workflows.demonstration import DemoResult, demo, plan_demo

TINY = TrainingSettings.parse(
    {
        "flow": {"hidden": 8, "bins": 4, "spline": 1, "torsion_hidden": 8, "torsion_bins": 4},
        "learn": {"steps": 5, "batch": 32},
        "refine": {"rounds": 1, "draws": 64, "steps": 1, "batch": 32},
        "guard_draws": 128,
        "torch_threads": 1,
    },
    source="test",
)
KEYS = {"ess_raw", "ess_winsorised", "pareto_k", "ess_forward", "verdict", "reasons", "populations", "delta_f"}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    simulate, reweight = demonstration.simulate, demonstration.reweight
    short = SimulationSettings(equilibration_ps=0.2, hot_interval_ps=0.5, segment_ps=1.0)

    def briefly(*args: Any, **options: Any) -> Any:
        return simulate(*args, settings=short, **options)

    def coarsely(*args: Any, **options: Any) -> Any:
        return reweight(*args, settings=demonstration_settings(), **options)

    monkeypatch.setattr(demonstration, "simulate", briefly)
    monkeypatch.setattr(demonstration, "reweight", coarsely)
    monkeypatch.setattr(demonstration, "TIME_PS", 9.0)
    monkeypatch.setattr(demonstration, "TRAINING", TINY)
    monkeypatch.setattr(demonstration, "DRAWS", 300)
    # Nine picoseconds do not find every state that the system declares, which training would refuse.
    monkeypatch.setattr(training, "check_visited", lambda system, frames: None)


def demonstration_settings() -> Any:
    from molgen.workflows.reweight_settings import ReweightSettings

    settings = ReweightSettings(audit_rows=8, bootstrap_repeats=20, reference_stride=100, reference_energies=50)
    return settings.with_overrides(["distances.enabled=false"])


def run(output: Path, workers: int = 1, **options: Any) -> DemoResult:
    return demo(output, seed=7, workers=workers, platform="Reference", **options)


def frames(result: DemoResult, system: Any) -> np.ndarray:
    return np.asarray(read_frames([result.simulation.directory], system).positions)


def draws(result: DemoResult) -> tuple[np.ndarray, np.ndarray]:
    (rows,) = EnsembleReader(result.sampling.directory / "ensemble.h5").chunks(10_000)
    assert rows.log_q is not None
    return np.asarray(rows.positions), rows.log_q


@pytest.mark.usefixtures("tiny")
def test_the_demonstration_in_miniature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process with the shipped reference; two processes without it; the first again; the first, changed."""
    system = load_system("alanine-dipeptide")
    one = run(tmp_path / "one")
    figures = one.reweighting.to_json()
    assert set(figures) >= KEYS
    assert set(figures["evaluations"]) == {"data", "training", "sampling", "reweighting"}
    assert min(figures["evaluations"][k] for k in ("data", "training", "reweighting")) > 0
    assert set(figures["populations"]) == {"alpha_l", "alpha_r", "extended"}
    assert all({"value", "low", "high", "reference"} <= set(row) for row in figures["populations"].values())
    assert figures["populations"]["alpha_l"]["reference"] is not None
    assert Path(figures["report"]).is_file()
    assert read_manifest(tmp_path / "one", kind="demo").seed == 7

    two = run(tmp_path / "two", workers=2, system=replace(system, reference_path=None))
    assert two.training.model_sha256 == one.training.model_sha256
    np.testing.assert_array_equal(frames(one, system), frames(two, system))
    for a, b in zip(draws(one), draws(two), strict=True):
        np.testing.assert_array_equal(a, b)

    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "one").rglob("*.h5")}
    again = run(tmp_path / "one")
    assert again.reweighting.to_json() == figures
    assert again.training == one.training
    assert all(path.stat().st_mtime_ns == time for path, time in written.items())

    monkeypatch.setattr(demonstration, "TRAINING", TINY.model_copy(update={"learn": LearnSettings(steps=6, batch=32)}))
    with pytest.raises(InputError, match=r"settings\.learn\.steps = 5"):
        run(tmp_path / "one")
    with pytest.raises(InputError, match="seed"):
        demo(tmp_path / "one", seed=8, platform="Reference")


def test_the_plan_names_the_cost() -> None:
    plan = plan_demo()
    assert plan["system"] == "alanine-dipeptide"
    assert plan["draws"] == demonstration.DRAWS
    assert plan["training_steps"] > demonstration.TRAINING.learn.steps
    assert plan["files"] == ["md/", "model/", "ensemble/", "result/"]
