"""Reweighting end to end on the double well, with a model whose density is known."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mdtraj
import numpy as np
import pytest
import tables

from molgen.errors import InputError, InterruptedRunError, RefusedError
from molgen.interruption import Interruption
from molgen.models.artifact import LoadedModel
from molgen.rundir import read_manifest, sha256_file
from molgen.systems.loading import load_system
from molgen.trajectories.frames import FrameSet
from molgen.workflows import reweight_conclusion, reweight_model
from molgen.workflows.reweight_settings import ReweightSettings
from molgen.workflows.reweighting import plan_reweighting, reweight

GRID = np.linspace(-3.0, 3.0, 60_001)
POTENTIAL = 5.0 * (GRID**2 - 1.0) ** 2 + 0.5 * GRID
DENSITY = np.exp(-POTENTIAL) / np.sum(np.exp(-POTENTIAL))
RIGHT = float(np.sum(DENSITY[GRID >= 0.0]))
LOG_Z = float(np.log(np.sum(np.exp(-POTENTIAL)) * (GRID[1] - GRID[0])))
SETTINGS = ReweightSettings(shard_rows=2000, distances={"energy_points": 2000, "repeats": 3})


@pytest.fixture(autouse=True)
def _no_model_and_no_figures(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """No model is found unless a test gives one; drawing figures takes seconds, so only one test does it."""
    if request.node.name != "test_known_answers_files_and_keys":
        monkeypatch.setattr(reweight_conclusion, "write_report", lambda _, path: path.write_text("<html></html>"))

    def load(path: Path) -> Any:
        raise InputError(f"{path} holds no model.")

    monkeypatch.setattr(reweight_model, "_load", load)


def _exact_frames(n: int, seed: int) -> FrameSet:
    x = np.random.default_rng(seed).choice(GRID, size=n, p=DENSITY)
    return FrameSet(x.reshape(n, 1, 1), np.arange(n), "equilibrium", 120.0)


def _with_reference(monkeypatch: pytest.MonkeyPatch, frames: FrameSet) -> Path:
    from molgen.trajectories import reading

    monkeypatch.setattr(reading, "read_frames", lambda *_, **__: frames)
    return Path("md-long")


def _with_model(monkeypatch: pytest.MonkeyPatch, loaded: Any) -> None:
    monkeypatch.setattr(reweight_model, "_load", lambda _: loaded)


def test_known_answers_files_and_keys(
    tmp_path: Path, make_draws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = make_draws()
    _with_model(monkeypatch, draws.loaded)
    reference = _with_reference(monkeypatch, _exact_frames(8000, 3))
    before = sha256_file(draws.directory / "ensemble.h5")
    out = tmp_path / "result"
    result = reweight(draws.directory, out, reference=reference, settings=SETTINGS, seed=5)
    record = result.to_json()
    assert record == json.loads((out / "result.json").read_text())
    assert sha256_file(draws.directory / "ensemble.h5") == before

    assert (record["reference"]["frames"], record["reference"]["outside_domain"]) == (8000, 0)
    assert record["verdict"] == "reliable", record["reasons"]
    right = record["populations"]["right"]
    assert right["low"] < right["value"] < right["high"]
    assert right["value"] == pytest.approx(RIGHT, abs=4 * (right["high"] - right["low"]) / 3.92)
    assert abs(right["z"]) < 4
    assert record["log_z"] == pytest.approx(LOG_Z, abs=0.05)
    difference = record["delta_f"]["right->left"]
    assert difference["unit"] == "kT"
    assert difference["value"] == pytest.approx(np.log(RIGHT / (1 - RIGHT)), abs=0.2)
    assert record["ess_forward"] == pytest.approx(record["ess_raw"], abs=0.1)
    assert record["ess_raw_interval"][0] <= record["ess_raw"] <= record["ess_raw_interval"][1]
    assert record["coverage"] == {"tested": True, "by": "reference", "missing": []}
    assert record["audit"]["passed"]
    assert {check["name"] for check in record["audit"]["checks"]} >= {
        "temperature",
        "energy",
        "log_q",
        "model",
        "system",
    }
    assert record["distances"]["e_w2"]["value"] < 5 * record["distances"]["e_w2"]["floor"]
    assert record["distances"]["t_w2"] is None
    assert record["evaluations"] == {"data": 10, "training": 20, "sampling": 0, "reweighting": 16_000 + 64 + 8000}
    assert set(record["estimates"]) == {"population:left", "population:right", "delta_f:right->left", "expectation:x"}
    assert "<html" in (out / "report.html").read_text()
    assert read_manifest(out, "reweight").result["verdict"] == "reliable"

    with tables.open_file(str(out / "weights.h5")) as handle:
        assert len(handle.root.log_weight[:]) == 16_000
        assert handle.root.cv.cv0.title == "x"
    (profile,) = json.loads((out / "profiles.json").read_text())["profiles_1d"]
    centres = np.array(profile["grid_centres"])
    free = np.array([np.nan if value is None else value for value in profile["free_energy"]])
    exact = 5.0 * (centres**2 - 1.0) ** 2 + 0.5 * centres - POTENTIAL.min()
    low = exact < 3.0
    assert np.nanmax(np.abs(free - exact)[low]) < 0.5
    assert mdtraj.load(str(draws.directory / "ensemble.h5")).n_frames == 16_000


def test_without_a_reference_or_a_model_coverage_is_untested(tmp_path: Path, make_draws: Callable[..., Any]) -> None:
    draws = make_draws()
    record = reweight(draws.directory, tmp_path / "result", settings=SETTINGS, seed=1).to_json()
    assert record["verdict"] == "caution"
    assert record["ess_forward"] is None
    assert record["distances"] is None
    assert not record["coverage"]["tested"]
    assert any("Coverage not tested" in reason for reason in record["reasons"])
    assert any("model was not found" in reason for reason in record["reasons"])
    assert record["populations"]["left"]["reference"] is None


def test_a_file_alone_is_enough_and_equal_seeds_give_equal_results(
    tmp_path: Path, make_draws: Callable[..., Any]
) -> None:
    draws = make_draws(n=3000)
    records = []
    for name in ("one", "two"):
        file = draws.directory / "ensemble.h5"
        records.append(reweight(file, tmp_path / name, settings=SETTINGS, seed=9, allow_refused=True).to_json())
    for key in ("ess_raw", "ess_raw_interval", "populations", "delta_f", "expectations", "pareto_k", "verdict"):
        assert records[0][key] == records[1][key]


def test_a_missing_mode_is_refused_because_of_the_reference(
    tmp_path: Path, make_draws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = make_draws(right=0.0, width=0.19)
    _with_model(monkeypatch, draws.loaded)
    with pytest.raises(RefusedError) as caught:
        reweight(
            draws.directory,
            tmp_path / "result",
            reference=_with_reference(monkeypatch, _exact_frames(4000, 4)),
            settings=SETTINGS,
            seed=1,
        )
    assert "Missing from the draws" in str(caught.value)
    record = json.loads((tmp_path / "result" / "result.json").read_text())
    assert record["ess_raw"] > 0.5
    assert record["ess_forward"] < 1e-3
    assert record["coverage"]["missing"]
    assert record["estimates"]["population:left"]["verdict"] == "refused"


def test_the_guard_of_training_refuses_too(
    tmp_path: Path, make_draws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = make_draws()
    draws.loaded.training["states"] = [{"name": "right", "passed": False, "reason": "It was lost."}]
    _with_model(monkeypatch, draws.loaded)
    record = reweight(draws.directory, tmp_path / "r", settings=SETTINGS, seed=1, allow_refused=True).to_json()
    assert record["verdict"] == "refused"
    assert record["coverage"]["by"] == "training frames"


@pytest.mark.parametrize("fault", ["log_q", "hash"])
def test_the_audit_refuses_a_wrong_density_and_another_model(
    tmp_path: Path, make_draws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    draws = make_draws(log_q_shift=0.3 if fault == "log_q" else 0.0)
    if fault == "hash":
        draws.loaded.sha256 = "e" * 64
    _with_model(monkeypatch, draws.loaded)
    record = reweight(draws.directory, tmp_path / "r", settings=SETTINGS, seed=1, allow_refused=True).to_json()
    assert record["verdict"] == "refused"
    assert not record["audit"]["passed"]
    assert any("audit failed" in reason for reason in record["reasons"])


def test_an_interrupted_run_continues_from_its_shards(tmp_path: Path, make_draws: Callable[..., Any]) -> None:
    draws = make_draws(n=5500)
    interruption = Interruption()
    stages: list[float] = []

    def stop_after_two(event: Any) -> None:
        stages.append(event.done)
        if len(stages) == 2:
            interruption.request("a test")

    out = tmp_path / "result"
    with pytest.raises(InterruptedRunError):
        reweight(draws.directory, out, settings=SETTINGS, seed=2, progress=stop_after_two, interruption=interruption)
    shard = out / "energies" / "shard-00001.npy"
    kept = shard.stat().st_mtime_ns
    assert len(list((out / "energies").iterdir())) == 2
    resumed = reweight(draws.directory, out, settings=SETTINGS, seed=2)
    assert shard.stat().st_mtime_ns == kept
    fresh = reweight(draws.directory, tmp_path / "fresh", settings=SETTINGS, seed=2)
    assert resumed.to_json()["populations"] == fresh.to_json()["populations"]
    again = reweight(draws.directory, out, settings=SETTINGS, seed=2)
    assert again.to_json() == resumed.to_json()
    with pytest.raises(InputError, match="shard_rows"):
        reweight(draws.directory, out, settings=ReweightSettings(shard_rows=7), seed=2)


def test_states_and_temperature_can_be_given(tmp_path: Path, make_draws: Callable[..., Any]) -> None:
    draws = make_draws(n=3000)
    record = reweight(
        draws.directory,
        tmp_path / "r",
        states={"far": "x > 1.2", "rest": "otherwise"},
        temperature_k=150.0,
        settings=SETTINGS,
        seed=2,
        allow_refused=True,
    ).to_json()
    assert set(record["populations"]) == {"far", "rest"}
    assert record["temperature_k"] == 150.0
    assert record["audit"]["passed"]
    warmer = np.exp(-POTENTIAL * 120.27236 / 150.0)
    exact = float(np.sum(warmer[GRID > 1.2]) / np.sum(warmer))
    far = record["populations"]["far"]
    assert far["value"] == pytest.approx(exact, abs=4 * (far["high"] - far["low"]) / 3.92)


@pytest.mark.parametrize("temperature_k", [60.0, 300.0])
def test_a_temperature_outside_the_range_of_the_draws_is_refused(
    temperature_k: float, tmp_path: Path, make_draws: Callable[..., Any]
) -> None:
    with pytest.raises(InputError, match="too far from"):
        reweight(make_draws(n=500).directory, tmp_path / "r", temperature_k=temperature_k, settings=SETTINGS, seed=1)
    assert not (tmp_path / "r").exists()


def test_the_model_of_another_system_is_refused(
    tmp_path: Path, make_draws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    system = load_system("muller-brown")
    other = LoadedModel(make_draws(n=2, seed=9).loaded.model, system, 1.0, system.fingerprint, "0" * 64, {})
    _with_model(monkeypatch, other)
    with pytest.raises(InputError, match="of 1 particle in 2 dimensions, double-well has 1 particle in 1 dimension"):
        reweight(make_draws(n=500).directory, tmp_path / "r", model=tmp_path, settings=SETTINGS, seed=1)


def test_explore_frames_are_no_reference(
    tmp_path: Path, make_draws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = _exact_frames(100, 1)
    reference = _with_reference(monkeypatch, FrameSet(frames.positions, frames.lineage, "explore", 120.0))
    with pytest.raises(InputError, match="explore frames"):
        reweight(make_draws(n=500).directory, tmp_path / "r", reference=reference, settings=SETTINGS, seed=1)


def test_the_plan_says_what_would_be_done(make_draws: Callable[..., Any]) -> None:
    plan = plan_reweighting(make_draws(n=500).directory, settings=SETTINGS)
    assert plan["draws"] == 500
    assert plan["energy_evaluations"] == {"draws": 564, "reference_at_most": 0}
    assert "result.json" in plan["files"]


def test_what_is_no_ensemble_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no ensemble file"):
        reweight(tmp_path / "nothing.h5", tmp_path / "r")
    with pytest.raises(InputError, match="not the directory of a sample run"):
        reweight(tmp_path, tmp_path / "r")
