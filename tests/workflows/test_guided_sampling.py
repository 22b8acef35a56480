"""`sample --bias` end to end: what the file says of the bias, and a reweighting that knows how it was drawn."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tables
import torch

from molgen.energies.counter import EvaluationCounter, Purpose
from molgen.ensemble import EnsembleReader, EnsembleWriter
from molgen.errors import InputError, PartialError, UsageError
from molgen.models.artifact import load_model, save_model
from molgen.models.diffusion import Diffusion, DiffusionSettings
from molgen.models.flow_matching import FlowMatching, FlowMatchingSettings
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.networks.equivariant import EquivariantSettings
from molgen.systems.loading import load_system
from molgen.trajectories.shards import write_shard
from molgen.workflows import reweight_conclusion
from molgen.workflows.evaluation import evaluate
from molgen.workflows.reweight_model import find_model, log_density
from molgen.workflows.reweight_settings import ReweightSettings
from molgen.workflows.reweighting import reweight
from molgen.workflows.sampling import SamplingSettings, plan_sampling, sample

LINE = "linear(rg, slope=1.2 kT/nm)"
SETTINGS = SamplingSettings().with_overrides(["guidance.refine=1"])
FEW = ReweightSettings(audit_rows=8, bootstrap_repeats=20, distances={"enabled": False})
NETWORK = EquivariantSettings(layers=1, scalars=8, vectors=4, radial=8, hidden=8)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained flow of dw4, as wide as the lattice it starts from: a normal distribution."""
    directory, system = tmp_path_factory.mktemp("model"), load_system("dw4")
    flow = FlowMatching(system, FlowMatchingSettings(network=NETWORK, steps=2), torch.Generator().manual_seed(1))
    flow.fit(torch.as_tensor(system.positions)[None])
    save_model(directory, "flow-matching", flow, system, {})
    return directory


def test_the_header_says_how_and_reweighting_recomputes_the_guided_density(model: Path, tmp_path: Path) -> None:
    result = sample(model, tmp_path / "out", n=80, bias=LINE, settings=SETTINGS, seed=3)
    assert (result.bias, result.method) == ("linear(rg, slope=1.2 kT/nm)", "guided")
    reader = EnsembleReader(tmp_path / "out" / "ensemble.h5")
    assert reader.header.bias == {"text": LINE, "method": "guided", "guidance": SETTINGS.guidance.model_dump()}
    (rows,) = reader.chunks(100)
    assert rows.log_q is not None
    plain = load_model(model).model.log_prob(torch.as_tensor(rows.positions)).numpy()
    assert np.abs(plain - rows.log_q).max() > 0.2
    record = reweight(tmp_path / "out", tmp_path / "result", seed=1, allow_refused=True).record
    checks = {check["name"]: check for check in record["audit"]["checks"]}
    assert checks["log_q"]["passed"]
    assert record["audit"]["passed"]


def test_guided_windows_are_weighed_by_the_density_of_both(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reweight_conclusion, "write_report", lambda _, path: path.write_text("<html></html>"))
    lines = (LINE, "linear(rg, slope=-1.2 kT/nm)")
    paths = [tmp_path / "pulled", tmp_path / "pushed"]
    for number, (path, line) in enumerate(zip(paths, lines, strict=True)):
        sample(model, path, n=12, bias=line, settings=SETTINGS, seed=number)
    record = reweight(paths, tmp_path / "result", settings=FEW, seed=1, allow_refused=True).record
    assert record["method"] == "deterministic mixture"
    assert record["audit"]["passed"], record["audit"]
    readers = [EnsembleReader(path / "ensemble.h5") for path in paths]
    densities = [log_density(find_model(*item, None)) for item in zip(paths, [r.header for r in readers], strict=True)]
    positions = np.concatenate([reader.slice(0, 12).positions for reader in readers])
    expected = np.logaddexp(*(density(positions) for density in densities)) - np.log(2.0)
    with tables.open_file(str(tmp_path / "result" / "weights.h5")) as handle:
        assert handle.root.log_q[:] == pytest.approx(expected, abs=1e-3)
    sample(model, tmp_path / "again", n=12, bias=lines[1], settings=SETTINGS, seed=0)
    with pytest.raises(InputError, match="the same seed"):
        reweight([paths[0], tmp_path / "again"], tmp_path / "no", seed=1)


def test_a_forgotten_or_unknown_bias_is_caught(model: Path, tmp_path: Path) -> None:
    sample(model, tmp_path / "out", n=40, bias=LINE, settings=SETTINGS, seed=3)
    file = tmp_path / "out" / "ensemble.h5"
    (rows,) = EnsembleReader(file).chunks(100)
    for bias, name in ((None, "forgotten"), ({"text": LINE, "method": "annealed"}, "unknown")):
        folder = tmp_path / name
        shutil.copytree(tmp_path / "out", folder)
        header = replace(rows.header, bias=bias)
        (folder / "ensemble.h5").unlink()
        with EnsembleWriter(folder / "ensemble.h5", header) as writer:
            writer.append(replace(rows, header=header))
    record = reweight(tmp_path / "forgotten", tmp_path / "one", seed=1, allow_refused=True).record
    assert record["verdict"] == "refused"
    assert not {check["name"]: check["passed"] for check in record["audit"]["checks"]}["log_q"]
    with pytest.raises(InputError, match="by 'annealed', whose density is not known"):
        reweight(tmp_path / "unknown", tmp_path / "two", seed=1)


