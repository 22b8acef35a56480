"""Pieces of dynamics that know nothing of each other."""

import numpy as np

from molgen.shooting.lineages import excursions, independent_blocks


def test_an_excursion_ends_in_a_state_or_with_its_lineage() -> None:
    inside = np.array([0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 1, 0], dtype=np.bool_)
    lineage = np.array([3, 3, 3, 3, 3, 7, 7, 7, 7, 1, 1, 1])
    found = excursions(inside, lineage)
    assert found.tolist() == [0, 0, 1, 2, 2, 3, 3, 4, 4, 5, 6, 6]
    assert excursions(np.zeros(3, dtype=np.bool_), np.zeros(3, dtype=np.int64)).tolist() == [0, 0, 0]
    assert excursions(np.zeros(0, dtype=np.bool_), np.zeros(0, dtype=np.int64)).tolist() == []


def test_few_lineages_are_cut_into_blocks_of_time() -> None:
    assert independent_blocks(np.array([5, 5, 9, 9]), 2).tolist() == [0, 0, 1, 1]
    assert independent_blocks(np.array([5] * 4 + [9] * 8), 4).tolist() == [0, 0, 1, 1] + [2] * 4 + [3] * 4
