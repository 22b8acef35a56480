"""`sample --method annealed` and its reweighting on the double well, from a model that is a normal distribution."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from molgen.ensemble import Ensemble, EnsembleHeader, EnsembleReader, EnsembleWriter
from molgen.errors import InputError, InterruptedRunError, RefusedError, UsageError
from molgen.interruption import Interruption
from molgen.models.artifact import save_model
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.sampling.populations import FOLDER
from molgen.systems.loading import load_system
from molgen.trajectories.reading import read_frames
from molgen.workflows import reweight_conclusion
from molgen.workflows.export_source import open_source
from molgen.workflows.reweighting import reweight
from molgen.workflows.sampling import SamplingSettings, plan_sampling, sample

GRID = np.linspace(-3.0, 3.0, 60_001)
POTENTIAL = 5.0 * (GRID**2 - 1.0) ** 2 + 0.5 * GRID
DENSITY = np.exp(-POTENTIAL)
DELTA_F = float(-np.log(DENSITY[GRID < 0.0].sum() / DENSITY[GRID >= 0.0].sum()))
LOG_Z = float(np.log(DENSITY.sum() * (GRID[1] - GRID[0])))
BIAS = "harmonic(x, center=0, k=8 kT)"
SETTINGS = SamplingSettings(annealing={"populations": 16, "pilot": 100, "leapfrogs": 3})
N = 3200


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Drawing figures takes seconds; one test does it."""
    if request.node.name != "test_the_report_shows_populations":
        monkeypatch.setattr(reweight_conclusion, "write_report", lambda _, path: path.write_text("<html></html>"))


