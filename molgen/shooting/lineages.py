"""Lineages: pieces of dynamics that know nothing of each other, which intervals and held-out sets are made of."""

import math

import numpy as np

from molgen.arrays import BoolArray, IntArray


def independent_blocks(lineage: IntArray, at_least: int) -> IntArray:
    """``lineage`` (n,) numbered from 0 and, if there are fewer than ``at_least``, each cut into equal blocks of frames.

    Frames of a lineage stand in time order, so that a block is a stretch of time. No block is shorter than one frame.
    """
    names, row = np.unique(lineage, return_inverse=True)
    if len(names) >= at_least:
        return row.astype(np.int64)
    each = math.ceil(at_least / max(len(names), 1))
    sizes = np.bincount(row, minlength=len(names))
    order = np.argsort(row, kind="stable")
    place = np.empty(len(row), dtype=np.int64)
    place[order] = np.arange(len(row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    _, block = np.unique(row * each + place * each // sizes[row], return_inverse=True)
    return block.astype(np.int64)


def excursions(inside: BoolArray, lineage: IntArray) -> IntArray:
    """The number (n,) of the excursion that each frame belongs to, from 0 on, in the order of the frames.

    Frames of a ``lineage`` (n,) stand together and in time order; those that are ``inside`` (n,) a state begin a new
    excursion. Dynamics that was in a state has forgotten where it came from, as all rates between states assume.
    """
    begins = np.array(inside, dtype=np.bool_)
    begins[1:] |= lineage[1:] != lineage[:-1]
    begins[:1] = True
    return np.cumsum(begins) - 1
