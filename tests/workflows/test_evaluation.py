"""Evaluating scores of models on disk: known answers, files, and what is refused."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from molgen.energies.factory import open_energy
from molgen.errors import InputError, UsageError
from molgen.models.artifact import save_model
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.systems.loading import load_system
from molgen.trajectories.shards import write_shard
from molgen.workflows import evaluation
from molgen.workflows.evaluation import evaluate, plan_evaluation


@pytest.fixture(scope="module")
def spline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained flow of the double well: the standard normal, whose score is −x."""
    directory = tmp_path_factory.mktemp("model")
    system = load_system("double-well")
    flow = SplineFlow(system, SplineFlowSettings(hidden=8, spline=1), torch.Generator().manual_seed(1))
    save_model(directory, "spline", flow, system, {})
    return directory


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("frames") / "frames.h5"
    system = load_system("double-well")
    x = np.random.default_rng(1).normal(size=(300, 1, 1))
    write_shard(path, x, np.arange(300), system, system.temperature_k)
    return path


def test_the_score_of_a_normal_is_compared_with_the_forces_of_the_well(
    spline: Path, frames: Path, tmp_path: Path
) -> None:
    result = evaluate(spline, [frames], tmp_path / "out", forces=True, frames=150)
    (row,) = result.record["rows"]
    x = np.random.default_rng(1).normal(size=(300, 1, 1)).astype(np.float32).astype(np.float64)[::2]
    force = -open_energy(load_system("double-well")).reduced_and_gradient(x, purpose="data")[1]
    assert (result.record["frames"], result.record["score"], row["noise"]) == (150, "exact", 0.0)
    assert row["slope"] == pytest.approx(np.sum(-x * force) / np.sum(force**2), rel=1e-5)
    assert row["correlation"] == pytest.approx(np.sum(-x * force) / np.sqrt(np.sum(x**2) * np.sum(force**2)), rel=1e-5)
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text()) == result.to_json()
    assert evaluate(spline, [frames], tmp_path / "out", forces=True, frames=150).to_json() == result.to_json()
    assert evaluate(spline, [frames], forces=True, frames=150).to_json() == result.to_json()
    assert result.record["evaluations"]["data"] == 150


def test_nothing_is_written_for_bad_input(spline: Path, frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="nothing to evaluate"):
        evaluate(spline, [frames], out)
    with pytest.raises(InputError, match="no noise"):
        evaluate(spline, [frames], out, forces=True, noise=[0.1])
    with pytest.raises(UsageError, match="not above zero"):
        evaluate(spline, [frames], out, forces=True, noise=[0.0])
    with pytest.raises(InputError):
        evaluate(spline, [tmp_path / "none.h5"], out, forces=True)
    assert not out.exists()


def test_a_velocity_has_no_score(spline: Path, frames: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(SplineFlow, "exact_score")
    with pytest.raises(InputError, match="no score in closed form") as caught:
        evaluate(spline, [frames], tmp_path / "out", forces=True)
    assert "--model diffusion" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_fixed_bonds_are_refused(spline: Path, frames: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = evaluation.load_model(spline)
    system = load_system("alanine-dipeptide")
    monkeypatch.setattr(type(system), "constraints", ((0, 1, 0.1),))
    fixed = SimpleNamespace(model=loaded.model, system=system)
    monkeypatch.setattr(evaluation, "load_model", lambda path: fixed)
    with pytest.raises(InputError, match="fixed bonds"):
        evaluate(spline, [frames], forces=True)


def test_the_plan(spline: Path) -> None:
    plan = plan_evaluation(spline, frames=100)
    assert (plan["evaluations"], plan["scores"]) == (100, 100)
