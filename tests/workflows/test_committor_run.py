"""The adaptive loop: from two states to a committor, interrupted or not, and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from molgen.committor.artifact import load_committor
from molgen.committor.fitting import FittingSettings
from molgen.committor.model import CommittorSettings
from molgen.errors import InputError, InterruptedRunError, UsageError
from molgen.interruption import Interruption
from molgen.observables.boundary import NEITHER, Boundary
from molgen.observables.states import with_states
from molgen.progress import ProgressEvent
from molgen.shooting.ledger import Ledger
from molgen.systems.definition import StateSection
from molgen.systems.loading import load_system
from molgen.trajectories.shards import write_shard
from molgen.workflows.committor_evaluation import evaluate_committor
from molgen.workflows.committor_exploring import ExploringSettings
from molgen.workflows.committor_fitting import fit
from molgen.workflows.committor_run import CommittorRunSettings, plan_committor_run, run_committor
from molgen.workflows.shooting import ShootingSettings, shoot
from tests.wells import committor, double_well

SYSTEM = double_well("overdamped", 2.0)
SETTINGS = CommittorRunSettings(
    rounds=3,
    limit_ps=1000.0,
    fitting=FittingSettings(model=CommittorSettings(hidden=16, members=4), steps=200),
    exploring=ExploringSettings(chains=10, interval_ps=2.0, candidates=200),
)


def run(path: Path, shots: int = 600, system: Any = SYSTEM, data: Any = (), **more: Any) -> Any:
    return run_committor(system, data, path, shots=shots, **{"settings": SETTINGS, "seed": 5, **more})


def ledger(path: Path) -> list[np.ndarray]:
    content = Ledger(path / "shots")
    points, shots = content.points(), content.shots()
    assert points is not None
    assert shots is not None
    columns = [points.positions, points.selection, points.lineage, points.round, points.held_out]
    return [*columns, shots.configuration, shots.pair, shots.sign, shots.outcome, shots.steps]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(tmp_path_factory.mktemp("whole") / "run", 1200)


def test_two_states_are_enough_for_a_committor(whole: Any) -> None:
    """1,000 shots to fit to; over eight seeds the error was 0.008 to 0.026, and 0.05 is asked for."""
    x = np.linspace(-0.88, 0.88, 89)
    q = load_committor(whole.directory).model.probability(x.reshape(-1, 1, 1))
    assert np.sqrt(((q - committor(x, 0.5826 * np.sqrt(4e-3))) ** 2).mean()) < 0.05
    assert (whole.a, whole.b, whole.ended) == ("left", "right", "all shots are spent")
    assert len(whole.rounds) == 3
    assert whole.shots == 1200
    assert whole.undecided == whole.crashed == 0
    bisected = whole.rounds[0]["shots"] - 2 * whole.rounds[0]["points"]
    assert 0 < bisected < 0.15 * 1200
    assert whole.rounds[-1]["shots"] == bisected + 2 * sum(row["points"] for row in whole.rounds)
    assert whole.rounds[-1]["evaluations"] == whole.evaluations


def test_points_lie_outside_and_held_out_lineages_are_never_fitted_to(whole: Any) -> None:
    points = Ledger(whole.directory / "shots").points()
    assert points is not None
    assert (Boundary(SYSTEM, "left", "right").assign(points.positions) == NEITHER).all()
    assert not set(points.lineage[points.held_out]) & set(points.lineage[~points.held_out])
    # A lineage is what hot dynamics did between two visits of the states, not all that a chain ever did.
    assert len(set(points.lineage)) > 4 * SETTINGS.exploring.chains
    first = int(points.round.max()) - 2  # what comes before are bisections
    bisected, later = points.round < first, points.round > first
    assert whole.held_out_shots == 2 * (bisected & points.held_out).sum() + 10 * (~bisected & points.held_out).sum()
    assert np.isnan(points.selection[bisected]).all()
    assert points.selection[later & ~points.held_out].std() > 0.1
    # Points are more uncertain ones than the middles of ways, where nothing is known.
    q = committor(points.positions[:, 0, 0])
    assert (q * (1 - q))[later & ~points.held_out].mean() > (q * (1 - q))[points.round == 0].mean()


def test_frames_on_its_way_can_be_shot_from(whole: Any, tmp_path: Path) -> None:
    settings = ShootingSettings(pairs=1, limit_ps=1000.0)
    shoot(SYSTEM, [whole.directory], tmp_path / "s", points=50, settings=settings, seed=1, along=whole.directory)
    points, own = Ledger(tmp_path / "s" / "shots").points(), Ledger(whole.directory / "shots").points()
    assert points is not None
    assert own is not None
    assert set(points.lineage) <= set(own.lineage)
    assert not np.isin(points.positions, own.positions).all()


def test_its_committor_is_judged_by_what_was_held_out_and_by_other_shots(whole: Any, tmp_path: Path) -> None:
    record = evaluate_committor(whole.directory, None, tmp_path / "own").record
    assert record["shots"] == whole.held_out_shots
    assert record["log_loss"] == pytest.approx(whole.log_loss)
    again = fit(whole.directory, tmp_path / "fit", settings=SETTINGS.fitting, seed=1)
    assert again.shots == whole.rounds[-1]["shots"]
    shots = evaluate_committor(tmp_path / "fit", whole.directory, tmp_path / "other").record["shots"]
    assert shots == whole.held_out_shots
    with pytest.raises(UsageError, match="kept no shots"):
        evaluate_committor(tmp_path / "fit", None, tmp_path / "none")


def test_an_interrupted_run_goes_on_to_the_identical_ledger(tmp_path: Path) -> None:
    small = SETTINGS.model_copy(update={"rounds": 2})
    expected = run(tmp_path / "one", 240, settings=small)
    for name, at in (("exploring", 1), ("bisection 2", 1), ("round 2 of 2", 1), ("fit", 1)):
        stop = Interruption()

        def request(event: ProgressEvent, name: str = name, at: int = at, stop: Interruption = stop) -> None:
            if event.stage == name and event.done == at:
                stop.request("the test asked")

        with pytest.raises(InterruptedRunError):
            run(tmp_path / "two", 240, settings=small, progress=request, interruption=stop)
    found = run(tmp_path / "two", 240, settings=small)
    for a, b in zip(ledger(tmp_path / "one"), ledger(tmp_path / "two"), strict=True):
        np.testing.assert_array_equal(a, b)
    assert found.committor_sha256 == expected.committor_sha256
    assert run(tmp_path / "two", 240, settings=small) == found


def test_undecided_shots_are_taken_on(tmp_path: Path) -> None:
    """The limit of ten steps is for the first leg alone: those that need more go on, the others are as they were.

    A run that leaves many undecided ends with a remedy, and goes on where it was if that is followed.
    """
    settings = SETTINGS.model_copy(update={"rounds": 1, "limit_ps": 0.02, "bisection_share": 0.0, "longest": 2})
    with pytest.raises(
        InputError, match=r"\d+ of 200 shots reached neither state.*They took 20 steps each.*longest=20"
    ):
        run(tmp_path / "run", 200, settings=settings)
    first = ledger(tmp_path / "run")[-1]
    ended = run(tmp_path / "run", 200, settings=settings.model_copy(update={"longest": 1_000_000}))
    second = ledger(ended.directory)[-1]
    assert ended.undecided == 0
    assert first.max() == 20 < second.max()
    np.testing.assert_array_equal(first[first <= 10], second[second <= 10])


def test_frames_are_taken_where_they_are_given(tmp_path: Path) -> None:
    x = np.random.default_rng(1).uniform(-1.2, 1.2, 400).reshape(-1, 1, 1)
    write_shard(tmp_path / "frames.h5", x, np.zeros(400, dtype=np.int64), SYSTEM, SYSTEM.temperature_k)
    result = run(tmp_path / "run", 200, data=[tmp_path / "frames.h5"])
    assert result.exploring_evaluations == 0
    points = Ledger(result.directory / "shots").points()
    assert points is not None
    first = points.positions[points.round == 0, 0, 0]
    assert np.isin(first.astype(np.float32), x.astype(np.float32)).all()
    with pytest.raises(InputError, match="Only 0 of 50 frames lie outside"):
        write_shard(tmp_path / "a.h5", -np.ones((50, 1, 1)), np.arange(50), SYSTEM, SYSTEM.temperature_k)
        run(tmp_path / "none", data=[tmp_path / "a.h5"])
    assert not (tmp_path / "none").exists()


def states(a: str, b: str) -> Any:
    return with_states(SYSTEM, (StateSection(name="left", where=a), StateSection(name="right", where=b)))


@pytest.mark.parametrize(
    ("a", "b", "sentence"),
    [
        ("x < -0.9", "x > 30", "No dynamics reached right in 80 ps at 360"),
        ("x < 0", "x >= 0", "No frame lies between left and right"),
        ("x < 0.5", "x > 0.2", "left and right overlap"),
    ],
)
def test_states_that_cannot_be_shot_between_are_refused(tmp_path: Path, a: str, b: str, sentence: str) -> None:
    exploring = SETTINGS.exploring.model_copy(update={"limit_ps": 8.0})
    with pytest.raises(InputError, match=sentence):
        run(tmp_path / "run", system=states(a, b), settings=SETTINGS.model_copy(update={"exploring": exploring}))


def test_shots_of_one_outcome_are_refused_and_kept(tmp_path: Path) -> None:
    x = np.random.default_rng(1).uniform(-0.85, -0.7, 100).reshape(-1, 1, 1)
    write_shard(tmp_path / "frames.h5", x, np.arange(100), SYSTEM, SYSTEM.temperature_k)
    settings = SETTINGS.model_copy(update={"rounds": 1})
    system = states("x < -0.6999", "x > 0.9")
    x = -0.69 + 0.001 * np.random.default_rng(1).uniform(size=(100, 1, 1))
    write_shard(tmp_path / "frames.h5", x, np.arange(100), system, system.temperature_k)
    with pytest.raises(InputError, match=r"All \d+ decided shots reached the same state"):
        run(tmp_path / "run", 100, system=system, data=[tmp_path / "frames.h5"], settings=settings)
    assert len(ledger(tmp_path / "run")[-1]) == 100


def test_the_plan_and_budgets(tmp_path: Path) -> None:
    plan = plan_committor_run(SYSTEM, shots=20_000)
    assert (plan["rounds"], plan["shots"], plan["held_out_shots"]) == (10, 20_000, 4_000)
    with pytest.raises(UsageError, match="99 shots are too few"):
        plan_committor_run(SYSTEM, shots=99)
    settings = SETTINGS.model_copy(update={"max_evaluations": 1})
    result = run(tmp_path / "run", 400, settings=settings)
    assert (len(result.rounds), result.ended) == (1, "all evaluations are spent")


def test_it_ends_where_nothing_more_is_gained(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"patience": 1, "least_gain": 10.0})
    result = run(tmp_path / "run", 400, settings=settings)
    assert (len(result.rounds), result.ended) == (2, "1 rounds gained less than 10 nats a held-out shot")


def test_a_molecule_starts_from_nothing(tmp_path: Path) -> None:
    """The whole way of a molecule, on states that hot alanine dipeptide meets within picoseconds."""
    molecule = with_states(
        load_system("alanine-dipeptide-vacuum"),
        (StateSection(name="low", where="psi < 60deg"), StateSection(name="high", where="psi > 80deg")),
    )
    exploring = ExploringSettings(chains=5, interval_ps=0.5, frames=25, candidates=5, limit_ps=5.0)
    settings = SETTINGS.model_copy(update={"rounds": 1, "exploring": exploring, "limit_ps": 20.0})
    result = run(tmp_path / "run", 100, system=molecule, settings=settings, platform="Reference")
    assert result.shots == 100
    assert 0.0 < result.log_loss < 2.0
