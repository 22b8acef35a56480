"""Another temperature and another force field as the target, on the double well with exact answers."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molgen.errors import InputError
from molgen.systems.definition import CVSection
from molgen.systems.loading import data_root, load_system
from molgen.systems.system import MolecularSystem
from molgen.workflows import reweight_conclusion, reweight_model
from molgen.workflows.reweight_settings import ReweightSettings
from molgen.workflows.reweight_target import target_system
from molgen.workflows.reweighting import plan_reweighting, reweight
from tests.windows import Workshop, harmonic

GRID = np.linspace(-3.0, 3.0, 60_001)
SETTINGS = ReweightSettings(shard_rows=8000, distances={"enabled": False}, bootstrap_repeats=20, audit_rows=8)
OTHER = """
name = "tilted-well"
[analytic]
potential = "double-well"
parameters = {{ barrier = {barrier}, tilt = {tilt} }}
"""


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reweight_conclusion, "write_report", lambda _, path: path.write_text("<html></html>"))

    def load(path: Path) -> Any:
        raise InputError(f"{path} holds no model.")

    monkeypatch.setattr(reweight_model, "_load", load)


def right(barrier: float, tilt: float) -> float:
    """The exact population of x >= 0."""
    density = np.exp(-barrier * (GRID**2 - 1.0) ** 2 - tilt * GRID)
    return float(density[GRID >= 0.0].sum() / density.sum())


def other(tmp_path: Path, barrier: float = 5.5, tilt: float = 0.8, **more: str) -> Path:
    path = tmp_path / "system.toml"
    path.write_text(OTHER.format(barrier=barrier, tilt=tilt) + "".join(more.values()))
    return path


def test_populations_are_those_of_the_other_and_differences_those_of_both(
    tmp_path: Path, make_draws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within 4 standard errors, those of ΔΔF its own, which the draws under both have in common."""
    draws = make_draws()
    monkeypatch.setattr(reweight_model, "_load", lambda _: draws.loaded)
    out = tmp_path / "result"
    record = reweight(draws.directory, out, system=other(tmp_path), settings=SETTINGS, seed=1).to_json()
    before, after = right(5.0, 0.5), right(5.5, 0.8)
    assert record["audit"]["passed"], record["audit"]
    assert record["system"] == "tilted-well"
    found = record["populations"]["right"]
    assert found["value"] == pytest.approx(after, abs=4 * (found["high"] - found["low"]) / 3.92)
    target = record["target"]
    assert (target["system"], target["drawn_system"]) == ("tilted-well", "double-well")
    state = target["states"]["right"]
    assert state["before"]["value"] == pytest.approx(before, abs=0.02)
    assert state["after"]["value"] == found["value"]
    for item, exact in (
        (state, -np.log(after / before)),
        (target["pairs"]["right->left"], np.log(after / (1 - after)) - np.log(before / (1 - before))),
    ):
        error = (item["high"] - item["low"]) / 3.92
        assert 0.0 < error < 0.03
        assert item["value"] == pytest.approx(exact, abs=4 * error)
        assert item["unit"] == "kT"
    assert record["estimates"]["shift:right"]["verdict"] == state["verdict"]
    assert record["evaluations"]["reweighting"] == 2 * 16_000 + 8
    assert len(list((out / "energies-drawn").iterdir())) == 2
    again = reweight(draws.directory, out, system=other(tmp_path), settings=SETTINGS, seed=1).to_json()
    assert again == record == json.loads((out / "result.json").read_text())
    with pytest.raises(InputError, match="system"):
        reweight(draws.directory, out, system=other(tmp_path, 4.5), settings=SETTINGS, seed=1)


def test_a_constant_in_the_energy_and_the_same_force_field_change_nothing(
    tmp_path: Path, make_draws: Callable[..., Any]
) -> None:
    draws = make_draws(n=3000)
    same = reweight(draws.directory, tmp_path / "a", system=other(tmp_path, 5.0, 0.5), settings=SETTINGS, seed=1)
    plain = reweight(draws.directory, tmp_path / "b", settings=SETTINGS, seed=1)
    assert same.record["populations"] == plain.record["populations"]
    for item in same.record["target"]["states"].values():
        assert abs(item["value"]) < 1e-12
        assert item["high"] - item["low"] < 1e-12


def test_a_target_out_of_reach_is_refused_by_its_weights(tmp_path: Path, make_draws: Callable[..., Any]) -> None:
    """A well of 60 kT is far narrower than the draws: what is left in one state is worth too few."""
    draws = make_draws(n=2000, width=0.6)
    system = other(tmp_path, 60.0, 8.0)
    record = reweight(draws.directory, tmp_path / "r", system=system, settings=SETTINGS, seed=1, allow_refused=True)
    assert record.verdict == "refused"
    assert record.to_json()["estimates"]["shift:right"]["verdict"] == "refused"


def test_what_cannot_be_weighed_to_is_refused_and_nothing_is_written(
    tmp_path: Path, make_draws: Callable[..., Any]
) -> None:
    draws = make_draws(n=100)
    for system, message in (
        ("muller-brown", "2 dimensions"),
        ("alanine-dipeptide", "22 particles"),
        (str(tmp_path / "none.toml"), "no file"),
        (other(tmp_path, cv='[[cv]]\nname = "y"\nposition = 1\n'), "no coordinate"),
    ):
        with pytest.raises(InputError, match=message):
            reweight(draws.directory, tmp_path / "r", system=system, settings=SETTINGS, seed=1)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("windows", [False, True])
