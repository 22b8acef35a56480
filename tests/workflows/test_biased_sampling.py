"""`sample --bias` with a spline flow, end to end: exact answers whatever the bias, and every fault is caught."""

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from molgen.ensemble import EnsembleReader, EnsembleWriter
from molgen.errors import InputError, InterruptedRunError
from molgen.interruption import Interruption
from molgen.models.artifact import save_model
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.systems.loading import load_system
from molgen.workflows.reweight_settings import ReweightSettings
from molgen.workflows.reweighting import reweight
from molgen.workflows.sampling import SamplingSettings, plan_sampling, sample

SETTINGS = SamplingSettings().with_overrides(["latent.pilot=1200", "flattening.pilot=1500"])
QUICK = ReweightSettings().with_overrides(["distances.enabled=false", "bootstrap_repeats=20"])


def exact_delta() -> float:
    """ΔF(left → right) of V = 5(x² − 1)² + x/2."""
    x = np.linspace(-4.0, 4.0, 400_001)
    p = np.exp(-(5.0 * (x**2 - 1.0) ** 2 + 0.5 * x))
    return -math.log(p[x >= 0.0].sum() / p[x < 0.0].sum())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One broad bump over the left well: it draws right of 0.7 in 1 of 100, the right well holds 28 %."""
    directory, system = tmp_path_factory.mktemp("model"), load_system("double-well")
    flow = SplineFlow(system, SplineFlowSettings(hidden=8, spline=1), torch.Generator().manual_seed(1))
    frames = np.random.default_rng(1).normal(-0.7, 0.6, size=4000)
    flow.fit(torch.as_tensor(frames).reshape(-1, 1, 1))
    save_model(directory, "spline", flow, system, {"evaluations": {"data": 4000, "training": 0}})
    return directory


BIASES = {
    "weak": "linear(x, slope=-2 kT)",
    "strong": "harmonic(x, center=1, k=30 kT)",
    "spring": "harmonic(x, center=0.9, k=5 kT)",
    "auto": "auto(x, max=6 kT)",
}


@pytest.mark.parametrize("name", BIASES)
def test_free_energies_do_not_depend_on_the_bias(model: Path, tmp_path: Path, name: str) -> None:
    """Within 4 of the stated errors, which are small; the density passes the audit."""
    result = sample(model, tmp_path / "out", n=12_000, bias=BIASES[name], settings=SETTINGS, seed=11)
    assert (result.bias, result.method) == (BIASES[name], "latent")
    assert "Method latent: the model is a spline flow" in result.notes[0]
    record = reweight(tmp_path / "out", tmp_path / "result", settings=QUICK, seed=1, allow_refused=True).record
    checks = {check["name"]: check["passed"] for check in record["audit"]["checks"]}
    assert checks["log_q"]
    assert checks["jacobian"]
    (found,) = record["delta_f"].values()
    sign = -1.0 if "right->left" in record["delta_f"] else 1.0
    error = (found["high"] - found["low"]) / 3.92
    assert abs(sign * found["value"] - exact_delta()) < 4.0 * error
    assert error < 0.15
    assert record["verdict"] != "refused"
    spent = record["evaluations"]
    assert spent["sampling"] == result.evaluations == (1500 * round(result.evaluations / 1500))
    assert (result.evaluations > 0) == (name == "auto")


def test_plain_draws_do_not_find_the_other_well(model: Path, tmp_path: Path) -> None:
    """What the biases above are for."""
    sample(model, tmp_path / "out", n=6000, settings=SETTINGS, seed=11)
    record = reweight(tmp_path / "out", tmp_path / "result", settings=QUICK, seed=1, allow_refused=True).record
    (found,) = record["delta_f"].values()
    assert found["verdict"] == "refused"


def altered(source: Path, target: Path, change: Callable[[Any], Any]) -> Path:
    """A copy of a sample run whose rows went through ``change``."""
    shutil.copytree(source, target)
    (rows,) = EnsembleReader(source / "ensemble.h5").chunks(100_000)
    rows = change(rows)
    (target / "ensemble.h5").unlink()
    with EnsembleWriter(target / "ensemble.h5", rows.header) as writer:
        writer.append(rows)
    return target


def test_faults_are_caught(model: Path, tmp_path: Path) -> None:
    """A forgotten bias, a wrong sign, the bias taken off once more, a record in other units: log q is not that."""
    sample(model, tmp_path / "out", n=400, bias=BIASES["spring"], settings=SETTINGS, seed=2)

    def forgotten(rows: Any) -> Any:
        return replace(rows, header=replace(rows.header, bias=None))

    def flipped(rows: Any) -> Any:
        return replace(rows, log_q=-rows.log_q)

    def twice(rows: Any) -> Any:
        x = rows.positions[:, 0, 0]
        return replace(rows, log_q=rows.log_q - 2.5 * (x - 0.9) ** 2)

    def other_units(rows: Any) -> Any:
        record = json.loads(json.dumps(dict(rows.header.bias)))
        for item in record["mixture"]["components"]:
            item["mean"] = [57.3 * value for value in item["mean"]]
        return replace(rows, header=replace(rows.header, bias=record))

    for change in (forgotten, flipped, twice, other_units):
        folder = altered(tmp_path / "out", tmp_path / change.__name__, change)
        record = reweight(
            folder, tmp_path / f"{change.__name__}-result", settings=QUICK, seed=1, allow_refused=True
        ).record
        assert record["verdict"] == "refused", change.__name__
        assert not {check["name"]: check["passed"] for check in record["audit"]["checks"]}["log_q"]


def test_draws_of_a_state_that_are_missing_spoil_the_mass_of_the_plain_flow(model: Path, tmp_path: Path) -> None:
    sample(model, tmp_path / "out", n=2000, bias=BIASES["spring"], settings=SETTINGS, seed=2)

    def thinned(rows: Any) -> Any:
        kept = (rows.positions[:, 0, 0] < 0.0) | (np.random.default_rng(1).random(len(rows)) < 0.1)
        names = ("positions", "log_q", "in_domain", "reduced_bias")
        changes = {name: getattr(rows, name)[kept] for name in names if getattr(rows, name) is not None}
        return replace(rows, **changes)

    for folder, sound in ((tmp_path / "out", True), (altered(tmp_path / "out", tmp_path / "thin", thinned), False)):
        record = reweight(folder, tmp_path / f"r{sound}", settings=QUICK, seed=1, allow_refused=True).record
        checks = {check["name"]: check["passed"] for check in record["audit"]["checks"]}
        assert checks["mass"] is sound
        assert checks["log_q"]
    assert record["verdict"] == "refused"


def test_an_interrupted_adaptation_gives_the_same_in_the_end(model: Path, tmp_path: Path) -> None:
    class Twice(Interruption):
        calls = 0

        def check(self) -> None:
            self.calls += 1
            if self.calls == 4:
                raise InterruptedRunError("the time limit was reached", "Run the same command again.")

    options: dict[str, Any] = {"n": 4500, "bias": BIASES["auto"], "settings": SETTINGS, "seed": 3}
    whole = sample(model, tmp_path / "whole", **options)
    with pytest.raises(InterruptedRunError):
        sample(model, tmp_path / "parts", interruption=Twice(), **options)
    parts = sample(model, tmp_path / "parts", **options)
    assert parts.notes == whole.notes
    first, second = (EnsembleReader(tmp_path / name / "ensemble.h5") for name in ("whole", "parts"))
    assert np.array_equal(first.column("log_q"), second.column("log_q"))
    assert first.header.bias == second.header.bias
    assert first.header.bias is not None
    assert first.header.bias["asked"] == "auto(x, max=6 kT)"
    again = sample(model, tmp_path / "parts", **options)
    assert again.notes == whole.notes


def test_a_toml_file_and_a_profile_on_disk(model: Path, tmp_path: Path) -> None:
    """The record stands by itself: the files may go."""
    sample(model, tmp_path / "plain", n=3000, settings=SETTINGS, seed=1)
    reweight(tmp_path / "plain", tmp_path / "profile", settings=QUICK, seed=1, allow_refused=True)
    (tmp_path / "bias.toml").write_text('[[bias]]\nkind = "grid"\ncv = "x"\nfile = "profile"\nmax = "3 kT"\n')
    result = sample(model, tmp_path / "out", n=500, bias=str(tmp_path / "bias.toml"), settings=SETTINGS, seed=4)
    assert result.bias is not None
    assert result.bias.startswith("grid(x, low=")
    shutil.rmtree(tmp_path / "profile")
    record = reweight(tmp_path / "out", tmp_path / "result", settings=QUICK, seed=1, allow_refused=True).record
    assert record["audit"]["passed"]


def test_plans_say_what_it_costs(model: Path) -> None:
    plan = plan_sampling(model, n=100, bias="auto:x", settings=SETTINGS)
    assert (plan["bias"], plan["method"], plan["evaluations"]) == ("auto:x", "latent", 1500)
    assert plan_sampling(model, n=100, bias="auto(x, max=9 kT)", settings=SETTINGS)["evaluations"] == 6000
    assert plan_sampling(model, n=100, bias=BIASES["weak"], settings=SETTINGS)["evaluations"] == 0


@pytest.mark.parametrize(
    ("bias", "method", "says"),
    [
        ("auto:y", "auto", "no collective variable 'y'"),
        ("harmonik(x, center=0, k=1 kT)", "latent", "no bias called 'harmonik'"),
        ("auto:x", "guided", "no velocity field"),
        ("linear(x, slope=1 kT)", "guided", "no velocity field"),
        ("nowhere.toml", "auto", "no file nowhere.toml"),
        ("grid(x, file=nowhere)", "auto", "there is no nowhere"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(
    model: Path, tmp_path: Path, bias: str, method: str, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        sample(model, tmp_path / "out", n=5, bias=bias, method=method, settings=SETTINGS)
    assert not (tmp_path / "out").exists()
