"""Every route to one rate, through the workflows, against the exact chain of looks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molgen.committor.fitting import FittingSettings
from molgen.committor.model import CommittorSettings
from molgen.errors import InputError, InterruptedRunError, UsageError
from molgen.interruption import Interruption
from molgen.progress import ProgressEvent
from molgen.trajectories.shards import write_shard
from molgen.workflows.committor_fitting import fit
from molgen.workflows.committor_flux import FluxSettings, measure_flux, plan_flux
from molgen.workflows.committor_passages import PassagesSettings, count_passages, plan_passages
from molgen.workflows.committor_rates import committor_rate
from molgen.workflows.shooting import ShootingSettings, shoot
from tests.wells import Looks, double_well

STEP, EVERY, FLAT = 1e-2, 2, 2.5
SYSTEM = double_well("overdamped", 1e3 * STEP, EVERY, FLAT)
CHAIN = Looks(STEP, EVERY, FLAT)
FLUX = FluxSettings(walkers=80, continuations=4, settle_ps=0.5, rounds=4)
INTERFACE = "x > -0.3"


def frames(folder: Path) -> Path:
    path = folder / "frames.h5"
    if not path.exists():
        x = np.random.default_rng(1).choice(CHAIN.x, 12_000, p=CHAIN.density / CHAIN.density.sum()).reshape(-1, 1, 1)
        write_shard(path, x, np.arange(len(x)) * 40 // len(x), SYSTEM, SYSTEM.temperature_k)
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with shots, a committor fitted to them, passages and crossings."""
    folder = tmp_path_factory.mktemp("routes")
    settings = ShootingSettings(pairs=1, batch=20_000, limit_ps=1000.0)
    shoot(SYSTEM, [frames(folder)], folder / "shots", points=2000, settings=settings, seed=1)
    small = FittingSettings(model=CommittorSettings(hidden=8, members=2), steps=150)
    fit(folder / "shots", folder / "committor", settings=small, seed=1)
    count_passages(SYSTEM, [], folder / "passages", count=150, settings=PassagesSettings(chains=150), seed=1)
    measure_flux(SYSTEM, [frames(folder)], folder / "flux", interface=INTERFACE, count=240, settings=FLUX, seed=1)
    return folder


def sigma(item: dict[str, float]) -> float:
    return float(np.log(item["high"] / item["low"]) / (2 * 1.96))


def test_every_route_gives_the_exact_rate(runs: Path) -> None:
    """Each to four of its standard errors (false alarms: one in 15,000 each), all of them below 15 %."""
    sources = [runs / name for name in ("shots", "flux", "passages")]
    record = committor_rate(sources, committor=runs / "committor", seed=2).record
    exact = dict(zip(("nu", "k_ab", "k_ba"), CHAIN.rates(), strict=True))
    *routes, bound = record["routes"]
    assert [route["route"].split()[0] for route in routes] == ["two-way", "interface", "direct"]
    for route in routes:
        for way in ("k_ab", "k_ba"):
            assert sigma(route[way]) < 0.15
            assert abs(np.log(route[way]["value"] / exact[way])) < 4 * sigma(route[way]), (route["route"], way)
    assert bound["upper_bound"]
    for way in ("k_ab", "k_ba"):
        assert np.log(bound[way]["value"] / exact[way]) > -4 * sigma(bound[way])
    assert record["k_ab"] == routes[0]["k_ab"]
    assert {item["quantity"] for item in record["comparisons"]} == {"k_ab", "k_ba", "k_ab/k_ba"}
    assert len(record["comparisons"]) == 2 * 6 + 1
    flagged = [item for item in record["comparisons"] if not item["agree"]]
    assert len(record["notes"]) == len(flagged)
    assert all(
        abs(item["log_ratio"]) < 4 * item["sigma"] for item in record["comparisons"][:-1] if "bound" not in str(item)
    )
    assert (runs / "shots" / "rate-flux-passages-bound" / "rate.json").exists()


