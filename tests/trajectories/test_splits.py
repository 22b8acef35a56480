"""Splits hold out time, not single frames."""

import numpy as np
import pytest

from molgen.arrays import IntArray
from molgen.errors import UsageError
from molgen.trajectories.frames import FrameSet
from molgen.trajectories.splits import split_blocks


def frames(lineage: IntArray) -> FrameSet:
    return FrameSet(np.zeros((len(lineage), 1, 3)), lineage, "explore", np.full(len(lineage), 300.0))


@pytest.mark.parametrize("lineage", [np.zeros(1000), np.arange(1000) % 3, np.arange(1000) // 10, np.arange(1000)])
def test_it_is_a_partition_of_the_right_size_and_repeatable(lineage: np.ndarray) -> None:
    whole = frames(lineage.astype(np.int64))
    train, validation = split_blocks(whole, validation_fraction=0.1, seed=4)
    assert sorted([*train, *validation]) == list(range(1000))
    assert 100 <= len(validation) <= 150
    again = split_blocks(whole, validation_fraction=0.1, seed=4)
    np.testing.assert_array_equal(again[1], validation)
    assert not np.array_equal(split_blocks(whole, seed=5)[1], validation)


def test_whole_lineages_are_held_out_where_there_are_many() -> None:
    lineage = np.random.default_rng(0).permutation(np.repeat(np.arange(40), 25))
    train, validation = split_blocks(frames(lineage), seed=1)
    assert not set(lineage[train]) & set(lineage[validation])
    assert len(set(lineage[validation])) == 4


def test_few_lineages_are_cut_into_blocks_of_time() -> None:
    lineage = np.arange(1000) % 2  # two runs, their frames stored in turn
    _, validation = split_blocks(frames(lineage), seed=1)
    for number in (0, 1):
        steps = np.diff(np.flatnonzero(np.isin(np.flatnonzero(lineage == number), validation)))
        assert (steps > 1).sum() <= 2  # at most a few contiguous blocks
    assert len(validation) == 100


def test_the_smallest_set_leaves_something_on_both_sides() -> None:
    train, validation = split_blocks(frames(np.zeros(2, dtype=np.int64)), validation_fraction=0.9, seed=1)
    assert len(train) == len(validation) == 1


@pytest.mark.parametrize(("n", "fraction"), [(1, 0.1), (0, 0.1), (10, 0.0), (10, 1.0)])
def test_what_cannot_be_split_is_refused(n: int, fraction: float) -> None:
    with pytest.raises(UsageError, match="cannot be split"):
        split_blocks(frames(np.zeros(n, dtype=np.int64)), validation_fraction=fraction, seed=1)
