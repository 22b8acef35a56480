"""Sampling a model on disk: reproducible whatever is asked for at a time, complete, and refused where it must be."""

import json
import shutil
from pathlib import Path

import mdtraj
import numpy as np
import pytest
import torch

from molgen.ensemble import EnsembleReader
from molgen.errors import InputError, InterruptedRunError, UsageError
from molgen.interruption import Interruption
from molgen.models.artifact import load_model, save_model
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.systems.loading import load_system
from molgen.workflows.sampling import SamplingSettings, plan_sampling, sample


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained flow of the double well: a normal distribution."""
    directory = tmp_path_factory.mktemp("model")
    system = load_system("double-well")
    flow = SplineFlow(system, SplineFlowSettings(hidden=8, spline=1), torch.Generator().manual_seed(1))
    save_model(directory, "spline", flow, system, {"evaluations": {"data": 3, "training": 4}})
    return directory


def test_the_ensemble_holds_every_draw_with_its_density(model: Path, tmp_path: Path) -> None:
    result = sample(model, tmp_path / "out", n=70, settings=SamplingSettings(piece=32), seed=4)
    reader = EnsembleReader(tmp_path / "out" / "ensemble.h5")
    assert (result.n, len(reader), result.seed, result.out_of_domain) == (70, 70, 4, 0)
    loaded = load_model(model)
    assert reader.header.model_sha256 == loaded.sha256 == result.model_sha256
    assert reader.header.measure == "external"
    assert reader.header.evaluations == {"data": 3, "training": 4}
    (rows,) = reader.chunks(100)
    assert rows.log_q is not None
    again = loaded.model.log_prob(torch.as_tensor(np.asarray(rows.positions, dtype=np.float64)))
    np.testing.assert_allclose(rows.log_q, again.numpy(), atol=1e-5)
    assert mdtraj.load(tmp_path / "out" / "ensemble.h5").n_frames == 70


def test_seed_and_settings_alone_decide(model: Path, tmp_path: Path) -> None:
    def draws(name: str, seed: int, n: int = 50) -> np.ndarray:
        sample(model, tmp_path / name, n=n, settings=SamplingSettings(piece=32), seed=seed)
        (rows,) = EnsembleReader(tmp_path / name / "ensemble.h5").chunks(100)
        return np.asarray(rows.positions)

    first = draws("a", 1)
    np.testing.assert_array_equal(first, draws("b", 1))
    np.testing.assert_array_equal(first[:32], draws("c", 1, n=40)[:32])
    assert not np.array_equal(first, draws("d", 2))


def test_a_stopped_run_starts_again_and_a_complete_one_does_nothing(model: Path, tmp_path: Path) -> None:
    settings = SamplingSettings(piece=16)
    stop = Interruption()
    stop.request("a test said so")
    with pytest.raises(InterruptedRunError):
        sample(model, tmp_path / "out", n=40, settings=settings, seed=9, interruption=stop)
    assert not (tmp_path / "out" / "ensemble.h5").exists()
    result = sample(model, tmp_path / "out", n=40, settings=settings)
    assert result.seed == 9
    whole = sample(model, tmp_path / "whole", n=40, settings=settings, seed=9)
    files = [tmp_path / name / "ensemble.h5" for name in ("out", "whole")]
    (one,), (two,) = (list(EnsembleReader(file).chunks(100)) for file in files)
    np.testing.assert_array_equal(one.positions, two.positions)
    changed = files[0].stat().st_mtime_ns
    assert sample(model, tmp_path / "out", n=40, settings=settings).to_json() == result.to_json()
    assert files[0].stat().st_mtime_ns == changed
    assert whole.out_of_domain == 0


def test_another_number_of_draws_is_refused_with_the_field_named(model: Path, tmp_path: Path) -> None:
    sample(model, tmp_path / "out", n=10, seed=1)
    with pytest.raises(InputError, match="n = 10"):
        sample(model, tmp_path / "out", n=11)


@pytest.mark.parametrize("n", [0, -3])
def test_no_draws_are_a_usage_error(model: Path, tmp_path: Path, n: int) -> None:
    with pytest.raises(UsageError):
        sample(model, tmp_path / "out", n=n)
    assert not (tmp_path / "out").exists()


def test_a_missing_or_damaged_model_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished model"):
        sample(tmp_path / "nothing", tmp_path / "out", n=1)
    damaged = tmp_path / "damaged"
    shutil.copytree(model, damaged)
    weights = damaged / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(InputError, match="SHA-256"):
        sample(damaged, tmp_path / "out", n=1)
    weights.unlink()
    with pytest.raises(InputError, match=r"model\.safetensors is missing"):
        sample(damaged, tmp_path / "out", n=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("change", [{"format": 99}, {"fingerprint": "0" * 64}])
def test_a_changed_description_is_refused(model: Path, tmp_path: Path, change: dict[str, object]) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(model, changed)
    description = json.loads((changed / "model.json").read_text())
    (changed / "model.json").write_text(json.dumps(description | change))
    with pytest.raises(InputError):
        sample(changed, tmp_path / "out", n=1)


def test_the_plan_says_what_it_costs(model: Path) -> None:
    plan = plan_sampling(model, n=1000)
    assert (plan["system"], plan["draws"], plan["evaluations"]) == ("double-well", 1000, 0)


@pytest.mark.parametrize("choice", ["steps=3", "density=hutchinson"])
def test_what_a_spline_flow_cannot_choose_is_refused(model: Path, tmp_path: Path, choice: str) -> None:
    with pytest.raises(UsageError, match=choice.partition("=")[0]):
        sample(model, tmp_path / "out", n=4, settings=SamplingSettings().with_overrides([choice]))
    assert not (tmp_path / "out").exists()


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(UsageError, match="peace"):
        SamplingSettings().with_overrides(["peace=3"])
