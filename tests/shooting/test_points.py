"""Where to shoot from."""

import numpy as np
import pytest

from molgen.errors import InputError
from molgen.observables.boundary import NEITHER, Boundary
from molgen.shooting.points import choose_points
from tests.wells import double_well

SYSTEM = double_well()
BOUNDARY = Boundary(SYSTEM, "left", "right")


def generator(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_points_lie_between_the_states_and_none_is_taken_twice() -> None:
    frames = np.linspace(-2.0, 2.0, 401).reshape(-1, 1, 1)
    choice = choose_points(BOUNDARY, frames, 100, generator(), lineage=np.arange(401) // 10)
    points = choice.points
    assert (BOUNDARY.assign(points.positions) == NEITHER).all()
    assert len(set(points.source.tolist())) == 100
    assert np.array_equal(points.positions, frames[points.source])
    assert np.array_equal(points.lineage, points.source // 10)
    assert choice.outside_share == pytest.approx(np.mean(np.abs(frames) <= 0.9))
    again = choose_points(BOUNDARY, frames, 100, generator())
    assert np.array_equal(again.points.source, points.source)


def test_weighted_frames_are_taken_as_often_as_they_weigh() -> None:
    frames = np.array([-0.5, 0.0, 0.5, 2.0]).reshape(-1, 1, 1)
    weight = np.array([0.1, 0.3, 0.0, 0.6])
    with np.errstate(divide="ignore"):
        choice = choose_points(BOUNDARY, frames, 400, generator(), log_weight=np.log(weight))
    assert np.bincount(choice.points.source, minlength=4).tolist() == [100, 300, 0, 0]
    assert choice.outside_share == pytest.approx(0.4)


def test_too_few_frames_are_refused() -> None:
    inside = np.full((5, 1, 1), 1.0)
    with pytest.raises(InputError, match="None of the 5 frames lies outside left and right"):
        choose_points(BOUNDARY, inside, 1, generator())
    few = np.array([0.0, 1.0, -1.0]).reshape(-1, 1, 1)
    with pytest.raises(InputError, match="Only 1 of 3 frames") as caught:
        choose_points(BOUNDARY, few, 2, generator())
    assert "at most 1 points" in caught.value.hint


def test_the_sources_weight_is_known_by_block() -> None:
    system = double_well()
    x = np.concatenate([np.full(10, -1.0), np.full(20, 0.1), np.full(10, 1.0)]).reshape(-1, 1, 1)
    choice = choose_points(
        Boundary(system, "left", "right"), x, 5, np.random.default_rng(1), lineage=np.zeros(40, dtype=np.int64)
    )
    assert (choice.share_a, choice.outside_share, choice.share_b) == pytest.approx((0.25, 0.5, 0.25))
    population = choice.population
    assert len(population.a) == 20  # one lineage, cut into blocks of two frames
    assert population.outside.tolist() == pytest.approx([0.0] * 5 + [0.05] * 10 + [0.0] * 5)
    assert population.point.tolist() == (choice.points.source // 2).tolist()
