"""One line for every kind of model: train, sample and reweight with a stand-in that only the tables know of."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from molgen.ensemble import EnsembleReader
from molgen.errors import InputError, InterruptedRunError, PartialError, UsageError
from molgen.interruption import Interruption
from molgen.models.artifact import load_model
from molgen.models.choice import choose_model
from molgen.models.table import MODELS
from molgen.observables.states import with_states
from molgen.systems.definition import StateSection
from molgen.systems.loading import load_system
from molgen.training.settings import TrainingSettings
from molgen.training.table import TRAININGS
from molgen.trajectories.shards import write_shard
from molgen.workflows import reweight_conclusion, reweight_model
from molgen.workflows.reweight_settings import ReweightSettings
from molgen.workflows.reweighting import reweight
from molgen.workflows.sampling import SamplingSettings, plan_sampling, sample
from molgen.workflows.training import plan_training, train, training_settings
from tests.continuous import Normal, pair_frames

TINY = ("steps=12", "batch=32", "check_every=5", "check_draws=60", "average=0.5")
SETTINGS = ReweightSettings(distances={"energy_points": 200, "repeats": 3})


def write_pairs(path: Path) -> Path:
    system = load_system("dw4")
    write_shard(path, pair_frames(300), np.sort(np.arange(300) % 4), system, system.temperature_k)
    return path


def trained(tmp_path: Path, name: str, *overrides: str) -> Path:
    system = load_system("dw4")
    settings = training_settings(system, name).with_overrides([*TINY, *overrides])
    data = write_pairs(tmp_path / "frames.h5")
    return train(system, [data], tmp_path / "model", model=name, settings=settings, seed=3).directory


class StopAt(Interruption):
    """Asks to stop at the n-th look."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    @property
    def reason(self) -> str | None:
        self.looks -= 1
        return "a test said so" if self.looks <= 0 else None


# --- which model -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "name", "why"),
    [
        ("alanine-dipeptide", "spline", "covalent molecule"),
        ("muller-brown", "spline", "single particle"),
        ("lj13", "flow-matching", "13 particles of lj13 are identical"),
    ],
)
def test_auto_takes_what_suits_and_says_why(system: str, name: str, why: str) -> None:
    choice = choose_model(load_system(system))
    assert choice.name == name
    assert why in choice.reason
    assert choice.reason.count(".") == 1


def test_every_model_has_a_training() -> None:
    assert set(MODELS) <= set(TRAININGS)


def test_an_unknown_model_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="splin") as caught:
        train(load_system("double-well"), [tmp_path], tmp_path / "out", model="splin")
    assert "spline" in caught.value.hint


def test_a_spline_flow_of_identical_particles_is_refused_with_a_remedy(tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "frames.h5")
    for call in (
        lambda: plan_training(load_system("dw4"), [data], model="spline"),
        lambda: train(load_system("dw4"), [data], tmp_path / "out", model="spline"),
    ):
        with pytest.raises(InputError, match="4 identical particles") as caught:
            call()
        assert "--model flow-matching" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_settings_of_another_model_are_refused(tmp_path: Path, stand_in: str) -> None:
    data = write_pairs(tmp_path / "frames.h5")
    with pytest.raises(UsageError, match="not of the model stand-in"):
        train(load_system("dw4"), [data], tmp_path / "out", model=stand_in, settings=TrainingSettings())
    assert not (tmp_path / "out").exists()


def test_the_plan_names_the_model(tmp_path: Path, stand_in: str) -> None:
    plan = plan_training(load_system("dw4"), [write_pairs(tmp_path / "frames.h5")], model=stand_in)
    assert (plan["model"], plan["frames"], plan["steps"], plan["parameters"]) == (stand_in, 300, 20_000, 1)
    assert plan["model_reason"] == "stand-in was asked for."


# --- the line --------------------------------------------------------------------------------------------------------


