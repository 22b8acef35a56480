"""Ensembles that are not what they say: `reweight` refuses each, and a reason names what is wrong."""

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from molgen.ensemble import Ensemble, EnsembleReader, EnsembleWriter
from molgen.errors import InputError
from molgen.models.artifact import save_model
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.systems.loading import load_system
from molgen.workflows import reweight_conclusion
from molgen.workflows.reweight_settings import ReweightSettings
from molgen.workflows.reweighting import reweight
from molgen.workflows.sampling import sample

QUICK = ReweightSettings(bootstrap_repeats=20, distances={"enabled": False})
Spoil = Callable[[Ensemble], Ensemble]


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reweight_conclusion, "write_report", lambda _, path: path.write_text("<html></html>"))


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draws of a normal distribution over both wells, whose guard saw nothing wrong: a sound ensemble."""
    folder, system = tmp_path_factory.mktemp("well"), load_system("double-well")
    flow = SplineFlow(system, SplineFlowSettings(affine=0, spline=0, hidden=4), torch.Generator().manual_seed(1))
    flow.fit(torch.tensor([[[-0.9]], [[0.9]]], dtype=torch.float64))
    flow.whitening.scale.fill_(0.9)
    (folder / "model").mkdir()
    guard = [{"name": name, "passed": True, "reason": ""} for name in ("left", "right")]
    save_model(folder / "model", "spline", flow, system, {"evaluations": {}, "states": guard})
    sample(folder / "model", folder / "draws", n=10_000, seed=1)
    return folder / "draws"


@pytest.fixture(scope="module")
def peptide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draws of an untrained flow of alanine dipeptide that turns all torsions freely."""
    folder, molecule = tmp_path_factory.mktemp("peptide"), load_system("alanine-dipeptide-vacuum")
    flow = SplineFlow(molecule, SplineFlowSettings(hidden=8, spline=1), torch.Generator().manual_seed(2))
    rng = np.random.default_rng(3)
    noise = rng.normal(scale=0.003, size=(600, *molecule.positions.shape))
    y = flow.chart.encode(flow.chart.canonical(torch.as_tensor(molecule.positions + noise)))
    circular = flow.chart.circular
    y[:, circular] = torch.as_tensor(rng.uniform(-math.pi, math.pi, (600, len(circular))))
    flow.fit(flow.chart.decode(y)[0])
    (folder / "model").mkdir()
    save_model(folder / "model", "spline", flow, molecule, {"evaluations": {}})
    sample(folder / "model", folder / "draws", n=300, seed=1)
    return folder / "draws"


def spoiled(directory: Path, place: Path, spoil: Spoil) -> Path:
    """A copy of a sample run whose rows are changed."""
    shutil.copytree(directory, place)
    reader = EnsembleReader(directory / "ensemble.h5")
    rows = spoil(reader.slice(0, len(reader)))
    with EnsembleWriter(place / "ensemble.h5", rows.header) as writer:
        writer.append(rows)
    return place


def weighed(directory: Path, output: Path) -> dict[str, Any]:
    return dict(reweight(directory, output, settings=QUICK, seed=1, allow_refused=True).record)


def failed(record: dict[str, Any]) -> set[str]:
    return {check["name"] for check in record["audit"]["checks"] if not check["passed"]}


def rows_of(rows: Ensemble, kept: np.ndarray) -> Ensemble:
    assert rows.log_q is not None
    return replace(rows, positions=rows.positions[kept], log_q=rows.log_q[kept], in_domain=rows.in_domain[kept])


def thinned(rows: Ensemble) -> Ensemble:
    """A tenth of the right well left: every row that is there is in order."""
    return rows_of(rows, (rows.positions[:, 0, 0] < 0.0) | (np.arange(len(rows)) % 10 == 0))


def chosen_twice(rows: Ensemble) -> Ensemble:
    left = np.flatnonzero(rows.positions[:, 0, 0] < 0.0)
    return rows_of(rows, np.sort(np.concatenate([np.arange(len(rows)), left[:1000]])))