def test_ensembles_together_are_joined_by_what_they_are_and_weighed_to_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, windows: bool
) -> None:
    """Draws alone (a mixture) and beside windows of dynamics (MBAR): ΔΔF within 4 standard errors of the exact one.

    The windows are of the draws' own force field: taken for those of the other, their right side would weigh 12 % more.
    """
    workshop = Workshop(tmp_path)
    monkeypatch.setattr(reweight_model, "_load", workshop.load)
    paths = [workshop.draws("left", ((1.0, -1.0, 0.3),), 3000), workshop.draws("right", ((1.0, 0.8, 0.4),), 3000)]
    if windows:
        for center in (-0.9, 0.0, 0.9):
            bias, text = harmonic(center, 6.0)
            paths.append(workshop.dynamics(f"w{center:+.1f}", bias, text=text, n=1500))
    settings = SETTINGS.model_copy(update={"bootstrap_repeats": 60})
    result = reweight(paths, tmp_path / "r", system=other(tmp_path), settings=settings, seed=1, allow_refused=True)
    record = result.to_json()
    before, after = right(5.0, 0.5), right(5.5, 0.8)
    assert record["audit"]["passed"], record["audit"]
    assert (record["method"], record["system"]) == ("MBAR" if windows else "deterministic mixture", "tilted-well")
    exact_z = np.log(np.sum(np.exp(-5.5 * (GRID**2 - 1.0) ** 2 - 0.8 * GRID)) * (GRID[1] - GRID[0]))
    assert record["log_z"] == pytest.approx(exact_z, abs=0.1)
    state = record["target"]["states"]["right"]
    pair = record["target"]["pairs"]["right->left"]
    logits = [np.log(p / (1 - p)) for p in (before, after)]
    for item, exact in ((state, -np.log(after / before)), (pair, logits[1] - logits[0])):
        error = (item["high"] - item["low"]) / 3.92
        assert 0.0 < error < 0.05
        assert item["value"] == pytest.approx(exact, abs=4 * error)
    found = record["populations"]["right"]
    assert found["value"] == state["after"]["value"]
    # Apart the two errors are several times that of the difference.
    assert found["high"] - found["low"] > 0.5 * (state["high"] - state["low"]) * after
    rows = record["n"]
    assert record["evaluations"]["reweighting"] == 2 * rows + record["audit"]["rows"]
    same = reweight(paths, tmp_path / "s", system=other(tmp_path, 5.0, 0.5), settings=settings, seed=1).record
    plain = reweight(paths, tmp_path / "p", settings=settings, seed=1).record
    assert same["populations"] == plain["populations"]
    assert abs(same["target"]["states"]["right"]["value"]) < 1e-12
    assert same["target"]["states"]["right"]["high"] < 1e-6


def molecule(name: str = "alanine-dipeptide") -> MolecularSystem:
    system = load_system(name)
    assert isinstance(system, MolecularSystem)
    return system


def test_states_and_variables_are_those_of_the_draws_and_new_ones_are_added() -> None:
    drawn, vacuum = molecule(), molecule("alanine-dipeptide-vacuum")
    extra = CVSection.parse({"name": "d", "distance": [1, 18]}, source="test")
    moved = {"cv": (*vacuum.definition.cv, extra), "state": ()}
    changed = replace(vacuum, definition=vacuum.definition.model_copy(update=moved), positions=vacuum.positions + 0.001)
    target = target_system(changed, drawn)
    assert [cv.name for cv in target.definition.cv] == [*(cv.name for cv in drawn.definition.cv), "d"]
    assert target.definition.state == drawn.definition.state
    assert target.fingerprint == vacuum.fingerprint
    assert target.positions is drawn.positions
    assert target_system(None, drawn) is drawn
    other_phi = CVSection.parse({"name": "phi", "torsion": [6, 8, 14, 16]}, source="test")
    contradicting = replace(vacuum, definition=vacuum.definition.model_copy(update={"cv": (other_phi,)}))
    with pytest.raises(InputError, match="'phi' otherwise"):
        target_system(contradicting, drawn)


def test_the_temperature_is_the_targets_if_it_is_written_out(tmp_path: Path) -> None:
    drawn = molecule()
    warm = replace(drawn, definition=drawn.definition.model_copy(update={"temperature_k": 320.0}))
    folder = data_root() / "systems" / "alanine-dipeptide-vacuum"
    text = (folder / "system.toml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith(("temperature_k", "file ="))]
    bare = "\n".join(lines).replace("[topology]", f'[topology]\nfile = "{folder / "topology.pdb"}"')
    (tmp_path / "a.toml").write_text(bare)
    assert target_system(load_system(tmp_path / "a.toml"), warm).temperature_k == 320.0
    (tmp_path / "b.toml").write_text(f"temperature_k = 310\n{bare}")
    assert target_system(load_system(tmp_path / "b.toml"), warm).temperature_k == 310.0


def test_the_plan_counts_both_force_fields_and_refuses_what_the_run_would(
    tmp_path: Path, make_draws: Callable[..., Any]
) -> None:
    draws = make_draws(n=100)
    plan = plan_reweighting(draws.directory, system=other(tmp_path), settings=SETTINGS)
    assert (plan["system"], plan["energy_evaluations"]["draws"]) == ("tilted-well", 2 * 100 + 8)
    with pytest.raises(InputError, match="2 dimensions"):
        plan_reweighting(draws.directory, system="muller-brown", settings=SETTINGS)
    table = tmp_path / "o.csv"
    table.write_text("name,mean,error\nx,0.1,0.2\n")
    assert plan_reweighting(draws.directory, restrain=table, settings=SETTINGS)["restraints"] == 1
    table.write_text("name,mean,error\ny,0.1,0.2\n")
    with pytest.raises(InputError, match="neither"):
        plan_reweighting(draws.directory, restrain=table, settings=SETTINGS)
