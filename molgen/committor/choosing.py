"""Which configurations to shoot from next: where the committor is uncertain, and everywhere along it."""

import numpy as np

from molgen.arrays import FloatArray

BINS = 10
"""Equal intervals of q̂ that the spread part serves alike."""
UNCERTAIN_SHARE = 0.5
"""Share of the points chosen for their uncertainty; the rest is spread along q̂."""


def choice_share(q: FloatArray, disagreement: FloatArray) -> FloatArray:
    r"""The chance (n,) of each candidate to be a point, of the sum 1.

    Half goes in proportion to ``disagreement`` (n,), the variance of q over the members, which is what a shot can take
    off the mean squared error of q̂ there; half in equal parts to the intervals of q̂ (``q``, (n,)) that hold candidates.
    """
    even = even_share(q)
    total = disagreement.sum()
    if not total > 0.0:
        return even
    return np.asarray(UNCERTAIN_SHARE * disagreement / total + (1.0 - UNCERTAIN_SHARE) * even)


def even_share(q: FloatArray) -> FloatArray:
    """The chance (n,) of each candidate where every interval of q̂ that holds any has the same."""
    place = np.minimum((q * BINS).astype(np.int64), BINS - 1)
    held = np.bincount(place, minlength=BINS)
    return np.asarray(1.0 / (held[place] * np.count_nonzero(held)))