def _save(directory: Path, mean: float = -0.4, width: float = 0.7) -> Path:
    system = load_system("double-well")
    flow = SplineFlow(system, SplineFlowSettings(affine=0, spline=0, hidden=4), torch.Generator().manual_seed(1))
    flow.fit(torch.tensor([[[mean - width]], [[mean + width]]], dtype=torch.float64))
    flow.whitening.scale.fill_(width)
    directory.mkdir()
    guard = {"states": [{"name": "left", "passed": True, "reason": ""}], "evaluations": {"data": 5, "training": 7}}
    save_model(directory, "spline", flow, system, guard)
    return directory


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _save(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture(scope="module")
def draws(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str | None, Path]:
    """Annealed ensembles without and with a bias, drawn once."""
    folder = tmp_path_factory.mktemp("draws")
    for bias in (None, BIAS):
        sample(model, folder / str(bias is None), n=N, bias=bias, method="annealed", settings=SETTINGS, seed=11)
    return {bias: folder / str(bias is None) for bias in (None, BIAS)}


@pytest.mark.parametrize("bias", [None, BIAS])
def test_known_answers(draws: dict[str | None, Path], tmp_path: Path, bias: str | None) -> None:
    """ΔF and ln Z exact from a grid, with and without a bias: within 4.1 standard errors.

    By Student's distribution with 15 degrees of freedom one seed in 250 fails one of the four.
    """
    record = reweight(draws[bias], tmp_path / "r", seed=1).record
    assert record["verdict"] == "caution"
    estimate, quantile = record["delta_f"]["right->left"], 2.131
    error = 0.5 * (estimate["high"] - estimate["low"]) / quantile
    assert error < 0.12
    assert abs(estimate["value"] - DELTA_F) < 4.1 * error
    low, high = record["log_z_interval"]["low"], record["log_z_interval"]["high"]
    assert abs(record["log_z"] - LOG_Z) < 4.1 * 0.5 * (high - low) / quantile
    assert high - low < 0.25

    annealing = record["annealing"]
    assert annealing["count"] == 16
    assert annealing["bias"] == bias
    assert len(annealing["log_z"]) == len(annealing["populations"]) == 16
    assert annealing["schedule"]["temperatures"][-1] == 1.0
    assert all(len(p["ess"]) == len(annealing["schedule"]["temperatures"]) for p in annealing["populations"])
    assert record["audit"]["passed"]
    assert record["coverage"]["tested"]
    reader = EnsembleReader(draws[bias] / "ensemble.h5")
    assert reader.header.kind == "annealed"
    assert reader.header.bias == (None if bias is None else {"text": bias, "method": "annealed"})
    spent = annealing["schedule"]["evaluations"] + sum(p["evaluations"] for p in annealing["populations"])
    assert record["evaluations"] == {"data": 5, "training": 7, "sampling": spent, "reweighting": 64}
    names = {check["name"] for check in record["audit"]["checks"]}
    assert {"energy", "evidence", "model", "system"} <= names
    assert ("bias" in names) is (bias is not None)


@pytest.mark.parametrize("bias", [None, BIAS])
def test_another_force_field(draws: dict[str | None, Path], tmp_path: Path, bias: str | None) -> None:
    """ΔΔF of the particles under both, exact from a grid: within 4.1 standard errors (one seed in 500 of each)."""
    path = tmp_path / "system.toml"
    text = 'name = "tilted"\n[analytic]\npotential = "double-well"\nparameters = { barrier = 5.5, tilt = 0.8 }\n'
    path.write_text(text)
    record = reweight(draws[bias], tmp_path / "r", system=path, seed=1, allow_refused=True).record
    assert record["audit"]["passed"], record["audit"]
    density = np.exp(-5.5 * (GRID**2 - 1.0) ** 2 - 0.8 * GRID)
    after = float(-np.log(density[GRID < 0.0].sum() / density[GRID >= 0.0].sum()))
    pair = record["target"]["pairs"]["right->left"]
    error = 0.5 * (pair["high"] - pair["low"]) / 2.131
    assert 0.0 < error < 0.1
    assert abs(pair["value"] - (after - DELTA_F)) < 4.1 * error
    plain = reweight(draws[bias], tmp_path / "plain", seed=1, allow_refused=True).record
    assert record["target"]["states"]["left"]["before"]["value"] == pytest.approx(plain["populations"]["left"]["value"])
    # The populations' common scatter drops out of the difference.
    assert pair["high"] - pair["low"] < 0.6 * (
        plain["delta_f"]["right->left"]["high"] - plain["delta_f"]["right->left"]["low"]
    )
    assert record["evaluations"]["reweighting"] == 64 + N
    text = path.read_text().replace("5.5", "5.0").replace("0.8", "0.5")
    path.write_text(text)
    same = reweight(draws[bias], tmp_path / "same", system=path, seed=1, allow_refused=True).record
    assert same["populations"]["left"]["value"] == pytest.approx(plain["populations"]["left"]["value"], abs=1e-6)


def test_the_report_shows_populations(draws: dict[str | None, Path], tmp_path: Path) -> None:
    reweight(draws[BIAS], tmp_path / "r", seed=1)
    text = (tmp_path / "r" / "report.html").read_text()
    assert "Annealed populations" in text
    assert "annealed from a generative model" in text
    assert BIAS in text


def test_another_temperature_reweighs_the_same_energies(draws: dict[str | None, Path], tmp_path: Path) -> None:
    """At 1.1 T the reduced energy is u / 1.1; within 5 standard errors of the exact ΔF."""
    temperature = load_system("double-well").temperature_k
    record = reweight(draws[None], tmp_path / "r", seed=1, temperature_k=1.1 * temperature).record
    density = np.exp(-POTENTIAL / 1.1)
    exact = float(-np.log(density[GRID < 0.0].sum() / density[GRID >= 0.0].sum()))
    estimate = record["delta_f"]["right->left"]
    assert abs(estimate["value"] - exact) < 5.0 * 0.5 * (estimate["high"] - estimate["low"]) / 2.131
    assert record["audit"]["passed"]


class _StopAfter(Interruption):
    def __init__(self, count: int) -> None:
        super().__init__()
        self._left = count

    def check(self) -> None:
        self._left -= 1
        if self._left <= 0:
            self.request("the test said so")
        super().check()


def test_a_stopped_run_goes_on_to_the_same_file(model: Path, draws: dict[str | None, Path], tmp_path: Path) -> None:
    with pytest.raises(InterruptedRunError):
        sample(model, tmp_path / "s", n=N, method="annealed", settings=SETTINGS, seed=11, interruption=_StopAfter(6))
    assert len(list((tmp_path / "s" / FOLDER).glob("population-*.npz"))) == 4
    result = sample(model, tmp_path / "s", n=N, method="annealed", settings=SETTINGS, seed=11)
    first, second = (EnsembleReader(path / "ensemble.h5") for path in (draws[None], tmp_path / "s"))
    assert first.header == second.header
    for name in first.columns:
        np.testing.assert_array_equal(first.column(name), second.column(name))
    np.testing.assert_array_equal(first.slice(0, N).positions, second.slice(0, N).positions)
    assert not (tmp_path / "s" / FOLDER).exists()
    again = sample(model, tmp_path / "s", n=N, method="annealed", settings=SETTINGS, seed=11)
    assert json.dumps(again.to_json(), default=str) == json.dumps(result.to_json(), default=str)
    assert result.annealing is not None
    assert result.annealing["evaluations"] == second.header.evaluations["sampling"]


def _rewritten(source: Path, target: Path, change: Callable[[dict[str, Any], dict[str, Any]], None]) -> Path:
    """A copy of an ensemble with its columns and its header changed."""
    reader = EnsembleReader(source / "ensemble.h5")
    rows = reader.slice(0, len(reader))
    columns = {name: value for name, value in vars(rows).items() if name != "header"}
    header = dict(vars(reader.header))
    change(columns, header)
    made = EnsembleHeader(**header)
    with EnsembleWriter(target, made) as writer:
        writer.append(Ensemble(header=made, **columns))
    return target


def _weaker(columns: dict[str, Any], header: dict[str, Any]) -> None:
    header["bias"] = {"text": "harmonic(x, center=0, k=4 kT)", "method": "annealed"}


def _forgotten(columns: dict[str, Any], header: dict[str, Any]) -> None:
    columns["reduced_bias"] = np.zeros(len(columns["reduced_bias"]))


def _flipped(columns: dict[str, Any], header: dict[str, Any]) -> None:
    columns["log_weight"] = np.where(np.isfinite(columns["log_weight"]), -columns["log_weight"], -np.inf)


def _shifted_energy(columns: dict[str, Any], header: dict[str, Any]) -> None:
    columns["reduced_energy"] = columns["reduced_energy"] + 0.2


def _exchanged(columns: dict[str, Any], header: dict[str, Any]) -> None:
    columns["population"] = np.roll(columns["population"], 7)


def _thinned(columns: dict[str, Any], header: dict[str, Any]) -> None:
    """Rows on the right are left out; after resampling equal weights tell nothing of it."""
    kept = (columns["positions"][:, 0, 0] < 0.0) | (np.arange(len(columns["positions"])) % 2 == 0)
    for name, value in columns.items():
        columns[name] = None if value is None else value[kept]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (_weaker, "bias"),
        (_forgotten, "bias"),
        (_flipped, "evidence"),
        (_shifted_energy, "energy"),
        (_exchanged, "evidence"),
        (_thinned, "particles"),
    ],
)
def test_the_audit_finds_what_was_tampered_with(
    draws: dict[str | None, Path], tmp_path: Path, change: Callable[..., None], what: str
) -> None:
    file = _rewritten(draws[BIAS], tmp_path / "e.h5", change)
    record = reweight(file, tmp_path / "r", seed=1, allow_refused=True).record
    assert record["verdict"] == "refused"
    failed = {check["name"] for check in record["audit"]["checks"] if not check["passed"]}
    assert what in failed


