"""Transition paths through the workflow, and passages that begin where they end."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molgen.errors import InputError, InterruptedRunError
from molgen.interruption import Interruption
from molgen.progress import ProgressEvent
from molgen.trajectories.shards import write_shard
from molgen.workflows.committor_passages import count_passages
from molgen.workflows.committor_paths import PathsSettings, plan_paths, sample_paths
from molgen.workflows.committor_rates import committor_rate
from molgen.workflows.route_starts import sampled_paths
from molgen.workflows.shooting import ShootingSettings, shoot
from tests.wells import double_well

SYSTEM = double_well("langevin-middle", 20.0, 2, 2.0)
SETTINGS = PathsSettings(chains=20, discard=5, stage=10)


def frames(folder: Path) -> Path:
    path = folder / "frames.h5"
    x = np.random.default_rng(1).uniform(-0.8, 0.8, 100).reshape(-1, 1, 1)
    write_shard(path, x, np.arange(100) // 5, SYSTEM, SYSTEM.temperature_k)
    return path


def sample(folder: Path, name: str, settings: PathsSettings = SETTINGS, **more: Any) -> Any:
    data = more.pop("data", None) or [frames(folder)]
    return sample_paths(SYSTEM, data, folder / name, n=400, settings=settings, seed=2, **more)


def test_paths_lead_to_passages_one_way(tmp_path: Path) -> None:
    """Inertia and friction: 150 passages from the ends of paths against as many of long dynamics, to four standard
    errors (one in 15,000) of ln k, 0.12 together."""
    result = sample(tmp_path, "paths")
    assert (result.paths, result.chains, result.too_long) == (400, 20, 0.0)
    assert 0.05 < result.acceptance <= result.reactive < 1.0
    assert result.path_time_low < result.path_time < result.path_time_high
    assert 1.0 <= result.inefficiency < 20.0
    paths = list(sampled_paths(tmp_path / "paths"))
    assert len(paths) == 400
    assert result.path_time == pytest.approx(np.mean([len(path) for path in paths]) * 0.04)
    one_way = count_passages(SYSTEM, [tmp_path / "paths"], tmp_path / "ba", count=150, way="ba", seed=3)
    assert (one_way.passages_ab, one_way.passages_ba) == (0, 150)
    long = count_passages(SYSTEM, [], tmp_path / "both", count=150, settings=_many(150), seed=4)
    assert one_way.mean_time_ba is not None
    assert long.mean_time_ba is not None
    assert abs(np.log(one_way.mean_time_ba / long.mean_time_ba)) < 4 * 0.12
    record = committor_rate(tmp_path / "ba", seed=1).record
    assert record["k_ab"] is None
    assert record["k_ba"]["value"] == pytest.approx(1.0 / one_way.mean_time_ba)


def test_shooting_by_a_committor_gives_the_same_paths(tmp_path: Path) -> None:
    """Points chosen near q = 1/2 are accepted more often; the mean duration agrees to four standard errors (one in
    15,000) of ln, from each run's own interval."""
    from molgen.committor.fitting import FittingSettings
    from molgen.committor.model import CommittorSettings
    from molgen.workflows.committor_fitting import fit

    shots = shoot(SYSTEM, [frames(tmp_path)], tmp_path / "shots", points=60, settings=ShootingSettings(pairs=5), seed=1)
    fitting = FittingSettings(model=CommittorSettings(hidden=8, members=2, features="cv"), steps=200)
    committor = fit(shots.directory, tmp_path / "c", settings=fitting, seed=1).directory
    alike, chosen = sample(tmp_path, "alike"), sample(tmp_path, "chosen", committor=committor)
    assert chosen.reactive > alike.reactive
    variance = sum((np.log(result.path_time_high / result.path_time_low) / 3.92) ** 2 for result in (alike, chosen))
    assert 0.0 < variance < 0.02
    assert abs(np.log(chosen.path_time / alike.path_time)) < 4.0 * np.sqrt(variance)


def _many(chains: int) -> Any:
    from molgen.workflows.committor_passages import PassagesSettings

    return PassagesSettings(chains=chains)


def test_an_interruption_and_shots_to_begin_with(tmp_path: Path) -> None:
    small = SETTINGS.model_copy(update={"chains": 4, "group": 2, "stage": 5, "discard": 0})
    shots = shoot(
        SYSTEM, [frames(tmp_path)], tmp_path / "shots", points=20, settings=ShootingSettings(pairs=2), seed=1
    ).directory
    expected = sample(tmp_path, "one", small, data=[shots])
    stop = Interruption()

    def at_once(event: ProgressEvent) -> None:
        if event.done > 0:
            stop.request("the test asked")

    with pytest.raises(InterruptedRunError):
        sample(tmp_path, "two", small, data=[shots], progress=at_once, interruption=stop)
    again = sample(tmp_path, "two", small, data=[shots])
    assert {**again.to_json(), "directory": ""} == {**expected.to_json(), "directory": ""}
    for one, two in zip(sampled_paths(tmp_path / "one"), sampled_paths(tmp_path / "two"), strict=True):
        np.testing.assert_array_equal(one.frames, two.frames)


def test_paths_that_were_given_up_are_no_sample(tmp_path: Path) -> None:
    from dataclasses import dataclass

    from molgen.workflows import committor_paths

    @dataclass(frozen=True)
    class Alike:
        uniform: bool = False

        def weights(self, positions: np.ndarray) -> np.ndarray:
            return np.ones(len(positions))

    short = SETTINGS.model_copy(update={"chains": 10, "discard": 0, "limit_ps": 0.8})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(committor_paths, "UniformSelection", Alike)
        result = sample(tmp_path, "short", short)
    assert result.too_long > 0.01
    assert "long paths are missing" in result.notes[0]
    with pytest.raises(InputError, match="gave up paths for their length"):
        count_passages(SYSTEM, [tmp_path / "short"], tmp_path / "out", count=5, way="ab")
    assert not (tmp_path / "out").exists()


def test_nothing_between_the_states_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "inside.h5"
    write_shard(path, np.full((10, 1, 1), 1.2), np.arange(10), SYSTEM, SYSTEM.temperature_k)
    with pytest.raises(InputError, match="No configuration lies between left and right"):
        sample_paths(SYSTEM, [path], tmp_path / "out", n=10)
    assert not (tmp_path / "out").exists()
    assert plan_paths(SYSTEM, n=500, settings=SETTINGS)["moves"] == 600