def test_train_sample_reweight(tmp_path: Path, stand_in: str, monkeypatch: pytest.MonkeyPatch) -> None:
    system = load_system("dw4")
    data = write_pairs(tmp_path / "frames.h5")
    settings = training_settings(system, stand_in).with_overrides(TINY)
    stop = StopAt(5)
    with pytest.raises(InterruptedRunError):
        train(system, [data], tmp_path / "model", model=stand_in, settings=settings, seed=3, interruption=stop)
    result = train(system, [data], tmp_path / "model", model=stand_in, settings=settings)
    whole = train(system, [data], tmp_path / "whole", model=stand_in, settings=settings, seed=3)
    assert result.model_sha256 == whole.model_sha256
    assert (result.model, result.seed, result.frames) == (stand_in, 3, 300)
    assert result.model_reason == "stand-in was asked for."
    assert result.ess is not None
    assert any("coverage is untested" in note for note in result.notes)
    again = train(system, [data], tmp_path / "model", model=stand_in, settings=settings)
    assert again.to_json() == json.loads(json.dumps(result.to_json())) | {
        key: getattr(again, key) for key in ("notes", "states")
    }
    loaded = load_model(tmp_path / "model")
    assert isinstance(loaded.model, Normal)
    assert loaded.training["curve"][-1]["stage"] == "check"
    draws = sample(tmp_path / "model", tmp_path / "ensemble", n=400, seed=5)
    assert (draws.n, draws.out_of_domain, draws.not_finite, draws.density) == (400, 0, 0, "exact")
    reader = EnsembleReader(tmp_path / "ensemble" / "ensemble.h5")
    assert reader.header.measure == "cartesian-zero-com"
    assert reader.columns == ("log_q",)
    record = reweight(draws.directory, tmp_path / "result", settings=SETTINGS, seed=4, allow_refused=True).to_json()
    assert (record["n"], record["density"], record["log_q_error"]) == (400, "exact", None)
    assert record["provenance"]["measure"] == "cartesian-zero-com"
    named = {check["name"]: check["passed"] for check in record["audit"]["checks"]}
    assert named["log_q"]
    assert named["energy"]
    report = (tmp_path / "result" / "report.html").read_text()
    assert "Loss" in report


SMALL = (
    "flow.network.layers=1",
    "flow.network.scalars=4",
    "flow.network.vectors=2",
    "flow.network.radial=4",
    "flow.network.hidden=4",
    "flow.steps=2",
    "flow.piece=16",
    "steps=5",
    "batch=16",
    "check_every=3",
    "check_draws=20",
    "average=0.5",
)
CARTESIAN = ["flow-matching", "diffusion"]


