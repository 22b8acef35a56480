import numpy as np
import pytest

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.coordinates.domain import Domain
from molgen.dynamics.explore import MOST_VISITS, hot_chain, with_visits
from molgen.dynamics.propagator import Piece
from molgen.errors import PartialError

_INTERVAL = Piece(700.0, 5, 5)


class Counting:
    """Each piece moves the one coordinate on by 1, so that a frame tells how many accepted pieces made it."""

    timestep_ps = 1.0

    def run(self, start: FloatArray, piece: Piece, seed: int) -> FloatArray:
        self.last_seed = seed
        return np.repeat((start + 1.0)[:, None], piece.frames, axis=1)


class EverySecond(Domain):
    def contains(self, positions: FloatArray) -> BoolArray:
        object.__setattr__(self, "calls", getattr(self, "calls", 0) + 1)
        return np.array([self.calls % 2 == 1])  # type: ignore[attr-defined]


class Never(Domain):
    def contains(self, positions: FloatArray) -> BoolArray:
        return np.zeros(len(positions), dtype=np.bool_)


def test_refused_frames_are_counted_and_the_chain_goes_on_from_the_last_good_one() -> None:
    hot = hot_chain(
        Counting(), np.zeros((1, 1)), EverySecond(), warm_up=Piece(700.0, 5, 5, 10), interval=_INTERVAL, n=3, seed=1
    )
    assert hot.positions[:, 0, 0].tolist() == [2.0, 3.0, 4.0]
    assert hot.rejected == 3
    assert hot.evaluations == 15 + 6 * 5


def test_a_chain_that_never_keeps_its_stereochemistry_ends_with_a_remedy() -> None:
    with pytest.raises(PartialError, match="hot_temperature_k"):
        hot_chain(Counting(), np.zeros((1, 1)), Never(), warm_up=_INTERVAL, interval=_INTERVAL, n=2, seed=1)


class Walking:
    """The one coordinate grows by 1 a step."""

    timestep_ps = 1.0

    def run(self, start: FloatArray, piece: Piece, seed: int) -> FloatArray:
        steps = piece.discard_steps + piece.every * np.arange(1, piece.frames + 1)
        return start[:, None] + steps[None, :, None, None]


def test_frames_between_the_starting_points_are_kept_of_each_state() -> None:
    def label(frames: FloatArray) -> IntArray:
        x = frames[:, 0, 0]
        return np.where(x % 100 == 0, 0, np.where((x > 130) & (x < 180), 1, -1))

    class Everywhere(Domain):
        def contains(self, positions: FloatArray) -> BoolArray:
            return positions[:, 0, 0] != 150.0

    piece = Piece(700.0, 100, 100)
    hot = hot_chain(Walking(), np.zeros((1, 1)), Everywhere(), warm_up=piece, interval=piece, n=3, seed=1, label=label)
    # Starting points are as without looking; those themselves are no visits.
    assert hot.positions[:, 0, 0].tolist() == [200.0, 300.0, 400.0]
    assert hot.evaluations == 400
    assert hot.visits[:, 0, 0].tolist() == [140.0, 160.0, 170.0]
    assert hot.visited.tolist() == [1, 1, 1]


def test_of_many_visits_some_are_kept() -> None:
    piece = Piece(700.0, 100, 100)
    hot = hot_chain(
        Walking(), np.zeros((1, 1)), Always(), warm_up=piece, interval=piece, n=9, seed=1,
        label=lambda frames: np.zeros(len(frames), dtype=np.int64),
    )  # fmt: skip
    assert len(hot.visits) == MOST_VISITS
    assert hot.visits[0, 0, 0] == 110.0
    assert hot.visits[-1, 0, 0] == 990.0


class Always(Domain):
    def contains(self, positions: FloatArray) -> BoolArray:
        return np.ones(len(positions), dtype=np.bool_)


def test_a_state_with_few_starting_points_is_given_some_of_its_visits() -> None:
    starts, states = np.arange(80.0)[:, None, None], np.array([0] * 69 + [1] * 10 + [3])
    visits = np.array([100.0, 101.0, 200.0, 201.0, 202.0, 300.0, 301.0, 302.0, 303.0])[:, None, None]
    visited = np.array([1, 1, 2, 2, 2, 3, 3, 3, 3])
    given = with_visits(starts, states, visits, visited)[:, 0, 0]
    changed = np.flatnonzero(given != np.arange(80.0))
    # A twentieth of 80: state 2 has three visits, one of them twice; state 3 lacks three, state 1 none.
    assert sorted(given[changed]) == [200.0, 200.0, 201.0, 202.0, 300.0, 301.0, 303.0]
    assert np.all(changed < 69)
    assert np.array_equal(with_visits(starts, states, visits[:2], visited[:2]), starts)
    alone = with_visits(starts[:1], states[:1], visits, visited)
    assert alone[:, 0, 0].tolist() == [0.0]  # the only starting point stays


def test_many_states_share_half_of_the_starting_points() -> None:
    starts, states = np.arange(100.0)[:, None, None], np.zeros(100, dtype=np.int64)
    visited = np.repeat(np.arange(1, 51), 5)
    given = with_visits(starts, states, 1000.0 + np.arange(250.0)[:, None, None], visited)[:, 0, 0]
    assert (given >= 1000.0).sum() == 50