def test_the_bias_is_part_of_the_run(model: Path, tmp_path: Path) -> None:
    sample(model, tmp_path / "out", n=20, bias=LINE, settings=SETTINGS, seed=1)
    assert sample(model, tmp_path / "out", n=20, bias=LINE, settings=SETTINGS).bias == LINE
    with pytest.raises(InputError, match="bias"):
        sample(model, tmp_path / "out", n=20, settings=SETTINGS)
    plan = plan_sampling(model, n=20, bias=LINE)
    assert (plan["bias"], plan["method"]) == (LINE, "guided")


def test_what_cannot_be_done_is_said_before_anything_is_written(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="no collective variable 'rq'"):
        sample(model, out, n=5, bias="linear(rq, slope=1 kT/nm)")
    with pytest.raises(UsageError, match="no method 'guide'") as caught:
        sample(model, out, n=5, bias=LINE, method="guide")
    assert "guided" in caught.value.hint
    with pytest.raises(UsageError, match="no bias to apply"):
        sample(model, out, n=5, method="guided")
    system = load_system("double-well")
    flow = SplineFlow(system, SplineFlowSettings(hidden=8, spline=1), torch.Generator().manual_seed(1))
    save_model(tmp_path, "spline", flow, system, {})
    with pytest.raises(InputError, match="no velocity field"):
        sample(tmp_path, out, n=5, bias=f"linear({system.definition.cv[0].name}, slope=1 kT)", method="guided")
    with pytest.raises(InputError, match="Only a spline flow"):
        sample(model, out, n=5, bias=LINE, method="latent")
    assert not out.exists()


def test_the_score_of_an_untrained_denoiser_is_that_of_a_normal(tmp_path: Path) -> None:
    """Its network is zero: frames of spread a look normal, and the score with noise σ is −x/(a² (1 + (σ/a)²))."""
    system = load_system("dw4")
    flow = Diffusion(system, DiffusionSettings(network=NETWORK, steps=2), torch.Generator().manual_seed(1))
    flow.fit(torch.as_tensor(system.positions)[None])
    save_model(tmp_path, "diffusion", flow, system, {})
    x = system.positions + np.random.default_rng(1).normal(scale=0.3, size=(60, 4, 2))
    write_shard(tmp_path / "frames.h5", x, np.arange(60), system, system.temperature_k)
    rows = evaluate(tmp_path, [tmp_path / "frames.h5"], forces=True, noise=[0.5, 5.0]).record["rows"]
    assert [row["noise"] for row in rows] == [0.5, 5.0]
    square = float(flow.scale) ** 2
    exact = [1.0 / (square + noise**2) for noise in (0.5, 5.0)]
    assert rows[1]["slope"] / rows[0]["slope"] == pytest.approx(exact[1] / exact[0], rel=1e-4)
    without = evaluate(tmp_path, [tmp_path / "frames.h5"], forces=True).record["rows"]
    assert len({row["noise"] for row in without}) == 3


def test_evaluating_a_velocity_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="flow-matching model learns a velocity field"):
        evaluate(model, [tmp_path], tmp_path / "out", forces=True)
    assert not (tmp_path / "out").exists()


def test_auto_acts_on_a_guided_flow(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The profile of the radius of gyration from 300 weighted draws; the energy is that of the model itself."""
    settings = SETTINGS.with_overrides(["flattening.pilot=300", "flattening.bins=8"])
    # Of dw4 itself an untrained model says nothing.
    with pytest.raises(PartialError, match="say nothing of the free energy along rg"):
        sample(model, tmp_path / "none", n=20, bias="auto:rg", settings=settings, seed=1)
    width = float(load_model(model).model.scale)  # type: ignore[attr-defined]

    class Springs:
        counter = EvaluationCounter()

        def reduced(self, positions: np.ndarray, *, purpose: Purpose) -> np.ndarray:
            self.counter.add(purpose, len(positions))
            return np.asarray(0.5 * (positions**2).sum((1, 2)) / width**2)

    monkeypatch.setattr("molgen.workflows.sampling_bias.open_energy", lambda *_, **__: Springs())
    result = sample(model, tmp_path / "out", n=20, bias="auto:rg", settings=settings, seed=1)
    assert (result.bias, result.method) == ("auto:rg", "guided")
    assert result.evaluations == 300
    assert any("velocity field" in note for note in result.notes)
    header = EnsembleReader(tmp_path / "out" / "ensemble.h5").header
    assert header.bias is not None
    assert header.bias["asked"] == "auto:rg"
    assert header.bias["text"].startswith("grid(rg, low=")
    assert header.evaluations == {"sampling": result.evaluations}


def test_json_of_the_manifest_holds_the_bias(model: Path, tmp_path: Path) -> None:
    sample(model, tmp_path / "out", n=5, bias=LINE, settings=SETTINGS, seed=1)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["config"]["bias"] == LINE
    assert manifest["config"]["settings"]["guidance"]["refine"] == 1
