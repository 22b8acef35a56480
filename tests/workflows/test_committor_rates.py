"""Rates through the workflow: from frames at equilibrium to k with an interval, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molgen.errors import InputError, UsageError
from molgen.trajectories.shards import write_shard
from molgen.workflows.committor_rates import committor_rate
from molgen.workflows.shooting import ShootingSettings, shoot
from tests.shooting.test_rate import DENSITY, GRID, exact
from tests.wells import double_well

SYSTEM = double_well("overdamped", 2.0)
SETTINGS = ShootingSettings(pairs=2, batch=20_000, limit_ps=1000.0)


def shots(
    folder: Path,
    n: int,
    points: int,
    kind: Any = "equilibrium",
    region: str | None = None,
    along: Path | None = None,
    **more: Any,
) -> Path:
    x = np.random.default_rng(1).choice(GRID, n, p=DENSITY / DENSITY.sum()).reshape(-1, 1, 1)
    folder.mkdir(exist_ok=True)
    write_shard(folder / "frames.h5", x, np.arange(n) * 40 // n, SYSTEM, SYSTEM.temperature_k, kind=kind)
    settings = SETTINGS.model_copy(update=more)
    frames, output = [folder / "frames.h5"], folder / "shots"
    return shoot(SYSTEM, frames, output, points=points, along=along, region=region, settings=settings, seed=1).directory


def test_rates_from_frames_at_equilibrium(tmp_path: Path) -> None:
    """40 lineages of independent frames: within four standard errors (false alarms: one in 15,000) of the exact rates
    between cores moved by what this step overshoots."""
    source = shots(tmp_path, 12_000, 4000)
    record = committor_rate(source, seed=2).record
    for name, truth in zip(("nu", "k_ab", "k_ba"), exact(2e-3), strict=True):
        error = np.log(record[name]["high"] / record[name]["low"]) / (2 * 1.96)
        assert 0.0 < error < 0.25
        assert abs(np.log(record[name]["value"] / truth)) < 4 * error
    assert record["share_a"] + record["share_b"] + record["outside_share"] == pytest.approx(1.0)
    assert record["unit"] == "1/time"
    assert (source / "rate" / "rate.json").exists()
    assert committor_rate(source, seed=2).record == record


def test_rates_with_half_of_the_points_from_a_region(tmp_path: Path) -> None:
    """Within four standard errors of the exact rates, and closer than with as many points taken by weight alone."""
    errors, paths = [], []
    for region in (None, "-0.3 < x < 0.3"):
        source = shots(tmp_path / str(region is None), 60_000, 1500, region=region)
        record = committor_rate(source, seed=2).record
        paths.append(record["transition_paths"])
        errors.append(np.log(record["nu"]["high"] / record["nu"]["low"]) / (2 * 1.96))
        for name, truth in zip(("nu", "k_ab", "k_ba"), exact(2e-3), strict=True):
            error = np.log(record[name]["high"] / record[name]["low"]) / (2 * 1.96)
            assert abs(np.log(record[name]["value"] / truth)) < 4 * error
    assert paths[1] > 3 * paths[0]
    assert errors[1] < 0.7 * errors[0]


def test_a_region_without_frames_and_beside_a_committor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Only 0 of .* frames outside the states lie in the region"):
        shots(tmp_path, 400, 60, region="0.1 < x < 0.1001")
    with pytest.raises(UsageError, match="Give --along or --region"):
        shots(tmp_path, 400, 60, region="x > 0", along=tmp_path)


@pytest.mark.parametrize(("kind", "reason"), [("explore", "explore frames cover"), ("umbrella", "follow a bias")])
def test_points_that_are_no_boltzmann_sample_are_refused(tmp_path: Path, kind: str, reason: str) -> None:
    source = shots(tmp_path, 200, 20, kind)
    with pytest.raises(InputError, match=f"no Boltzmann sample: .*{reason}"):
        committor_rate(source)
    assert not (source / "rate").exists()


def test_the_adaptive_loops_points_and_undecided_shots_are_refused(tmp_path: Path) -> None:
    from molgen.rundir import RunDirectory

    with RunDirectory.open(tmp_path / "run", kind="committor-run", config={}, seed=1) as run:
        run.finish({})
    with pytest.raises(InputError, match="chosen where they teach most"):
        committor_rate(tmp_path / "run")
    source = shots(tmp_path, 400, 60, limit_ps=0.004)
    with pytest.raises(InputError, match=r"\d+ of 120 pairs of shots have not reached"):
        committor_rate(source)
