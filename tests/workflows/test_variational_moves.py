"""Frames for the variational term of a fit, and the fit with them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molgen.committor.artifact import load_committor
from molgen.committor.fitting import FittingSettings
from molgen.committor.model import CommittorSettings
from molgen.dynamics.passage_factory import open_passages
from molgen.errors import InputError
from molgen.observables.boundary import Boundary
from molgen.rundir import read_manifest
from molgen.trajectories.options import EVERYTHING
from molgen.trajectories.shards import write_shard
from molgen.workflows import variational_moves
from molgen.workflows.committor_fitting import fit
from molgen.workflows.shooting_source import boltzmann_frames
from molgen.workflows.variational_moves import LEAST, MOST, MOVES_EACH, moves_from
from tests.wells import committor, double_well, potential, weighted_frames

SYSTEM = double_well("overdamped", 1.0)
BOUNDARY = Boundary(SYSTEM, "left", "right")
SETTINGS = FittingSettings(model=CommittorSettings(hidden=16, members=4), steps=300)


def weighted(path: Path) -> Path:
    return weighted_frames(path, SYSTEM, 2000)


def few_shots(path: Path) -> Path:
    """100 shots from somewhere else."""
    rng = np.random.default_rng(3)
    x = rng.uniform(-0.89, 0.89, 50)
    np.savez(path, positions=x.reshape(-1, 1, 1), S=rng.binomial(2, committor(x)), K=np.full(50, 2))
    return path


def dynamics() -> Any:
    return open_passages(SYSTEM, BOUNDARY, platform="numpy")


def test_a_fit_with_an_ensemble_is_another_one_and_says_so(tmp_path: Path) -> None:
    shots, frames = few_shots(tmp_path / "theirs.npz"), weighted(tmp_path / "frames.h5")
    line: dict[str, Any] = {"system": SYSTEM, "a": "left", "b": "right", "settings": SETTINGS, "seed": 3}
    plain = fit(shots, tmp_path / "plain", **line)
    helped = fit(shots, tmp_path / "helped", ensemble=[frames], **line)
    grid = np.linspace(-0.85, 0.85, 60)
    truth = committor(grid, 0.0261)
    models = [load_committor(tmp_path / name).model for name in ("plain", "helped")]
    wrong = [np.sqrt(((found.probability(grid.reshape(-1, 1, 1)) - truth) ** 2).mean()) for found in models]
    assert wrong[1] < wrong[0]
    assert plain.notes == ()
    inside = int((np.abs(np.random.default_rng(2).uniform(-1.6, 1.6, 2000)) <= 0.9).sum())
    assert helped.notes[0] == f"The variational term is of {inside} frames between the states."
    config = read_manifest(tmp_path / "helped").config
    assert (config["platform"], len(config["ensemble"][0])) == ("numpy", 64)
    assert "ensemble" not in read_manifest(tmp_path / "plain").config
    assert fit(shots, tmp_path / "helped", ensemble=[frames], **line) == helped


def test_frames_in_the_states_are_left_out_and_weights_kept(tmp_path: Path) -> None:
    found, notes = moves_from([weighted(tmp_path / "f.h5")], BOUNDARY, dynamics(), EVERYTHING, 1)
    x = found.moves.before[:, 0, 0]
    assert np.abs(x).max() <= 0.9
    np.testing.assert_allclose(found.weight, np.exp(-potential(x)) / np.exp(-potential(x)).sum(), rtol=1e-6)
    assert (found.moves.each, notes) == (MOVES_EACH, ())


def test_no_more_frames_than_are_needed_are_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST > LEAST
    monkeypatch.setattr(variational_moves, "MOST", 300)
    source = weighted(tmp_path / "f.h5")
    found, _ = moves_from([source], BOUNDARY, dynamics(), EVERYTHING, 1)
    other, _ = moves_from([source], BOUNDARY, dynamics(), EVERYTHING, 2)
    assert len(found.moves.before) == 300
    assert not np.array_equal(found.moves.before, other.moves.before)


def test_refused_weights_get_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*arguments: Any) -> Any:
        return replace(boltzmann_frames(*arguments), refused=("k-hat is 0.9.",))

    monkeypatch.setattr(variational_moves, "boltzmann_frames", refused)
    _, notes = moves_from([weighted(tmp_path / "f.h5")], BOUNDARY, dynamics(), EVERYTHING, 1)
    assert notes == ("The weights of the ensemble are refused: k-hat is 0.9.",)


def test_frames_that_will_not_do_are_refused_before_anything_is_fitted(tmp_path: Path) -> None:
    x = np.random.default_rng(1).uniform(-1.0, 1.0, 400).reshape(-1, 1, 1)
    write_shard(tmp_path / "hot.h5", x, np.arange(400) // 4, SYSTEM, SYSTEM.temperature_k, kind="explore")
    write_shard(tmp_path / "few.h5", x[:99] * 0.8, np.arange(99), SYSTEM, SYSTEM.temperature_k)
    sentences = {
        "hot.h5": "no Boltzmann sample",
        "few.h5": "99 frames .* too few for a variational term",
        "nowhere": "neither the directory of a run nor a file of frames",
        ".": "neither the directory of a run nor a file of frames",
    }
    for name, sentence in sentences.items():
        with pytest.raises(InputError, match=sentence):
            fit(
                few_shots(tmp_path / "theirs.npz"),
                tmp_path / "c",
                system=SYSTEM,
                a="left",
                b="right",
                ensemble=[tmp_path / name],
                settings=SETTINGS,
            )
        assert not (tmp_path / "c").exists()
