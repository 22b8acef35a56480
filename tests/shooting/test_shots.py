"""Rows of shots, and pairs of them."""

import numpy as np
import pytest

from molgen.dynamics.passage import CRASHED, PhasePoints
from molgen.dynamics.passage_factory import open_passages
from molgen.observables.boundary import NEITHER, A, B, Boundary
from molgen.shooting.shots import Shots, count, go_on, joined, shoot_pairs
from tests.wells import double_well


def dynamics(integrator: str = "langevin-middle", timestep_fs: float = 10.0) -> tuple[object, np.ndarray]:
    system = double_well(integrator, timestep_fs)
    opened = open_passages(system, Boundary(system, "left", "right"), platform="numpy")
    return opened, np.linspace(-0.5, 0.5, 20).reshape(-1, 1, 1)


def numbers(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(n) // 2, np.arange(n) + 100


def test_a_pair_starts_one_way_and_the_other() -> None:
    opened, positions = dynamics()
    configuration, pair = numbers(20)
    shots = shoot_pairs(opened, positions, configuration, pair, 1, 5)
    assert len(shots) == 40
    assert shots.pair.tolist() == np.repeat(pair, 2).tolist()
    assert shots.configuration.tolist() == np.repeat(configuration, 2).tolist()
    assert shots.sign.tolist() == [1, -1] * 20
    # After one step of 0.01 the two are on either side of where they began, but for force and noise.
    moved = shots.open.positions[:, 0, 0] - np.repeat(positions[:, 0, 0], 2)
    assert np.corrcoef(moved[::2], moved[1::2])[0, 1] < -0.9


def test_undecided_shots_go_on_from_where_they_stopped() -> None:
    opened, positions = dynamics()
    configuration, pair = numbers(20)
    first = shoot_pairs(opened, positions, configuration, pair, 30, 5)
    assert 0 < first.undecided.sum() < len(first)
    same = go_on(opened, first, 30, 6)
    assert np.array_equal(same.outcome, first.outcome)
    assert np.array_equal(same.open.positions, first.open.positions)
    later = go_on(opened, first, 100_000, 6)
    assert not later.undecided.any()
    assert len(later.open) == 0
    done = ~first.undecided
    assert np.array_equal(later.outcome[done], first.outcome[done])
    assert np.array_equal(later.steps[done], first.steps[done])
    assert (later.steps[~done] > 30).all()
    partly = go_on(opened, first, 60, 6)
    assert (partly.steps[partly.undecided] == 60).all()
    assert len(partly.open) == partly.undecided.sum()


def test_counts_say_what_became_of_each_configuration() -> None:
    nothing = PhasePoints(np.zeros((1, 1, 1)), np.zeros((1, 1, 1)))
    outcome = np.array([A, B, B, NEITHER, CRASHED, A])
    configuration = np.array([0, 0, 2, 2, 2, 0])
    rows = np.arange(6)
    shots = Shots(configuration, rows // 2, 1 - 2 * (rows % 2), outcome, rows + 1, nothing)
    counts = count(shots, 4)
    assert counts.a.tolist() == [2, 0, 0, 0]
    assert counts.b.tolist() == [1, 0, 1, 0]
    assert counts.undecided.tolist() == [0, 0, 1, 0]
    assert counts.crashed.tolist() == [0, 0, 1, 0]
    assert counts.decided.tolist() == [3, 0, 1, 0]
    both = joined([shots, shots])
    assert (len(both), both.total_steps, len(both.open)) == (12, 42, 2)


def test_rows_that_do_not_match_are_refused() -> None:
    none = PhasePoints(np.zeros((0, 1, 1)), np.zeros((0, 1, 1)))
    rows = np.arange(2)
    with pytest.raises(ValueError, match="outcome has shape"):
        Shots(rows, rows, rows, np.zeros(3, dtype=np.int64), rows, none)
    with pytest.raises(ValueError, match="open shots"):
        Shots(rows, rows, rows, np.array([A, NEITHER]), rows, none)
    with pytest.raises(ValueError, match="do not match"):
        PhasePoints(np.zeros((2, 1, 1)), np.zeros((1, 1, 1)))
