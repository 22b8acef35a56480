"""Transition path sampling against the transitions of long dynamics on the Müller-Brown surface, made flatter."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from molgen.analysis.correlated import independent_rows
from molgen.dynamics.passage_factory import open_passages
from molgen.errors import InputError
from molgen.observables.boundary import A, B, Boundary
from molgen.observables.states import with_states
from molgen.shooting.paths import (
    Selection,
    UniformSelection,
    first_paths,
    make_moves,
    paths_content,
    paths_of_content,
)
from molgen.systems.definition import StateSection
from molgen.systems.loading import load_system

FLAT, STEP, EVERY = 3.0, 0.03, 2
STATES = (
    StateSection(name="a", where="within(x, y; -0.55, 1.44; 0.4)"),
    StateSection(name="b", where="within(x, y; 0.62, 0.03; 0.35)"),
)
CHAINS, MOVES, DISCARD = 160, 30, 5


def warm() -> Any:
    """With inertia, on a third of the surface, between two discs that leave the intermediate outside."""
    system = with_states(load_system("muller-brown"), STATES)
    changes = {
        "integrator": "langevin-middle",
        "timestep_fs": 1e3 * STEP,
        "friction_per_ps": 5.0,
        "check_every": EVERY,
    }
    definition = system.definition
    assert definition.analytic is not None
    update = {
        "dynamics": definition.dynamics.model_copy(update=changes),
        "analytic": definition.analytic.model_copy(update={"parameters": {"scale": 0.1 / FLAT}}),
    }
    return replace(system, definition=definition.model_copy(update=update))


BOUNDARY = Boundary(warm(), "a", "b")
DYNAMICS = open_passages(BOUNDARY.system, BOUNDARY, platform="numpy")


@dataclass(frozen=True)
class NearRidge:
    """A selection that prefers y near 0.6, with a weight of at least 0.1."""

    uniform: bool = False

    def weights(self, frames: np.ndarray) -> np.ndarray:
        return np.asarray(0.1 + np.exp(-(((frames[:, 0, 1] - 0.6) / 0.15) ** 2)))


@pytest.fixture(scope="module")
def brute() -> np.ndarray:
    """Frames between the states of every transition, both ways, of 1,500 walkers over a time of 60."""
    rng = np.random.default_rng(1)
    inner: Any = DYNAMICS
    x = np.where(rng.random(1500)[:, None, None] < 0.5, [[[-0.55, 1.44]]], [[[0.62, 0.03]]])
    v = rng.standard_normal(x.shape)
    last = BOUNDARY.assign(x)
    frames, lengths = np.zeros(len(x), np.int64), []
    for look in range(round(60.0 / (STEP * EVERY))):
        for _ in range(EVERY):
            x, v = inner.dynamics.step(x, v, rng.standard_normal(x.shape), 1.0)
        label = BOUNDARY.assign(x)
        inside = (label == A) | (label == B)
        through = inside & (label != last)
        if look * STEP * EVERY > 5.0:  # what began at one point has spread
            lengths += frames[through].tolist()
        last = np.where(inside, label, last)
        frames = np.where(inside, 0, frames + 1)
    return np.array(lengths)


@pytest.mark.parametrize("selection", [UniformSelection(), NearRidge()])
def test_path_lengths_are_those_of_long_dynamics(brute: np.ndarray, selection: Selection) -> None:
    """Kolmogorov-Smirnov at a false-alarm rate of one in 10,000, and the mean to four standard errors (one in 15,000),
    with as many paths as the correlated ones are worth."""
    start = np.array([[[-0.8, 0.6]], [[0.0, 0.3]]])
    paths, _ = first_paths(DYNAMICS, selection, start, CHAINS, 100_000, 1)
    _, moves, kept = make_moves(DYNAMICS, selection, paths, MOVES, 100_000, 2)
    assert not moves.too_long.any()
    assert moves.crashed == 0
    length = moves.length[DISCARD:].T
    chain = np.repeat(np.arange(CHAINS), length.shape[1])
    worth = length.size / independent_rows(chain, [length.ravel().astype(float)]).inefficiency
    assert min(worth, len(brute)) > 400
    grid = np.arange(max(length.max(), brute.max()) + 1)
    apart = (length.ravel()[:, None] <= grid).mean(axis=0) - (brute[:, None] <= grid).mean(axis=0)
    size = worth * len(brute) / (worth + len(brute))
    assert np.abs(apart).max() < np.sqrt(0.5 * np.log(2.0 / 1e-4) / size)
    error = np.hypot(length.std() / np.sqrt(worth), brute.std() / np.sqrt(len(brute)))
    assert error < 0.06 * brute.mean()
    assert abs(length.mean() - brute.mean()) < 4 * error
    assert 0.2 < moves.accepted.mean() < 0.95
    for _, _, path in kept[:50]:
        assert BOUNDARY.assign(path.in_a.positions).tolist() == [A]
        assert BOUNDARY.assign(path.in_b.positions).tolist() == [B]
        assert (BOUNDARY.assign(path.frames) < 0).all()
        # From A to B: neighbours are a stride apart, the ends next to their states.
        assert np.abs(path.frames[0] - path.in_a.positions[0]).max() < 8 * STEP * EVERY
        assert np.abs(path.frames[-1] - path.in_b.positions[0]).max() < 8 * STEP * EVERY


def mean_weight(selection: Selection) -> tuple[float, float]:
    """The mean over paths of how near the ridge each is on average, and its standard error."""
    start = np.array([[[-0.8, 0.6]], [[0.0, 0.3]]])
    paths, _ = first_paths(DYNAMICS, selection, start, CHAINS, 100_000, 1)
    _, _, kept = make_moves(DYNAMICS, selection, paths, MOVES, 100_000, 2)
    values = np.full((MOVES + 1, CHAINS), np.nan)
    values[0] = [NearRidge().weights(path.frames).mean() for path in paths]
    for move, chain, path in kept:
        values[move + 1, chain] = NearRidge().weights(path.frames).mean()
    for move in range(MOVES):
        values[move + 1] = np.where(np.isnan(values[move + 1]), values[move], values[move + 1])
    rows = values[DISCARD + 1 :].T
    worth = rows.size / independent_rows(np.repeat(np.arange(CHAINS), rows.shape[1]), [rows.ravel()]).inefficiency
    return float(rows.mean()), float(rows.std() / np.sqrt(worth))


def test_paths_are_the_same_whatever_their_points_are_chosen_by() -> None:
    """To four standard errors (one in 15,000). Accepting by the length instead is five of them off."""
    alike, near = mean_weight(UniformSelection()), mean_weight(NearRidge())
    error = np.hypot(alike[1], near[1])
    assert error < 0.01
    assert abs(near[0] - alike[0]) < 4.0 * error


def test_a_leg_given_up_is_counted_unless_its_path_would_be_rejected() -> None:
    start = np.array([[[-0.8, 0.6]]])
    paths, _ = first_paths(DYNAMICS, NearRidge(), start, 20, 100_000, 1)
    _, moves, _ = make_moves(DYNAMICS, NearRidge(), paths, 2, 3 * EVERY, 2)
    assert moves.too_long.mean() > 0.5
    assert (moves.length[0][moves.too_long[0]] == np.array([len(path) for path in paths])[moves.too_long[0]]).all()


def test_paths_are_kept_and_found_again() -> None:
    paths, _ = first_paths(DYNAMICS, UniformSelection(), np.array([[[-0.8, 0.6]]]), 3, 100_000, 1)
    again = paths_of_content(paths_content(paths, "x_"), "x_")
    for one, two in zip(paths, again, strict=True):
        np.testing.assert_array_equal(one.frames, two.frames)
        np.testing.assert_array_equal(one.in_b.velocities, two.in_b.velocities)
        np.testing.assert_array_equal(one.weights, two.weights)


def test_configurations_that_give_no_path_are_refused() -> None:
    with pytest.raises(InputError, match="No transition path was found"):
        first_paths(DYNAMICS, UniformSelection(), np.array([[[-0.55, 1.0]]]), 1, EVERY, 1)
