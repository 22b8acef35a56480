from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molgen.dynamics.schedule import SimulationSettings
from molgen.errors import InputError, InterruptedRunError
from molgen.interruption import Interruption
from molgen.progress import ProgressEvent
from molgen.rundir import read_manifest
from molgen.systems.loading import load_system
from molgen.systems.system import System
from molgen.trajectories.reading import read_frames
from molgen.workflows.simulation import plan_simulation, simulate

_SHORT = SimulationSettings(
    save_every_ps=0.02,
    equilibration_ps=0.1,
    hot_interval_ps=0.2,
    segment_ps=0.1,
    seeds_per_task=2,
    plain_chains=2,
    piece_ps=0.2,
)
_TIME = {"explore": 2.6, "plain": 1.2}


@pytest.fixture(scope="module")
def system() -> System:
    return load_system("alanine-dipeptide")


def run(system: System, path: Path, mode: Any, **more: Any) -> Any:
    options = {"time_ps": _TIME[mode], "settings": _SHORT, "seed": 5, "platform": "Reference", **more}
    return simulate(system, path, mode=mode, **options)


@pytest.mark.parametrize("mode", ["explore", "plain"])
def test_frames_are_the_same_with_two_workers_and_after_an_interruption(
    system: System, tmp_path: Path, mode: str
) -> None:
    one = run(system, tmp_path / "one", mode)
    two = run(system, tmp_path / "two", mode, workers=2)
    stop = Interruption()

    def stop_after_first_shard(event: ProgressEvent) -> None:
        if event.unit == "shards":
            stop.request("the test asked")

    with pytest.raises(InterruptedRunError):
        run(system, tmp_path / "three", mode, progress=stop_after_first_shard, interruption=stop)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "three").glob("frames-*.h5")}
    assert 0 < len(kept) < one.shards
    three = run(system, tmp_path / "three", mode)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    frames = [read_frames([tmp_path / name], system) for name in ("one", "two", "three")]
    for other in frames[1:]:
        np.testing.assert_array_equal(frames[0].positions, other.positions)
        np.testing.assert_array_equal(frames[0].lineage, other.lineage)
    assert one.frames == len(frames[0].positions)
    assert one.lineages == len(set(frames[0].lineage.tolist()))
    assert one.evaluations == two.evaluations == three.evaluations == frames[0].evaluations
    assert frames[0].kind == ("explore" if mode == "explore" else "equilibrium")


def test_a_finished_run_is_returned_as_it_is_and_another_time_is_refused(tmp_path: Path) -> None:
    well = load_system("double-well")
    settings = SimulationSettings(segment_ps=2.0, hot_interval_ps=1.0, equilibration_ps=1.0)
    first = simulate(well, tmp_path / "run", time_ps=30.0, settings=settings)
    again = simulate(well, tmp_path / "run", time_ps=30.0, settings=settings)
    assert again == first
    assert read_manifest(tmp_path / "run", "simulate").seed == first.seed
    with pytest.raises(InputError, match="time_ps"):
        simulate(well, tmp_path / "run", time_ps=31.0, settings=settings)


def test_explore_finds_both_wells_and_samples_each_at_the_target_temperature(tmp_path: Path) -> None:
    """Hot particles (3 kT) cross the 5 kT barrier often; cold ones stay near a well's 0.16-wide minimum."""
    well = load_system("double-well")
    settings = SimulationSettings(segment_ps=4.0, hot_interval_ps=5.0, equilibration_ps=4.0)
    result = simulate(well, tmp_path / "run", time_ps=600.0, settings=settings, seed=1)
    x = read_frames([tmp_path / "run"], well).positions[:, 0, 0]
    assert result.frames == len(x)
    assert min((x < -0.5).mean(), (x > 0.5).mean()) > 0.1
    assert np.quantile(np.abs(x), 0.99) < 1.6


def test_the_plan_says_what_the_run_then_does(tmp_path: Path) -> None:
    well = load_system("double-well")
    settings = SimulationSettings(segment_ps=2.0, hot_interval_ps=1.0, equilibration_ps=1.0)
    plan = plan_simulation(well, mode="explore", time_ps=30.0, settings=settings)
    result = simulate(well, tmp_path / "run", time_ps=30.0, settings=settings, seed=2)
    assert (plan["frames"], plan["files"], plan["steps"]) == (result.frames, result.shards, result.evaluations)
