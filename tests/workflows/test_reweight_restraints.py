"""Reweighting under measured averages, end to end on the double well."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molgen.errors import InputError, RefusedError
from molgen.workflows import reweight_conclusion, reweight_model
from molgen.workflows.reweight_settings import ReweightSettings
from molgen.workflows.reweighting import reweight

GRID = np.linspace(-3.0, 3.0, 60_001)
POTENTIAL = 5.0 * (GRID**2 - 1.0) ** 2 + 0.5 * GRID
SETTINGS = ReweightSettings(shard_rows=8000, distances={"enabled": False}, bootstrap_repeats=20, audit_rows=8)


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reweight_conclusion, "write_report", lambda _, path: path.write_text("<html></html>"))

    def load(path: Path) -> Any:
        raise InputError(f"{path} holds no model.")

    monkeypatch.setattr(reweight_model, "_load", load)


def exact(tilt: float) -> tuple[float, float]:
    """Mean of x and population of x >= 0 under exp(-V + tilt x)."""
    density = np.exp(-POTENTIAL + tilt * GRID)
    density /= density.sum()
    return float(density @ GRID), float(density[GRID >= 0.0].sum())


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(("name,mean,error,column", *lines)) + "\n")
    return path


def test_data_of_a_known_tilt_bring_the_populations_it_has(tmp_path: Path, make_draws: Callable[..., Any]) -> None:
    """The mean of x under exp(-V + x) to ±0.002: the population follows, exact but for sampling, 4 standard errors."""
    mean, population = exact(1.0)
    given = table(tmp_path / "o.csv", f"x,{mean!r},0.002,")
    draws = make_draws()
    record = reweight(draws.directory, tmp_path / "r", restrain=given, settings=SETTINGS, seed=1).to_json()
    found = record["restraints"]
    right = found["populations"]["right"]
    assert right["before"] == {key: record["populations"]["right"][key] for key in ("value", "low", "high")}
    assert right["after"]["value"] == pytest.approx(population, abs=(right["after"]["high"] - right["after"]["low"]))
    assert right["after"]["high"] - right["after"]["low"] < 0.02
    assert (found["chi2_before"] > 1000, found["chi2_after"] < 0.01) == (True, True)
    assert found["observables"]["x"]["lambda"] == pytest.approx(-1.0, abs=0.05)
    assert found["likelihood"] is None
    log_weight = np.load(tmp_path / "r" / "restrained-log-weights.npy")
    assert np.exp(log_weight).sum() == pytest.approx(1.0)
    assert found["ess"] == pytest.approx(1.0 / np.sum(np.exp(log_weight) ** 2))
    assert record["estimates"]["restrained:right"]["verdict"] == right["verdict"] == "caution"
    assert json.loads((tmp_path / "r" / "result.json").read_text()) == record


def test_columns_of_the_user_and_states_by_held_out_observables(tmp_path: Path, make_draws: Callable[..., Any]) -> None:
    """x², x³ and the population of the state, all of the same tilt, to about their sampling errors."""
    draws = make_draws()
    x = np.array(draws.loaded.model.sample(16_000, 1)[:, 0, 0])
    np.savez(tmp_path / "v.npz", square=x**2, cube=x**3)
    density = np.exp(-POTENTIAL + GRID)
    density /= density.sum()
    given = table(
        tmp_path / "o.csv",
        f"square,{float(density @ GRID**2)!r},0.01,",
        f"third moment,{float(density @ GRID**3)!r},0.01,cube",
        f"right,{exact(1.0)[1]!r},0.01,population(right)",
    )
    values = tmp_path / "v.npz"
    record = reweight(
        draws.directory, tmp_path / "r", restrain=given, observables=values, settings=SETTINGS, seed=1
    ).to_json()["restraints"]
    assert "held-out" in record["theta_rule"]
    assert len(record["held_out"]["theta"]) == len(record["held_out"]["chi2"]) == 18
    right = record["populations"]["right"]["after"]
    assert right["low"] < exact(1.0)[1] < right["high"]
    assert record["chi2_after"] < 0.1 * record["chi2_before"]


def test_theta_may_be_given(tmp_path: Path, make_draws: Callable[..., Any]) -> None:
    draws = make_draws(n=3000)
    given = table(tmp_path / "o.csv", "x,0.0,0.05,")
    before = exact(0.0)[0]
    settings = SETTINGS.with_overrides(["restraints.theta=1e6"])
    record = reweight(draws.directory, tmp_path / "r", restrain=given, settings=settings, seed=1).to_json()
    found = record["restraints"]
    assert (found["theta"], found["theta_rule"]) == (1e6, "given")
    assert found["observables"]["x"]["after"]["value"] == pytest.approx(before, abs=0.1)
    assert found["relative_entropy"] < 1e-3


def test_a_mean_outside_of_the_draws_is_refused_and_the_rest_stands(
    tmp_path: Path, make_draws: Callable[..., Any]
) -> None:
    draws = make_draws(n=3000)
    given = table(tmp_path / "o.csv", "x,4.0,0.1,")
    with pytest.raises(RefusedError, match="x was measured as 4, outside of"):
        reweight(draws.directory, tmp_path / "r", restrain=given, settings=SETTINGS, seed=1)
    record = json.loads((tmp_path / "r" / "result.json").read_text())
    assert record["restraints"]["verdict"] == "refused"
    assert record["estimates"]["population:right"]["verdict"] == "caution"
    assert record["populations"]["right"]["value"] > 0.0
    assert not (tmp_path / "r" / "restrained-log-weights.npy").exists()


def test_weights_worth_next_to_nothing_are_refused(tmp_path: Path, make_draws: Callable[..., Any]) -> None:
    """A mean at the edge of the draws is met by a handful of them."""
    draws = make_draws(n=3000)
    given = table(tmp_path / "o.csv", "x,1.6,0.01,")
    record = reweight(draws.directory, tmp_path / "r", restrain=given, settings=SETTINGS, seed=1, allow_refused=True)
    found = record.to_json()["restraints"]
    assert found["ess"] < 100
    assert (found["verdict"], record.verdict) == ("refused", "refused")
    assert any(reason.startswith("Under the restraints:") for reason in found["reasons"])


def test_the_data_speak_for_the_force_field_they_came_from(tmp_path: Path, make_draws: Callable[..., Any]) -> None:
    """Mean of x of the other force field, ±0.05: -½(0 - ((m₁ - m₂)/0.05)²) nats for it, but for sampling errors."""
    other = tmp_path / "system.toml"
    other.write_text(
        'name = "other"\n[analytic]\npotential = "double-well"\nparameters = { barrier = 5.0, tilt = 0.2 }\n'
    )
    before, after = exact(0.0)[0], exact(0.3)[0]
    given = table(tmp_path / "o.csv", f"x,{after!r},0.05,")
    draws = make_draws()
    record = reweight(draws.directory, tmp_path / "r", system=other, restrain=given, settings=SETTINGS, seed=1)
    found = record.to_json()["restraints"]["likelihood"]
    expected = 0.5 * ((before - after) / 0.05) ** 2
    assert expected > 3.0
    assert found["log_bayes_factor"] == pytest.approx(expected, abs=4 * found["error"] + 0.2)
    assert (found["system"], found["drawn_system"]) == ("other", "double-well")
    assert found["chi2"] < found["chi2_drawn"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("y,1,0.1,", "neither a collective variable nor a column"),
        ("x,1,,", "x has no error"),
        ("x,1,0,", "not above zero"),
        ("x,1,0.1,population(top)", "no state 'top'"),
    ],
)
def test_bad_restraints_write_nothing(tmp_path: Path, make_draws: Callable[..., Any], line: str, message: str) -> None:
    draws = make_draws(n=100)
    with pytest.raises(InputError, match=message):
        reweight(draws.directory, tmp_path / "r", restrain=table(tmp_path / "o.csv", line), settings=SETTINGS, seed=1)
    assert not (tmp_path / "r").exists()


def test_bad_columns_write_nothing(tmp_path: Path, make_draws: Callable[..., Any]) -> None:
    draws = make_draws(n=100)
    given = table(tmp_path / "o.csv", "mine,1,0.1,")
    np.savez(tmp_path / "short.npz", mine=np.zeros(99))
    np.savez(tmp_path / "double.npz", mine=np.zeros(100), x=np.zeros(100))
    for name, message in (("short.npz", "99 values, the ensemble has 100"), ("double.npz", "'x' is a column of yours")):
        with pytest.raises(InputError, match=message):
            values = tmp_path / name
            reweight(draws.directory, tmp_path / "r", restrain=given, observables=values, settings=SETTINGS, seed=1)
    with pytest.raises(InputError, match="Nothing is restrained"):
        reweight(draws.directory, tmp_path / "r", observables=tmp_path / "short.npz", settings=SETTINGS, seed=1)
    assert not (tmp_path / "r").exists()
