"""Shoot, fit, judge: the whole line on one coordinate, and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molgen.committor.artifact import DESCRIPTION, WEIGHTS, load_committor
from molgen.committor.fitting import FittingSettings
from molgen.committor.model import CommittorSettings
from molgen.errors import InputError, UsageError
from molgen.systems.loading import load_system
from molgen.trajectories.shards import write_shard
from molgen.workflows.committor_evaluation import evaluate_committor
from molgen.workflows.committor_fitting import fit
from molgen.workflows.shooting import ShootingSettings, shoot
from tests.wells import committor, double_well

SYSTEM = double_well("overdamped", 2.0)
SHOTS = ShootingSettings(pairs=5, batch=1000, limit_ps=1000.0)
FIT = FittingSettings(model=CommittorSettings(hidden=16, members=4), steps=300)


def shots(folder: Path, seed: int, system: Any = SYSTEM, points: int = 200) -> Path:
    frames = folder / f"frames{seed}.h5"
    x = np.random.default_rng(seed).uniform(-1.0, 1.0, 400).reshape(-1, 1, 1)
    write_shard(frames, x, np.arange(400) // 4, system, system.temperature_k)
    return shoot(system, [frames], folder / f"shots{seed}", points=points, settings=SHOTS, seed=seed).directory


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with shots1, shots2 and the committor of the first."""
    folder = tmp_path_factory.mktemp("line")
    shots(folder, 1)
    shots(folder, 2)
    fit(folder / "shots1", folder / "c", settings=FIT, seed=3)
    return folder


def test_a_committor_from_shots_predicts_other_shots(line: Path) -> None:
    """2,000 + 2,000 shots; bounds are more than four standard errors away (ECE 0.012, slope 0.06)."""
    loaded = load_committor(line / "c")
    x = np.linspace(-0.85, 0.85, 60)
    error = loaded.model.probability(x.reshape(-1, 1, 1)) - committor(x, 0.5826 * np.sqrt(4e-3))
    assert np.sqrt((error**2).mean()) < 0.04
    record = evaluate_committor(line / "c", line / "shots2", line / "judged", seed=1).record
    assert (record["configurations"], record["shots"], record["undecided"]) == (200, 2000, 0)
    assert abs(record["slope"] - 1.0) < 4 * record["slope_error"] < 0.5
    assert record["ece"] < 0.06
    assert record["log_loss"] - record["log_loss_floor"] < 0.03
    assert abs(record["pairs"]["correlation"]) < 4 * record["pairs"]["error"]
    assert sum(row["shots"] for row in record["reliability"]) == 2000
    again = evaluate_committor(line / "c", line / "shots2", line / "judged", seed=1).record
    assert again == record


def test_undecided_shots_are_no_ground_for_a_committor(line: Path, tmp_path: Path) -> None:
    """Of 200 points with ten shots each a quarter are undecided after 0.1 units of time."""
    short = SHOTS.model_copy(update={"limit_ps": 0.1})
    cut = shoot(SYSTEM, [line / "frames2.h5"], tmp_path / "cut", points=200, settings=short, seed=2)
    assert 0.02 < cut.undecided / cut.shots < 0.9
    with pytest.raises(InputError, match=r"\d+ of 2000 shots reached neither state.*longer --limit"):
        fit(cut.directory, tmp_path / "c", settings=FIT, seed=3)
    assert not (tmp_path / "c").exists()
    record = evaluate_committor(line / "c", cut.directory, tmp_path / "judged", seed=1).record
    assert not record["calibrated"]
    assert any("are undecided and were left out" in reason for reason in record["reasons"])


def test_somebody_elses_structures_give_the_same_committor(line: Path, tmp_path: Path) -> None:
    from molgen.workflows.shot_data import open_shots

    data = open_shots(line / "shots1", None, None, None)
    theirs = tmp_path / "theirs.npz"
    np.savez(theirs, positions=data.positions, S=data.counts.b, K=data.counts.decided, lineage=data.lineage)
    result = fit(theirs, tmp_path / "c2", system=SYSTEM, settings=FIT, seed=3)
    assert result.pair_correlation is None
    x = np.linspace(-0.8, 0.8, 20).reshape(-1, 1, 1)
    ours, other = load_committor(line / "c").model, load_committor(tmp_path / "c2").model
    assert np.array_equal(ours.logit(x), other.logit(x))


