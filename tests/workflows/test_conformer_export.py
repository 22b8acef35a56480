"""Conformers of the shipped reference of alanine dipeptide, and of a reweighted double well."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mdtraj
import numpy as np
import pytest

from molgen.ensemble import Ensemble, EnsembleHeader, EnsembleWriter
from molgen.errors import InputError, RefusedError, UsageError
from molgen.observables.states import build_states
from molgen.observables.table import evaluate_cvs
from molgen.systems.loading import load_system
from molgen.systems.record import system_record
from molgen.systems.system import System
from molgen.trajectories.options import ReadingOptions
from molgen.trajectories.reading import read_frames
from molgen.units import thermal_energy
from molgen.workflows import reweight_conclusion
from molgen.workflows.conformer_export import conformers, plan_conformers
from molgen.workflows.reweight_settings import ReweightSettings
from molgen.workflows.reweighting import reweight


def write_ensemble(path: Path, system: System, weighted: bool = True) -> Path:
    assert system.reference_path is not None
    frames = read_frames([system.reference_path], system, ReadingOptions(stride=4))
    header = EnsembleHeader(system_record(system), system.temperature_k, "external", kind="equilibrium")
    inside = np.ones(len(frames), dtype=np.bool_)
    rows = Ensemble(np.asarray(frames.positions), None, None, frames.log_weight if weighted else None, inside, header)
    with EnsembleWriter(path, header) as writer:
        writer.append(rows)
    return path


@pytest.fixture(scope="module")
def dipeptide() -> System:
    return load_system("alanine-dipeptide")


@pytest.fixture(scope="module")
def weighted(dipeptide: System, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ensemble(tmp_path_factory.mktemp("ala") / "ensemble.h5", dipeptide)


def test_the_conformers_of_alanine_dipeptide(tmp_path: Path, dipeptide: System, weighted: Path) -> None:
    result = conformers(weighted, tmp_path / "out", n=10)
    assert [row["state"] for row in result.conformers] == ["extended", "alpha_r", "alpha_l"]
    left = result.conformers[2]
    assert left["population"]["low"] < 0.0208 < left["population"]["high"]
    assert left["free_energy_kj_per_mol"]["value"] == pytest.approx(
        thermal_energy(300.0) * np.log(result.conformers[0]["population"]["value"] / left["population"]["value"])
    )
    assert left["few_samples"] == (left["ess"] < 100.0)
    assert result.remaining_population == pytest.approx(0.0, abs=1e-9)
    assert any("independent" in warning for warning in result.warnings)

    pdb = mdtraj.load(str(tmp_path / "out" / "conformers.pdb"))
    assert pdb.n_frames == 3
    label = build_states(dipeptide).assign(evaluate_cvs(dipeptide, np.asarray(pdb.xyz, dtype=np.float64)))
    names = build_states(dipeptide).names
    assert [names[k] for k in label] == ["extended", "alpha_r", "alpha_l"]
    assert np.max(np.abs(pdb.xyz)) < 1.0
    text = (tmp_path / "out" / "conformers.pdb").read_text()
    assert f"MODEL 3 c3 p {left['population']['value']:.4f} [" in text
    rows = list(csv.DictReader((tmp_path / "out" / "conformers.csv").read_text().splitlines()))
    assert [float(row["population"]) for row in rows] == [row["population"]["value"] for row in result.conformers]
    assert rows[2]["where"] == left["where"]
    stored = json.loads((tmp_path / "out" / "conformers.json").read_text())
    assert stored["conformers"] == [dict(row) for row in result.conformers]


def test_only_as_many_as_asked_and_the_rest_is_said(tmp_path: Path, weighted: Path) -> None:
    result = conformers(weighted, tmp_path / "one.pdb", n=1)
    assert (len(result.conformers), result.found) == (1, 3)
    assert result.remaining_population == pytest.approx(1.0 - result.conformers[0]["population"]["value"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.csv", "one.json", "one.pdb"]
    with pytest.raises(InputError, match=r"one\.pdb exists already"):
        conformers(weighted, tmp_path / "one.pdb", n=1)
    before = (tmp_path / "one.pdb").read_bytes()
    conformers(weighted, tmp_path / "one.pdb", n=1, force=True)
    assert (tmp_path / "one.pdb").read_bytes() == before


def test_what_cannot_give_conformers_is_refused_and_nothing_is_written(tmp_path: Path, dipeptide: System) -> None:
    bare = replace(dipeptide, definition=dipeptide.definition.model_copy(update={"cv": (), "state": ()}))
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="no torsion among its CVs"):
        conformers(write_ensemble(tmp_path / "in" / "bare.h5", bare), tmp_path / "out")
    with pytest.raises(InputError, match="carry no weights"):
        conformers(write_ensemble(tmp_path / "in" / "plain.h5", dipeptide, weighted=False), tmp_path / "out")
    with pytest.raises(UsageError, match="neither a folder nor a PDB"):
        conformers(tmp_path / "in" / "bare.h5", tmp_path / "out.xtc")
    with pytest.raises(UsageError, match="at least one"):
        conformers(tmp_path / "in" / "bare.h5", tmp_path / "out", n=0)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_a_reweighted_ensemble_has_conformers_unless_its_verdict_is_refused(
    tmp_path: Path, make_draws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reweight_conclusion, "write_report", lambda _, path: path.write_text("<html></html>"))
    settings = ReweightSettings(audit_rows=8, bootstrap_repeats=20, distances={"enabled": False})
    good = reweight(make_draws(4000).directory, tmp_path / "good", settings=settings, seed=1)
    result = conformers(good.directory, tmp_path / "out")
    populations = good.to_json()["populations"]
    assert [row["state"] for row in result.conformers] == ["left", "right"]
    for row in result.conformers:
        assert row["population"]["value"] == pytest.approx(populations[row["state"]]["value"], abs=0.01)
    assert result.verdict == good.verdict
    plan = plan_conformers(good.directory, tmp_path / "plan")
    assert (plan["draws"], plan["torsions"]) == (4000, ["x"])
    assert not (tmp_path / "plan").exists()

    bad = reweight(
        make_draws(300, 2, right=0.02).directory, tmp_path / "bad", settings=settings, seed=1, allow_refused=True
    )
    with pytest.raises(RefusedError):
        conformers(bad.directory, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
    allowed = conformers(bad.directory, tmp_path / "refused", allow_refused=True)
    assert any("refused" in warning for warning in allowed.warnings)