def _nine(columns: dict[str, Any], header: dict[str, Any]) -> None:
    kept = columns["population"] < 9
    for name, value in columns.items():
        columns[name] = None if value is None else value[kept]
    first = {name: header["annealing"][name][:9] for name in ("populations", "particles")}
    header["annealing"] = {**header["annealing"], **first}


def test_fewer_than_ten_populations_are_refused(draws: dict[str | None, Path], tmp_path: Path) -> None:
    file = _rewritten(draws[None], tmp_path / "e.h5", _nine)
    with pytest.raises(RefusedError, match="9 populations"):
        reweight(file, tmp_path / "r", seed=1)


def test_a_mode_that_the_model_has_lost_is_refused(tmp_path: Path) -> None:
    """3e-5 of the model lies beyond the barrier."""
    lost = _save(tmp_path / "lost", -1.0, 0.25)
    sample(lost, tmp_path / "s", n=1600, method="annealed", settings=SETTINGS, seed=1)
    record = reweight(tmp_path / "s", tmp_path / "r", seed=1, allow_refused=True).record
    assert record["delta_f"]["right->left"]["verdict"] == "refused"


def test_a_file_without_the_columns_is_refused(draws: dict[str | None, Path], tmp_path: Path) -> None:
    def change(columns: dict[str, Any], header: dict[str, Any]) -> None:
        columns["population"] = None

    file = _rewritten(draws[None], tmp_path / "e.h5", change)
    with pytest.raises(InputError, match="population"):
        reweight(file, tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_weights_of_a_biased_target_are_not_taken_for_those_of_the_molecule(draws: dict[str | None, Path]) -> None:
    with pytest.raises(InputError, match="biased target"):
        open_source(draws[BIAS])
    with pytest.raises(InputError, match="biased target"):
        read_frames([draws[BIAS]], load_system("double-well"))
    assert open_source(draws[None]).kind == "weighted"
    frames = read_frames([draws[None]], load_system("double-well"))
    assert frames.log_weight is not None


def test_plan_and_bad_input(model: Path, tmp_path: Path, stand_in: str) -> None:
    plan = plan_sampling(model, n=N, method="annealed", bias=BIAS, settings=SETTINGS)
    assert plan["evaluations_at_least"] == N * 4 + 100 * 10
    assert plan["bias"] == BIAS
    with pytest.raises(UsageError, match="16 populations"):
        sample(model, tmp_path / "s", n=100, method="annealed", settings=SETTINGS)
    with pytest.raises(UsageError, match="density"):
        sample(model, tmp_path / "s", n=N, method="annealed", settings=SamplingSettings(density="hutchinson"))
    with pytest.raises(InputError, match="collective variable"):
        sample(model, tmp_path / "s", n=N, method="annealed", bias="linear(y, slope=1 kT)", settings=SETTINGS)
    from molgen.models.table import model_class

    kind = model_class(stand_in)
    system = load_system("dw4")
    other = kind(system, kind.settings_class())
    (tmp_path / "other").mkdir()
    save_model(tmp_path / "other", stand_in, other, system, {})
    with pytest.raises(InputError, match="spline flow"):
        sample(tmp_path / "other", tmp_path / "s", n=N, method="annealed")
    assert not (tmp_path / "s").exists()