def npz(path: Path, **arrays: Any) -> Path:
    n = 30
    full = {
        "positions": np.linspace(-0.8, 0.8, n).reshape(-1, 1, 1),
        "S": np.arange(n) % 5,
        "K": np.full(n, 5),
    } | arrays
    np.savez(path, **{name: value for name, value in full.items() if value is not None})
    return path


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"K": None}, "no array 'K'"),
        ({"S": np.full(30, 6)}, "labels outside 0 <= S <= K"),
        ({"S": np.full(30, 2.5)}, "labels outside 0 <= S <= K"),
        ({"S": np.zeros(29, dtype=int)}, "30 structures but other numbers"),
        ({"positions": np.zeros((30, 2, 3))}, "have the shape"),
        ({"positions": np.full((30, 1, 1), 0.95)}, "30 structures in .* lie inside left or right"),
        ({"S": np.full(30, 5)}, "All 150 decided shots reached the same state"),
        ({"S": np.zeros(30, dtype=int), "K": np.ones(30, dtype=int)}, "Only 30 shots reached a state"),
    ],
)
def test_labels_and_structures_that_cannot_be_are_refused(tmp_path: Path, arrays: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        fit(npz(tmp_path / "theirs.npz", **arrays), tmp_path / "out", system=SYSTEM)
    assert not (tmp_path / "out").exists()


def test_sources_that_are_none_are_refused(tmp_path: Path, line: Path) -> None:
    theirs = npz(tmp_path / "theirs.npz")
    with pytest.raises(InputError, match="does not say what molecule"):
        fit(theirs, tmp_path / "out")
    with pytest.raises(InputError, match="neither the directory of a shooting run"):
        fit(tmp_path / "nothing.npz", tmp_path / "out", system=SYSTEM)
    theirs.write_bytes(b"no archive")
    with pytest.raises(InputError, match="not a readable NPZ"):
        fit(theirs, tmp_path / "out", system=SYSTEM)
    with pytest.raises(InputError, match="holds a committor run, not a shoot run"):
        fit(line / "c", tmp_path / "out")


def test_a_committor_is_not_judged_by_its_own_shots_or_by_another_dynamics(line: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="was fitted to the shots"):
        evaluate_committor(line / "c", line / "shots1", tmp_path / "out")
    other = shots(tmp_path, 5, double_well("overdamped", 1.0), points=20)
    with pytest.raises(InputError, match="of another dynamics than"):
        evaluate_committor(line / "c", other, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_committor_is_refused(line: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no committor"):
        load_committor(tmp_path)
    for name in (DESCRIPTION, WEIGHTS):
        (tmp_path / name).write_bytes((line / "c" / name).read_bytes())
    data = bytearray((tmp_path / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (tmp_path / WEIGHTS).write_bytes(bytes(data))
    with pytest.raises(InputError, match="SHA-256"):
        load_committor(tmp_path)
    (tmp_path / DESCRIPTION).write_text("{}")
    with pytest.raises(InputError, match="does not describe a committor"):
        load_committor(tmp_path)


def test_a_molecules_committor_can_be_fitted(tmp_path: Path) -> None:
    system = load_system("alanine-dipeptide-vacuum")
    rng = np.random.default_rng(1)
    frames = system.positions + 0.01 * rng.normal(size=(60, *system.positions.shape))
    from molgen.observables.boundary import Boundary

    outside = Boundary(system, "c7eq", "c7ax").assign(frames) == -1
    frames = frames[outside]
    theirs = tmp_path / "theirs.npz"
    np.savez(theirs, positions=frames, S=rng.binomial(10, 0.4, len(frames)), K=np.full(len(frames), 10))
    result = fit(theirs, tmp_path / "c", system=system, settings=FIT, seed=1)
    assert (result.a, result.b, result.features) == ("c7eq", "c7ax", "internal")
    q = load_committor(tmp_path / "c").model.probability(frames)
    assert ((q > 0.0) & (q < 1.0)).all()


def test_points_along_a_committor(line: Path, tmp_path: Path) -> None:
    from molgen.shooting.ledger import Ledger
    from molgen.workflows.committor_rates import committor_rate

    few = SHOTS.model_copy(update={"pairs": 1})

    def chosen(name: str, points: int, **more: Any) -> np.ndarray:
        frames = [line / "frames2.h5"]
        shoot(SYSTEM, frames, tmp_path / name, points=points, settings=few, seed=1, along=line / "c", **more)
        found = Ledger(tmp_path / name / "shots").points()
        assert found is not None
        assert len(np.unique(found.positions)) == points
        return load_committor(line / "c").model.probability(found.positions)

    # Of frames even in x more than half lie where q is within 0.1 of 0 or 1; of these about a fifth (binomial, 5 SE).
    q = chosen("even", 60)
    assert np.sum((q < 0.1) | (q > 0.9)) < 60 * 0.2 + 5 * np.sqrt(60 * 0.2 * 0.8)
    assert (np.abs(chosen("half", 5, within=0.2) - 0.5) < 0.2).all()
    with pytest.raises(InputError, match="chosen by a committor are not those of the ensemble"):
        committor_rate(tmp_path / "even")
    with pytest.raises(InputError, match="Only 0 of"):
        chosen("nothing", 5, within=1e-9)
    assert not (tmp_path / "nothing").exists()
    with pytest.raises(UsageError, match="--along"):
        shoot(SYSTEM, [line / "frames2.h5"], tmp_path / "none", points=5, within=0.1)
    with pytest.raises(UsageError, match=r"within 0\.7"):
        chosen("far", 5, within=0.7)
    other = double_well("overdamped", 1.0)
    with pytest.raises(InputError, match="is of another dynamics"):
        shoot(other, [line / "frames2.h5"], tmp_path / "other", points=5, along=line / "c")