@pytest.mark.parametrize("name", CARTESIAN)
def test_the_line_of_a_cartesian_model(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resumed training gives the same weights, and draws with other steps than the model's pass the audit."""
    monkeypatch.setattr(reweight_conclusion, "write_report", lambda _, path: path.write_text("<html></html>"))
    system = load_system("dw4")
    data = write_pairs(tmp_path / "frames.h5")
    settings = training_settings(system, name).with_overrides(SMALL)
    with pytest.raises(InterruptedRunError):
        train(system, [data], tmp_path / "model", model=name, settings=settings, seed=3, interruption=StopAt(3))
    result = train(system, [data], tmp_path / "model", model=name, settings=settings)
    whole = train(system, [data], tmp_path / "whole", model=name, settings=settings, seed=3)
    assert result.model_sha256 == whole.model_sha256
    assert (result.model, result.evaluations["training"] > 300) == (name, True)
    draws = sample(tmp_path / "model", tmp_path / "ensemble", n=40, settings=SamplingSettings(steps=3), seed=5)
    record = reweight(draws.directory, tmp_path / "result", settings=SETTINGS, seed=4, allow_refused=True).to_json()
    assert record["provenance"]["measure"] == "cartesian-zero-com"
    assert {check["name"]: check["passed"] for check in record["audit"]["checks"]}["log_q"]
    noisy = sample(tmp_path / "model", tmp_path / "noisy", n=4, settings=SamplingSettings(density="hutchinson"))
    assert noisy.log_q_error is not None
    with pytest.raises(InputError, match="hutchinson"):
        reweight(noisy.directory, tmp_path / "refused", settings=SETTINGS, seed=4)


def test_a_molecule_in_cartesian_space(tmp_path: Path) -> None:
    system = load_system("alanine-dipeptide")
    frames = system.positions + 0.002 * np.random.default_rng(1).normal(size=(60, 22, 3))
    write_shard(tmp_path / "frames.h5", frames, np.sort(np.arange(60) % 4), with_states(system, ()), 300.0)
    settings = training_settings(system, "flow-matching").with_overrides([*SMALL, "check_draws=4"])
    bare = with_states(system, ())
    data = [tmp_path / "frames.h5"]
    result = train(bare, data, tmp_path / "m", model="flow-matching", settings=settings, seed=3, platform="Reference")
    draws = sample(tmp_path / "m", tmp_path / "ensemble", n=4, seed=5)
    assert result.model == "flow-matching"
    (rows,) = EnsembleReader(draws.directory / "ensemble.h5").chunks(10)
    # The draws of a model that learned next to nothing are hardly the molecule asked for, and say so.
    assert draws.out_of_domain == int((~rows.in_domain).sum())


@pytest.mark.parametrize("name", CARTESIAN)
def test_a_cartesian_model_of_a_single_particle_is_refused_with_a_remedy(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="single particle") as caught:
        plan_training(load_system("double-well"), [tmp_path], model=name)
    assert "--model spline" in caught.value.hint


def test_choices_of_the_draws_stand_in_the_header_and_count_for_the_density(tmp_path: Path, stand_in: str) -> None:
    model = trained(tmp_path, stand_in)
    plan = plan_sampling(model, n=120, settings=SamplingSettings(steps=9))
    assert (plan["pieces"], plan["density"]) == (3, "exact")
    result = sample(model, tmp_path / "out", n=120, settings=SamplingSettings(steps=9), seed=1)
    reader = EnsembleReader(tmp_path / "out" / "ensemble.h5")
    assert reader.header.drawing == {"steps": 9}
    loaded = reweight_model.find_model(result.directory, reader.header, None)
    assert loaded is not None
    assert isinstance(loaded.model, Normal)
    assert loaded.model.settings.steps == 9
    with pytest.raises(InputError, match=r"settings\.steps"):
        sample(model, tmp_path / "out", n=120)


def test_a_noisy_density_is_refused_unless_allowed_and_never_reliable(
    tmp_path: Path, stand_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reweight_conclusion, "write_report", lambda _, path: path.write_text("<html></html>"))
    model = trained(tmp_path, stand_in)
    settings = SamplingSettings(density="hutchinson", probes=4)
    draws = sample(model, tmp_path / "ensemble", n=400, settings=settings, seed=5)
    assert draws.log_q_error == pytest.approx(0.15)
    reader = EnsembleReader(tmp_path / "ensemble" / "ensemble.h5")
    assert reader.header.density == "hutchinson"
    np.testing.assert_allclose(reader.column("log_q_error"), 0.15)
    with pytest.raises(InputError, match="hutchinson estimates, whose noise biases weights") as caught:
        reweight(draws.directory, tmp_path / "result", settings=SETTINGS, seed=4, allow_refused=True)
    assert "--allow-noisy-density" in caught.value.hint
    assert not (tmp_path / "result").exists()
    record = reweight(
        draws.directory,
        tmp_path / "result",
        settings=SETTINGS,
        seed=4,
        allow_refused=True,
        allow_noisy_density=True,
    ).to_json()
    assert any("standard error of 0.15 kT" in reason for reason in record["reasons"])
    # The audit compares with the exact density, and allows for the noise (seed fixed; 5 standard errors).
    named = {check["name"]: check["passed"] for check in record["audit"]["checks"]}
    assert named["log_q"]
    assert (record["density"], record["log_q_error"]) == ("hutchinson", pytest.approx(0.15))


def test_draws_that_explode_are_kept_flagged_and_counted(
    tmp_path: Path, stand_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reweight_conclusion, "write_report", lambda _, path: path.write_text("<html></html>"))
    model = trained(tmp_path, stand_in, "flow.lose=0.1")
    draws = sample(model, tmp_path / "ensemble", n=200, seed=5)
    (rows,) = EnsembleReader(tmp_path / "ensemble" / "ensemble.h5").chunks(1000)
    lost = np.flatnonzero(~np.isfinite(rows.positions).all(axis=(1, 2)))
    assert 0 < len(lost) == draws.not_finite == draws.out_of_domain
    assert not rows.in_domain[lost].any()
    (note,) = draws.notes
    assert note.startswith(f"{len(lost)} of 200 draws were no longer finite")
    assert f"first draw {lost[0]} (counted from 0) at time 0.5" in note
    assert sample(model, tmp_path / "ensemble", n=200).to_json() == draws.to_json()
    record = reweight(draws.directory, tmp_path / "result", settings=SETTINGS, seed=4, allow_refused=True).to_json()
    assert record["verdict"] == "refused"
    assert any(f"{len(lost)} of 200 draws have a log-density that is not finite" in r for r in record["reasons"])


def test_a_run_whose_draws_mostly_explode_stops_and_keeps_them(tmp_path: Path, stand_in: str) -> None:
    model = trained(tmp_path, stand_in, "flow.lose=0.9")
    with pytest.raises(PartialError, match=r"of 50 draws were no longer finite .* at time 0\.5") as caught:
        sample(model, tmp_path / "ensemble", n=200, seed=5)
    assert "steps" in caught.value.hint
    assert len(list((tmp_path / "ensemble" / "pieces").glob("*.npz"))) == 1
    assert not (tmp_path / "ensemble" / "ensemble.h5").exists()


def test_a_stopped_drawing_keeps_its_pieces_and_goes_on_from_them(
    tmp_path: Path, stand_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = trained(tmp_path, stand_in)
    whole = sample(model, tmp_path / "whole", n=180, seed=5)
    calls: list[int] = []
    real = Normal.sample

    def counted(self: Any, n: int, generator: torch.Generator) -> Any:
        calls.append(n)
        return real(self, n, generator)

    monkeypatch.setattr(Normal, "sample", counted)
    with pytest.raises(InterruptedRunError):
        sample(model, tmp_path / "parts", n=180, seed=5, interruption=StopAt(2))
    assert calls == [50, 50]
    parts = sample(model, tmp_path / "parts", n=180)
    assert calls == [50, 50, 50, 30]
    (one,), (two,) = (list(EnsembleReader(r.directory / "ensemble.h5").chunks(1000)) for r in (whole, parts))
    np.testing.assert_array_equal(one.positions, two.positions)
    np.testing.assert_array_equal(one.log_q, two.log_q)
    assert not (tmp_path / "parts" / "pieces").exists()


def test_another_number_of_particles_or_another_element_is_named(tmp_path: Path, stand_in: str) -> None:
    loaded = load_model(trained(tmp_path, stand_in))
    loaded.check_system(load_system("dw4"))
    with pytest.raises(InputError, match="of 4 particles in 2 dimensions, lj13 has 13 particles in 3 dimensions"):
        loaded.check_system(load_system("lj13"))
    with pytest.raises(InputError, match="4 particles in 2 dimensions, the frames are of 5 x 2"):
        loaded.check_frames(np.zeros((3, 5, 2)))


# --- several temperatures --------------------------------------------------------------------------------------------

SMALL_NETWORK = [
    f"flow.network.{name}={value}"
    for name, value in {"layers": 1, "scalars": 8, "vectors": 4, "radial": 8, "hidden": 8}.items()
]


def write_at(path: Path, temperature_k: float, width: float) -> Path:
    system = load_system("dw4")
    write_shard(path, pair_frames(300, width=width), np.sort(np.arange(300) % 4), system, temperature_k)
    return path


def test_a_continuous_flow_learns_all_temperatures_of_its_frames(tmp_path: Path) -> None:
    """Frames of twice the temperature are twice as wide about their square; draws at each have to be so as well."""
    halves = (StateSection(name="tight", where="rg < 2.85nm"), StateSection(name="wide", where="otherwise"))
    system = with_states(load_system("dw4"), halves)
    own_k = system.temperature_k
    data = [write_at(tmp_path / "own.h5", own_k, 1.0), write_at(tmp_path / "hot.h5", 2.0 * own_k, 2.0)]
    settings = training_settings(system, "flow-matching").with_overrides(
        ["steps=250", "batch=64", "check_every=100", "check_draws=20", "average=0.95", "warmup=10", "rate=0.01",
         "flow.steps=4", *SMALL_NETWORK]
    )  # fmt: skip
    train(system, data, tmp_path / "model", model="flow-matching", settings=settings, seed=3)
    spread = []
    for factor in (1.0, 2.0):
        chosen = SamplingSettings(temperature_k=factor * own_k)
        result = sample(tmp_path / "model", tmp_path / f"at{factor:g}", n=300, settings=chosen, seed=1)
        header = EnsembleReader(result.directory / "ensemble.h5").header
        assert header.temperature_k == factor * own_k
        frames = EnsembleReader(result.directory / "ensemble.h5").slice(0, 300).positions
        radius = np.sqrt(((frames - frames.mean(1, keepdims=True)) ** 2).sum(2).mean(1))
        spread.append(radius.std())
        weighed = reweight(result.directory, tmp_path / f"w{factor:g}", settings=SETTINGS, seed=1, allow_refused=True)
        assert weighed.record["temperature_k"] == factor * own_k
        assert weighed.record["audit"]["passed"]
        assert weighed.record["coverage"]["tested"] == (factor == 1.0)
    assert spread[1] > 1.5 * spread[0]
    with pytest.raises(InputError, match="outside the temperatures"):
        sample(tmp_path / "model", tmp_path / "far", n=10, settings=SamplingSettings(temperature_k=3.0 * own_k))
    assert not (tmp_path / "far").exists()


def test_frames_of_other_temperatures_are_refused_where_they_cannot_be_used(tmp_path: Path) -> None:
    system = load_system("dw4")
    hot = write_at(tmp_path / "hot.h5", 2.0 * system.temperature_k, 2.0)
    with pytest.raises(InputError, match=r"frames are from 240\.545 K, the system is at 120\.272 K"):
        train(system, [hot], tmp_path / "out", model="flow-matching")
    well = load_system("double-well")
    files = []
    for number, factor in enumerate((1.0, 2.0)):
        path = tmp_path / f"well{number}.h5"
        frames = np.random.default_rng(number).normal(size=(50, 1, 1))
        write_shard(path, frames, np.arange(50) // 5, well, factor * well.temperature_k)
        files.append(path)
    with pytest.raises(InputError, match="a spline flow learns one temperature") as caught:
        train(well, files, tmp_path / "out")
    assert "--model flow-matching" in caught.value.hint
    assert not (tmp_path / "out").exists()


# --- networks with tensors -------------------------------------------------------------------------------------------


def test_tensors_are_a_setting_from_training_to_weights(tmp_path: Path) -> None:
    """Particles in a plane, whose Jacobian is the restriction of that in space: the audit recomputes log q of draws."""
    sizes = ("layers=2", "scalars=6", "vectors=4", "radial=6", "hidden=6", "tensors=2")
    network = [f"flow.network.{size}" for size in sizes]
    model = trained(tmp_path, "diffusion", *network, "steps=6", "check_draws=10", "rate=0.02", "flow.steps=3")
    loaded = load_model(model).model
    assert loaded.settings.network.tensors == 2  # type: ignore[attr-defined]
    sample(model, tmp_path / "ensemble", n=30, seed=2)
    (rows,) = EnsembleReader(tmp_path / "ensemble" / "ensemble.h5").chunks(100)
    assert rows.log_q is not None
    again = loaded.log_prob(torch.as_tensor(rows.positions)).numpy()
    assert np.abs(again - rows.log_q).max() < 1e-3
    settings = ReweightSettings(audit_rows=8, bootstrap_repeats=20, distances={"enabled": False})
    record = reweight(tmp_path / "ensemble", tmp_path / "result", settings=settings, seed=1, allow_refused=True).record
    checks = {check["name"]: check for check in record["audit"]["checks"]}
    assert checks["log_q"]["passed"]
    assert record["audit"]["passed"]