def permuted_energies(rows: Ensemble) -> Ensemble:
    x = rows.positions[:, 0, 0]
    u = 5.0 * (x**2 - 1.0) ** 2 + 0.5 * x
    return replace(rows, reduced_energy=np.random.default_rng(1).permutation(u))


def permuted_densities(rows: Ensemble) -> Ensemble:
    assert rows.log_q is not None
    return replace(rows, log_q=np.random.default_rng(1).permutation(rows.log_q))


def hotter(rows: Ensemble) -> Ensemble:
    return replace(rows, header=replace(rows.header, temperature_k=rows.header.temperature_k + 30.0))


def test_the_sound_ensemble_is_reliable(well: Path, tmp_path: Path) -> None:
    record = weighed(well, tmp_path / "r")
    assert record["verdict"] == "reliable", record["reasons"]
    assert "latent numbers" in {check["name"] for check in record["audit"]["checks"]}


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (thinned, "latent numbers"),
        (chosen_twice, "latent numbers"),
        (permuted_energies, "stored energy"),
        (permuted_densities, "log_q"),
        (hotter, "temperature"),
    ],
)
def test_rows_that_are_missing_repeated_exchanged_or_of_another_temperature(
    well: Path, tmp_path: Path, spoil: Spoil, named: str
) -> None:
    record = weighed(spoiled(well, tmp_path / "draws", spoil), tmp_path / "r")
    assert record["verdict"] == "refused"
    assert named in failed(record)
    assert any("audit failed" in reason and named in reason for reason in record["reasons"])


def test_a_state_removed_is_named(well: Path, tmp_path: Path) -> None:
    def removed(rows: Ensemble) -> Ensemble:
        return rows_of(rows, rows.positions[:, 0, 0] < 0.0)

    record = weighed(spoiled(well, tmp_path / "draws", removed), tmp_path / "r")
    assert record["verdict"] == "refused"
    assert any("No draw with any weight is in state right" in reason for reason in record["reasons"])
    assert "latent numbers" in failed(record)


def test_energies_of_an_interrupted_run_that_were_exchanged(well: Path, tmp_path: Path) -> None:
    """The shards that a resumed run finds are compared with energies computed afresh."""
    weighed(well, tmp_path / "r")
    for path in (tmp_path / "r" / "energies").glob("*.npy"):
        np.save(path, np.load(path)[::-1], allow_pickle=False)
    for name in ("manifest.json", "result.json"):
        text = (tmp_path / "r" / name).read_text()
        (tmp_path / "r" / name).write_text(text.replace('"status": "complete"', '"status": "running"'))
    record = weighed(well, tmp_path / "r")
    assert "energy" in failed(record)
    assert record["verdict"] == "refused"


def test_a_molecules_mirror_images_units_and_measure(peptide: Path, tmp_path: Path) -> None:
    def mirrored(rows: Ensemble) -> Ensemble:
        return replace(rows, positions=rows.positions * np.array([-1.0, 1.0, 1.0]))

    def angstrom(rows: Ensemble) -> Ensemble:
        return replace(rows, positions=10.0 * rows.positions)

    def in_internal_coordinates(rows: Ensemble) -> Ensemble:
        from molgen.models.artifact import load_model

        flow: Any = load_model(peptide.parent / "model").model
        log_volume = flow.place(*flow.standardise(torch.as_tensor(rows.positions)))[1].detach().numpy()
        return replace(rows, log_q=rows.log_q + log_volume - log_volume.mean())

    for number, (spoil, named) in enumerate(
        ((mirrored, "domain"), (angstrom, "log_q"), (in_internal_coordinates, "jacobian"))
    ):
        record = weighed(spoiled(peptide, tmp_path / f"draws-{number}", spoil), tmp_path / f"r-{number}")
        assert record["verdict"] == "refused"
        assert named in failed(record), (named, record["audit"])


def test_another_molecules_model_is_turned_down(well: Path, peptide: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="particles"):
        reweight(well, tmp_path / "r", model=peptide.parent / "model", settings=QUICK, seed=1)
    assert not (tmp_path / "r" / "result.json").exists()
