import numpy as np
import pytest

from molgen.arrays import BoolArray, FloatArray
from molgen.coordinates.domain import Domain
from molgen.dynamics.explore import hot_chain
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
