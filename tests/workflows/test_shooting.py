"""Shoot: from frames to a ledger of shots."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molgen.errors import InputError, InterruptedRunError, UsageError
from molgen.interruption import Interruption
from molgen.observables.states import with_states
from molgen.progress import ProgressEvent
from molgen.shooting.ledger import Ledger
from molgen.systems.definition import StateSection
from molgen.systems.loading import load_system
from molgen.trajectories.shards import write_shard
from molgen.workflows.shooting import ShootingSettings, plan_shooting, shoot
from tests.wells import double_well

SYSTEM = double_well("langevin-middle", 10.0)
SETTINGS = ShootingSettings(pairs=3, batch=10)


def frames(path: Path, system: Any = SYSTEM, n: int = 200) -> Path:
    x = np.random.default_rng(1).uniform(-1.5, 1.5, n).reshape(-1, 1, 1)
    write_shard(path, x, np.sort(np.arange(n) % 5), system, system.temperature_k)
    return path


def run(tmp_path: Path, name: str, **more: Any) -> Any:
    data = tmp_path / "frames.h5"
    options = {"points": 20, "settings": SETTINGS, "seed": 4, **more}
    return shoot(SYSTEM, [data if data.exists() else frames(data)], tmp_path / name, **options)


def table(path: Path) -> list[np.ndarray]:
    shots = Ledger(path / "shots").shots()
    assert shots is not None
    columns = [shots.configuration, shots.pair, shots.sign, shots.outcome, shots.steps]
    return [*columns, shots.open.positions, shots.open.velocities]


def test_every_shot_is_in_the_ledger(tmp_path: Path) -> None:
    result = run(tmp_path, "one")
    assert (result.a, result.b, result.points, result.shots) == ("left", "right", 20, 120)
    assert result.reached_a + result.reached_b == 120
    assert result.undecided == result.crashed == 0
    assert result.reached_a > 10
    assert result.reached_b > 10
    configuration, pair, sign, _, steps, *_ = table(result.directory)
    assert pair.tolist() == np.repeat(np.arange(60), 2).tolist()
    assert configuration.tolist() == (pair // 3).tolist()
    assert sign.sum() == 0
    assert result.evaluations == steps.sum()
    assert 0.5 < result.outside_share < 0.7
    assert run(tmp_path, "one") == result


def test_the_ledger_is_the_same_with_two_workers_and_after_an_interruption(tmp_path: Path) -> None:
    expected = table(run(tmp_path, "one").directory)
    two = table(run(tmp_path, "two", workers=2).directory)
    stop = Interruption()

    def stop_after_two(event: ProgressEvent) -> None:
        if event.done == 2:
            stop.request("the test asked")

    with pytest.raises(InterruptedRunError):
        run(tmp_path, "three", progress=stop_after_two, interruption=stop)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "three" / "shots").glob("*.npz")}
    assert len(kept) == 3  # the points and two batches of six
    three = table(run(tmp_path, "three").directory)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    for other in (two, three):
        for a, b in zip(expected, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_undecided_shots_are_kept_and_taken_on_by_a_longer_limit(tmp_path: Path) -> None:
    short = SETTINGS.model_copy(update={"limit_ps": 0.3})
    first = run(tmp_path, "run", settings=short)
    assert first.undecided > 10
    assert "longer --limit" in first.notes[0]
    assert run(tmp_path, "run", settings=short) == first
    later = run(tmp_path, "run", settings=SETTINGS.model_copy(update={"limit_ps": 1000.0}))
    assert later.undecided == 0
    assert later.reached_a + later.reached_b == 120
    assert later.evaluations > first.evaluations
    files = {path.name for path in (tmp_path / "run" / "shots").iterdir()}
    assert {"shots-000000.npz", "shots-000000-1.npz"} <= files


def test_the_plan_counts_shots(tmp_path: Path) -> None:
    plan = plan_shooting(SYSTEM, points=20, settings=SETTINGS)
    assert (plan["shots"], plan["steps_at_most"], plan["files"]) == (120, 1_200_000, 7)


def test_a_molecule_is_shot_from(tmp_path: Path) -> None:
    system = load_system("alanine-dipeptide-vacuum")
    noise = 0.001 * np.random.default_rng(1).normal(size=(30, *system.positions.shape))
    positions = system.positions + noise
    positions[:3] *= -1.0  # mirrored
    path = tmp_path / "frames.h5"
    write_shard(path, positions, np.arange(30), system, system.temperature_k)
    settings = ShootingSettings(pairs=1, batch=2, limit_ps=0.05)
    result = shoot(system, [path], tmp_path / "out", points=4, settings=settings, seed=1, platform="Reference")
    assert (result.a, result.b, result.shots) == ("c7eq", "c7ax", 8)
    assert result.undecided + result.reached_a + result.reached_b == 8
    assert 0 < result.evaluations <= 8 * 50
    assert "3 frames outside the domain were left out" in " ".join(result.notes)


def test_states_that_are_not_clear_are_refused(tmp_path: Path) -> None:
    data = frames(tmp_path / "frames.h5")
    muller = load_system("muller-brown")
    with pytest.raises(UsageError, match=r"which two states are meant \(a, b, intermediate\)\.") as caught:
        shoot(muller, [data], tmp_path / "out", points=5)
    assert "--from" in caught.value.hint
    touching = load_system("double-well")
    with pytest.raises(UsageError, match="has no states to pass between"):
        shoot(with_states(touching, ()), [data], tmp_path / "out", points=5)
    with pytest.raises(InputError, match="None of the 200 frames lies outside left and right"):
        shoot(touching, [frames(tmp_path / "t.h5", touching)], tmp_path / "out", points=5)
    overlapping = with_states(
        touching, (StateSection(name="low", where="x < 0.5"), StateSection(name="high", where="x > 0.2"))
    )
    with pytest.raises(InputError, match="low and high overlap"):
        shoot(overlapping, [data], tmp_path / "out", points=5)
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="0 points"):
        run(tmp_path, "out", points=0)


def test_another_dynamics_is_another_run(tmp_path: Path) -> None:
    run(tmp_path, "run")
    other = double_well("langevin-middle", 5.0)
    with pytest.raises(InputError, match=r"dynamics\.dynamics\.timestep_fs"):
        shoot(other, [tmp_path / "frames.h5"], tmp_path / "run", points=20, settings=SETTINGS)


def test_draws_of_a_model_are_shot_from(tmp_path: Path) -> None:
    from molgen.ensemble import Ensemble, EnsembleHeader, EnsembleWriter
    from molgen.rundir import RunDirectory
    from molgen.systems.record import system_record

    x = np.random.default_rng(2).uniform(-1.5, 1.5, 60).reshape(-1, 1, 1)
    header = EnsembleHeader(system_record(SYSTEM), SYSTEM.temperature_k, "internal-coordinates", dim=1)
    inside = np.arange(60) != 7
    with RunDirectory.open(tmp_path / "draws", kind="sample", config={}, seed=1) as directory:
        with EnsembleWriter(directory.path / "ensemble.h5", header) as writer:
            writer.append(Ensemble(x, np.zeros(60), None, None, inside, header))
        directory.finish({})
    result = shoot(SYSTEM, [tmp_path / "draws"], tmp_path / "out", points=10, settings=SETTINGS, seed=1)
    points = Ledger(result.directory / "shots").points()
    assert points is not None
    assert np.allclose(points.positions, x[points.lineage], atol=1e-6)
    assert 7 not in points.lineage.tolist()
    with pytest.raises(InputError, match="cannot be joined"):
        shoot(SYSTEM, [tmp_path / "draws", frames(tmp_path / "f.h5")], tmp_path / "other", points=10)
    with pytest.raises(InputError, match="of another molecule"):
        shoot(load_system("alanine-dipeptide-vacuum"), [tmp_path / "draws"], tmp_path / "other", points=10)
    assert not (tmp_path / "other").exists()
