"""Transition states of the double well: the right part of the Boltzmann distribution, and what is refused."""

import csv
import json
from pathlib import Path
from typing import Any

import mdtraj
import numpy as np
import pytest

from molgen.ensemble import EnsembleReader
from molgen.errors import InputError, RefusedError, UsageError
from molgen.trajectories.shards import write_shard
from molgen.workflows.committor_rates import committor_rate
from molgen.workflows.exporting import export
from molgen.workflows.reweighting import reweight
from molgen.workflows.shooting import ShootingSettings, shoot
from molgen.workflows.transition_states import transition_ensemble
from tests.fitted_wells import save_well
from tests.wells import committor, double_well, potential, weighted_frames

SYSTEM = double_well()
WIDE = 0.3
GRID = np.linspace(-2.2, 2.2, 8801)
DENSITY = np.exp(-potential(GRID))
INSIDE = np.abs(committor(GRID) - 0.5) < WIDE
SHARE = DENSITY[INSIDE].sum() / DENSITY.sum()
MEAN = (DENSITY * GRID)[INSIDE].sum() / DENSITY[INSIDE].sum()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_well(tmp_path_factory.mktemp("c") / "c")


def dynamics(path: Path, n: int = 40_000, kind: Any = "equilibrium") -> Path:
    """Independent frames at equilibrium, as if of 40 pieces of dynamics."""
    x = np.random.default_rng(1).choice(GRID, n, p=DENSITY / DENSITY.sum()).reshape(-1, 1, 1)
    write_shard(path, x, np.arange(n) * 40 // n, SYSTEM, SYSTEM.temperature_k, kind=kind)
    return path


def weighted(path: Path) -> Path:
    return weighted_frames(path, SYSTEM, 4000)


@pytest.mark.parametrize("make", [dynamics, weighted])
def test_they_are_the_boltzmann_distribution_between_two_committors(model: Path, tmp_path: Path, make: Any) -> None:
    """Five standard errors of the share and the mean, and what an error of 0.01 in q̂ moves the window's ends by."""
    result = transition_ensemble(model, [make(tmp_path / "frames.h5")], tmp_path / "ts", delta=WIDE)
    assert result.ess > 100
    assert result.share == pytest.approx(SHARE, rel=5 / np.sqrt(result.ess) + 0.05)
    spread = np.sqrt((DENSITY * (GRID - MEAN) ** 2)[INSIDE].sum() / DENSITY[INSIDE].sum())
    assert result.variables["x"]["mean"] == pytest.approx(MEAN, abs=5 * spread / np.sqrt(result.ess) + 0.01)
    assert result.variables["x"]["deviation"] == pytest.approx(spread, rel=0.15)
    rows = EnsembleReader(tmp_path / "ts" / "ensemble.h5").slice(0, 10**6)
    q = committor(rows.positions[:, 0, 0])
    assert np.abs(q - 0.5).max() < WIDE + 0.05
    assert result.frames == len(rows)
    assert 0.0 < result.uncertainty_q < 0.05
    again = transition_ensemble(model, [tmp_path / "frames.h5"], tmp_path / "ts", delta=WIDE)
    assert again == result


def test_other_commands_read_them_with_their_weights(model: Path, tmp_path: Path) -> None:
    transition_ensemble(model, [weighted(tmp_path / "frames.h5")], tmp_path / "ts", delta=WIDE)
    rows = EnsembleReader(tmp_path / "ts" / "ensemble.h5").slice(0, 10**6)
    with (tmp_path / "ts" / "transition-states.weights.csv").open() as file:
        table = list(csv.DictReader(file))
    share = np.array([float(row["weight"]) for row in table])
    assert share.sum() == pytest.approx(1.0)
    assert rows.log_weight is not None
    np.testing.assert_allclose(share, np.exp(rows.log_weight) / np.exp(rows.log_weight).sum(), rtol=1e-9)
    np.testing.assert_allclose([float(row["x"]) for row in table], rows.positions[:, 0, 0], atol=1e-6)
    written = mdtraj.load(
        str(tmp_path / "ts" / "transition-states.dcd"), top=str(tmp_path / "ts" / "transition-states.pdb")
    )
    np.testing.assert_allclose(written.xyz[:, 0, 0], rows.positions[:, 0, 0], atol=1e-5)
    found = export(tmp_path / "ts", tmp_path / "out.xtc", n=50, seed=1)
    assert (found.frames, found.source) == (50, "weighted")
    # Points are drawn in proportion to the weights; the shots are no ground for a rate.
    settings = ShootingSettings(pairs=1, batch=1000, limit_ps=1000.0)
    shots = shoot(SYSTEM, [tmp_path / "ts"], tmp_path / "shots", points=200, settings=settings, seed=1)
    assert 0.3 < shots.reached_b / shots.shots < 0.7
    with pytest.raises(InputError, match="a part of the target only"):
        committor_rate(shots.directory)
    with pytest.raises(InputError, match="holds a part of an ensemble"):
        reweight(tmp_path / "ts" / "ensemble.h5", tmp_path / "result")


def test_what_is_no_boltzmann_sample_or_too_little_is_refused(model: Path, tmp_path: Path) -> None:
    hot = dynamics(tmp_path / "hot.h5", 1000, "explore")
    with pytest.raises(InputError, match="no Boltzmann sample: explore frames"):
        transition_ensemble(model, [hot], tmp_path / "ts")
    few = dynamics(tmp_path / "few.h5", 2000)
    with pytest.raises(RefusedError, match="effective samples, fewer than 100"):
        transition_ensemble(model, [few], tmp_path / "ts", delta=WIDE)
    with pytest.raises(RefusedError, match="No frame with any weight"):
        transition_ensemble(
            model, [dynamics(tmp_path / "two.h5", 40)], tmp_path / "ts", delta=0.001, allow_refused=True
        )
    with pytest.raises(UsageError, match="No committor is within"):
        transition_ensemble(model, [few], tmp_path / "ts", delta=0.7)
    with pytest.raises(UsageError, match="no format to write"):
        transition_ensemble(model, [few], tmp_path / "ts", ending="mp4")
    assert not (tmp_path / "ts").exists()
    allowed = transition_ensemble(model, [few], tmp_path / "ts", delta=WIDE, allow_refused=True)
    assert allowed.verdict == "refused"


def test_the_command_prints_what_was_written_and_exits_4_where_it_is_refused(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from molgen_cli.main import run

    frames = str(weighted(tmp_path / "frames.h5"))

    def call(*options: str) -> tuple[int, str]:
        arguments = ["transition-states", str(model), frames, "-o", str(tmp_path / "ts"), *options]
        monkeypatch.setattr("sys.argv", ["molgen", "committor", *arguments])
        with pytest.raises(SystemExit) as caught:
            run()
        return int(caught.value.code or 0), capsys.readouterr().out

    assert call("--delta", "0.001")[0] == 4
    assert not (tmp_path / "ts").exists()
    code, text = call("--delta", "0.2", "--format", "xtc", "--json")
    assert code == 0
    assert json.loads(text)["files"][:2] == ["ensemble.h5", "transition-states.xtc"]
    code, text = call("--delta", "0.2", "--format", "xtc")
    assert (code, "transition-states.xtc" in text, "caution" in text) == (0, True, True)
