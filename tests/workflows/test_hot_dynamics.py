"""Starting points of an exploring run: every declared state has some, if there is a way to it."""

from pathlib import Path

import numpy as np

from molgen.dynamics.explore import HotSeeds
from molgen.observables.states import build_states
from molgen.observables.table import evaluate_cvs
from molgen.systems.loading import load_system
from molgen.workflows.hot_dynamics import read_hot, starting_points, write_hot


def hot(positions: np.ndarray) -> HotSeeds:
    return HotSeeds(positions, 1, 100, positions[:2] + 0.5, np.array([0, 1]))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    given = hot(np.random.default_rng(1).normal(size=(4, 3, 3)))
    write_hot(tmp_path / "hot.npz", given)
    found = read_hot(tmp_path / "hot.npz")
    assert (found.rejected, found.evaluations) == (1, 100)
    for name in ("positions", "visits", "visited"):
        np.testing.assert_array_equal(getattr(found, name), getattr(given, name))


def test_a_state_that_hot_dynamics_does_not_find_is_made() -> None:
    system = load_system("alanine-dipeptide-vacuum")
    states = build_states(system)
    chain = HotSeeds(np.repeat(system.positions[None], 40, 0), 0, 0, np.zeros((0, 22, 3)), np.zeros(0, dtype=np.int64))
    points = starting_points(system, [chain], seed=1, platform="Reference")
    label = states.assign(evaluate_cvs(system, points))
    assert points.shape == (40, 22, 3)
    # The structure itself is in neither state.
    assert np.bincount(label + 1).tolist() == [36, 2, 2]
    assert np.sum((points == system.positions).all(axis=(1, 2))) == 36


def test_visits_come_before_made_structures_and_change_nothing_where_no_state_is_missing() -> None:
    system = load_system("double-well")
    left, right = np.full((30, 1, 1), -1.0), np.full((2, 1, 1), 1.1)
    chain = HotSeeds(left, 0, 0, right, np.array([1, 1]))
    points = starting_points(system, [chain], seed=1, platform="numpy")
    assert np.sum(points == 1.1) == 1
    both = HotSeeds(np.concatenate([left, right]), 0, 0, right + 1.0, np.array([1, 1]))
    assert np.array_equal(starting_points(system, [both], seed=1, platform="numpy"), both.positions)
