"""What ends a passage: one state alone, or the far side of an interface."""

import pickle

import numpy as np
import pytest

from molgen.errors import InputError
from molgen.observables.boundary import NEITHER, A, B, Boundary
from molgen.observables.regions import CROSSED, Interface, OneState, Region
from tests.wells import double_well

BOUNDARY = Boundary(double_well(), "left", "right")
X = np.array([-1.2, -0.5, -0.3, 0.5, 1.2, np.nan]).reshape(-1, 1, 1)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (OneState(BOUNDARY, A), [A, NEITHER, NEITHER, NEITHER, NEITHER, NEITHER]),
        (OneState(BOUNDARY, B), [NEITHER, NEITHER, NEITHER, NEITHER, B, NEITHER]),
        (Interface(BOUNDARY, "x > -0.4", A), [NEITHER, NEITHER, CROSSED, CROSSED, B, NEITHER]),
        (Interface(BOUNDARY, "x > -0.4", B), [A, CROSSED, NEITHER, NEITHER, NEITHER, NEITHER]),
        # States stay what they are whatever the condition says of them.
        (Interface(BOUNDARY, "x < -0.4", A), [NEITHER, CROSSED, NEITHER, NEITHER, B, NEITHER]),
    ],
)
def test_labels_of_one_frame_and_of_many_are_the_same(labels: OneState | Interface, expected: list[int]) -> None:
    for again in (labels, pickle.loads(pickle.dumps(labels))):  # noqa: S301 - our own bytes
        assert again.assign(X).tolist() == expected
        assert [again.where_is(frame) for frame in X] == expected


def test_a_region_is_where_its_condition_holds() -> None:
    region = Region(BOUNDARY.system, "-0.4 < x < 0.6")
    for again in (region, pickle.loads(pickle.dumps(region))):  # noqa: S301 - our own bytes
        assert again.contains(X).tolist() == [False, False, True, True, False, False]
        assert [again.holds(frame) for frame in X] == [False, False, True, True, False, None]


@pytest.mark.parametrize("condition", ["otherwise", "y > 0", "x >"])
def test_conditions_that_are_none_are_refused(condition: str) -> None:
    with pytest.raises(InputError):
        Interface(BOUNDARY, condition, A)
    with pytest.raises(InputError):
        Region(BOUNDARY.system, condition)
