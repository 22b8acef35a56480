"""Short moves from configurations between the states."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from molgen.committor.moves import Moves
from molgen.dynamics.passage import CRASHED
from molgen.dynamics.passage_factory import open_passages
from molgen.errors import InputError
from molgen.observables.boundary import NEITHER, Boundary
from tests.wells import double_well, potential

SYSTEM = double_well("overdamped", 1.0, 2)
BOUNDARY = Boundary(SYSTEM, "left", "right")
DYNAMICS = open_passages(SYSTEM, BOUNDARY, platform="numpy")


def test_they_are_what_the_dynamics_does_between_two_looks() -> None:
    """Mean and variance of 40,000 moves of two steps of 1e-3 from one place, to five standard errors."""
    moves = Moves.make(DYNAMICS, np.full((20_000, 1, 1), 0.3), 2, 1)
    assert (moves.each, moves.lag_ps) == (2, pytest.approx(2e-3))
    change = moves.after[:, 0, 0] - 0.3
    slope = (potential(np.array(0.3 + 1e-5)) - potential(np.array(0.3 - 1e-5))) / 2e-5
    assert change.mean() == pytest.approx(-2e-3 * slope, abs=5 * np.sqrt(4e-3 / 40_000) + 2e-5)
    # The force grows by 9 kT over a unit here, so that two steps spread by a hundredth more than free ones.
    assert change.var() == pytest.approx(4e-3, rel=5 * np.sqrt(2 / 40_000) + 0.02)
    assert np.array_equal(Moves.make(DYNAMICS, np.full((20_000, 1, 1), 0.3), 2, 1).after, moves.after)


def test_those_that_end_in_a_state_count_twice() -> None:
    moves = Moves.make(DYNAMICS, np.full((500, 1, 1), 0.88), 2, 1)
    inside = moves.after[:, 0, 0] > 0.9
    assert 100 < inside.sum() < 900
    assert np.array_equal(moves.label != NEITHER, inside | (moves.after[:, 0, 0] < -0.9))
    assert moves.times.tolist() == np.where(inside, 2.0, 1.0).tolist()


def test_dynamics_that_crashes_is_an_error() -> None:
    class Crashing:
        """The same dynamics, one of whose passages leaves the finite numbers."""

        check_every, timestep_ps = DYNAMICS.check_every, DYNAMICS.timestep_ps
        velocities = staticmethod(DYNAMICS.velocities)

        def run(self, *arguments: Any) -> Any:
            found = DYNAMICS.run(*arguments)
            return replace(found, label=np.where(np.arange(len(found.label)) == 3, CRASHED, found.label))

    crashing: Any = Crashing()
    with pytest.raises(InputError, match=r"1 of 20 short moves .* Give frames"):
        Moves.make(crashing, np.zeros((10, 1, 1)), 2, 1)
