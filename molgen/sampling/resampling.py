"""Drawing equally weighted rows from weighted ones."""

import numpy as np

from molgen.arrays import FloatArray, IntArray


def systematic_resampling(share: FloatArray, n: int, generator: np.random.Generator) -> IntArray:
    """``n`` rows, ascending, row i on average ``n``·``share``_i times and never one time more or less than that.

    One uniform number places n equidistant points on the cumulated shares (n,), which need not sum to 1: the
    lowest-variance scheme of Kitagawa, J. Comput. Graph. Stat. 5, 1 (1996), doi:10.1080/10618600.1996.10474692.
    ``ValueError`` without any share.
    """
    cumulated = np.cumsum(share)
    total = float(cumulated[-1]) if len(cumulated) else 0.0
    if not total > 0.0:
        raise ValueError("no row has any share")
    points = (np.arange(n) + generator.random()) * (total / n)
    used = np.flatnonzero(share > 0.0)  # the last point may round up to the very end, beyond the last row in use
    rows = np.searchsorted(cumulated, points, side="right")
    return np.asarray(np.minimum(rows, used[-1]), dtype=np.int64)
