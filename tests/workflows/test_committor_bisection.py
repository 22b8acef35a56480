"""Bisection finds the frame where the committor changes, and gives up what cannot be decided."""

import numpy as np

from molgen.shooting.shots import Counts
from molgen.workflows.committor_bisection import Bisection, Way


def ways(*lengths: int) -> list[Way]:
    """Ways whose frames are numbered from 0 in their only coordinate, of the lineages 0, 1 ..."""
    return [Way(np.arange(m, dtype=float).reshape(-1, 1, 1), lineage) for lineage, m in enumerate(lengths)]


def outcome(values: np.ndarray, edge: float, width: float = 0.0) -> Counts:
    """A pair goes to A below ``edge``, to B above it, and both ways within ``width`` of it."""
    mixed = np.abs(values - edge) <= width
    a, b = 2 * (values < edge), 2 * (values > edge)
    nothing = np.zeros(len(values), dtype=np.int64)
    return Counts(np.where(mixed, 1, a), np.where(mixed, 1, b), nothing, nothing)


def test_a_sharp_edge_is_closed_in_by_two_neighbours() -> None:
    bisection = Bisection.begin(ways(100, 37, 1), np.array([]))
    rounds = 0
    while len(bisection.under_way):
        middle = bisection.points(rounds).positions[:, 0, 0]
        bisection = bisection.narrowed(outcome(middle, 20.5))
        rounds += 1
    assert rounds == 7  # 2^7 > 100
    assert bisection.low.tolist() == [20, 120, 137]
    assert bisection.high.tolist() == [21, 121, 138]
    assert not bisection.found.any()


def test_a_frame_that_goes_both_ways_ends_it() -> None:
    bisection = Bisection.begin(ways(64), np.array([]))
    bisection = bisection.narrowed(outcome(bisection.points(0).positions[:, 0, 0], 31.0, 1.0))
    assert bisection.found.tolist() == [True]
    assert not len(bisection.under_way)


def test_shots_without_an_outcome_give_the_way_up() -> None:
    bisection = Bisection.begin(ways(9, 9), np.array([]))
    nothing = np.zeros(2, dtype=np.int64)
    bisection = bisection.narrowed(Counts(np.array([2, 0]), nothing, np.array([0, 2]), nothing))
    assert bisection.under_way.tolist() == [0]


def test_lineages_kept_for_judging_come_last_and_are_marked() -> None:
    bisection = Bisection.begin(ways(5, 5, 5), np.array([0]))
    points, entry = bisection.points(3), bisection.round
    assert points.lineage.tolist() == [1, 2, 0]
    assert points.held_out.tolist() == [False, False, True]
    assert (entry.points, entry.held, entry.all_pairs) == (2, 1, 3)
    assert np.isnan(points.selection).all()
    after = bisection.narrowed(outcome(np.array([2.0, 2.0, 0.0]), 1.0))
    assert after.high.tolist() == [5, 7, 12]
    assert after.low.tolist() == [2, 4, 9]
