"""Training and validation frames, split so that neighbours in time stay together."""

import numpy as np

from molgen.arrays import IntArray
from molgen.errors import UsageError
from molgen.seeds import numpy_generator
from molgen.trajectories.frames import FrameSet

_ENOUGH_PIECES = 20


def split_blocks(frames: FrameSet, *, validation_fraction: float = 0.1, seed: int) -> tuple[IntArray, IntArray]:
    """Indices of training and validation frames, each ascending.

    Whole lineages are held out where there are at least twenty; otherwise every lineage is cut into contiguous
    blocks of time, about twenty in all, and whole blocks are held out. Blocks are drawn at random until
    they hold ``validation_fraction`` of the frames. ``UsageError`` for fewer than two frames or a fraction
    outside (0, 1).
    """
    n = len(frames)
    if n < 2 or not 0.0 < validation_fraction < 1.0:
        message = f"{n} frames cannot be split with a validation fraction of {validation_fraction:g}."
        raise UsageError(message, "Give at least two frames and a fraction between 0 and 1.")
    piece = _pieces(frames.lineage)
    n_pieces = int(piece.max()) + 1
    order = numpy_generator(seed, "split").permutation(n_pieces)
    sizes = np.bincount(piece, minlength=n_pieces)[order]
    wanted = int(np.searchsorted(np.cumsum(sizes), validation_fraction * n)) + 1
    held_out = np.zeros(n_pieces, dtype=np.bool_)
    held_out[order[: min(wanted, n_pieces - 1)]] = True
    validation = held_out[piece]
    return np.flatnonzero(~validation).astype(np.int64), np.flatnonzero(validation).astype(np.int64)


def _pieces(lineage: IntArray) -> IntArray:
    """The piece (n,) each frame belongs to, numbered from 0 without gaps."""
    _, number, count = np.unique(lineage, return_inverse=True, return_counts=True)
    if len(count) >= _ENOUGH_PIECES:
        return number.astype(np.int64)
    blocks = -(-_ENOUGH_PIECES // len(count))
    order = np.argsort(number, kind="stable")
    rank = np.empty(len(lineage), dtype=np.int64)
    rank[order] = np.arange(len(lineage)) - np.repeat(np.cumsum(count) - count, count)
    _, piece = np.unique(number * blocks + rank * blocks // count[number], return_inverse=True)
    return piece.astype(np.int64)