def test_routes_that_disagree_are_named(runs: Path, tmp_path: Path) -> None:
    """The same passages under a name that says they took twice as long."""
    import shutil

    shutil.copytree(runs / "passages", tmp_path / "slow")
    for path in (tmp_path / "slow" / "passages").glob("*.npz"):
        with np.load(path) as file:
            content = {name: file[name] for name in file.files}
        np.savez(path, **content | {"passage_steps": 2 * content["passage_steps"]})
    record = committor_rate([runs / "flux", tmp_path / "slow"], tmp_path / "out", seed=2).record
    assert [item["agree"] for item in record["comparisons"]] == [False, False]
    assert "disagree on k_ab" in record["notes"][0]
    assert record["route"] == "interface flux"
    assert "nu" not in record


def interrupted(work: Any, path: Path, **more: Any) -> dict[str, Any]:
    stop = Interruption()

    def at_once(event: ProgressEvent) -> None:
        if event.done > 0:
            stop.request("the test asked")

    with pytest.raises(InterruptedRunError):
        work(path, progress=at_once, interruption=stop, **more)
    return {**work(path, **more).to_json(), "directory": ""}


def test_an_interruption_changes_nothing(tmp_path: Path) -> None:
    few = PassagesSettings(chains=4, group=2, stage_ps=1.0)

    def passages(path: Path, **more: Any) -> Any:
        return count_passages(SYSTEM, [], path, count=8, settings=few, seed=3, **more)

    walkers = FLUX.model_copy(update={"walkers": 4, "group": 2, "rounds": 1})

    def flux(path: Path, **more: Any) -> Any:
        data = [frames(tmp_path)]
        return measure_flux(SYSTEM, data, path, interface=INTERFACE, count=12, settings=walkers, seed=3, **more)

    for name, work in (("passages", passages), ("flux", flux)):
        expected = {**work(tmp_path / name).to_json(), "directory": ""}
        assert interrupted(work, tmp_path / f"{name}-2") == expected
        assert {**work(tmp_path / name).to_json(), "directory": ""} == expected
    assert expected["crossings_ab"] >= 12


def test_what_gives_no_rate_is_refused(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="are the same route"):
        committor_rate([runs / "flux", runs / "flux"])
    with pytest.raises(InputError, match="which gives no rate"):
        committor_rate([runs / "committor"])
    with pytest.raises(InputError, match="together with shots"):
        committor_rate([runs / "flux"], tmp_path / "x", committor=runs / "committor")
    other = double_well("overdamped", 1e3 * STEP, 1, FLAT)
    count_passages(other, [], tmp_path / "other", count=2, settings=PassagesSettings(chains=2), seed=1)
    with pytest.raises(InputError, match="different dynamics"):
        committor_rate([runs / "flux", tmp_path / "other"], tmp_path / "x")
    with pytest.raises(UsageError, match="one way must begin where transition paths"):
        count_passages(SYSTEM, [], tmp_path / "x", way="ba")
    with pytest.raises(UsageError, match="no way 'up'"):
        measure_flux(SYSTEM, [], tmp_path / "x", interface=INTERFACE, way="up")
    with pytest.raises(InputError, match="names no cv 'phi'"):
        measure_flux(SYSTEM, [], tmp_path / "x", interface="phi > 0deg")
    with pytest.raises(InputError, match="starts lie in right"):
        measure_flux(SYSTEM, [], tmp_path / "x", interface=INTERFACE, settings=FLUX)
    assert not (tmp_path / "x").exists()


def test_plans_compute_nothing() -> None:
    assert plan_passages(SYSTEM, count=100)["passages"] == 200
    assert plan_flux(SYSTEM, interface=INTERFACE, count=10, way="ab")["continuations"] == 100
    json.dumps(plan_flux(SYSTEM, interface=INTERFACE, count=10))
