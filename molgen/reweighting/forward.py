"""Forward effective sample size: it can see a state that the model misses, if the reference frames hold it."""

import math

import numpy as np

from molgen.arrays import FloatArray
from molgen.weights import log_sum_exp


def forward_ess(frame_log_weight: FloatArray, frame_weight: FloatArray | None = None) -> float:
    """1 / (E_p[w]·E_p[1/w]) from frames of the target p that were not trained on.

    ``frame_log_weight`` ``(m,)`` is log w = -u - log q on the frames, ``frame_weight`` ``(m,)`` their own weights
    where the reference is a weighted one (None: equal). E_p[1/w] = 1/Z exactly and E_p[w] = E_q[w²]/Z, so the product
    is E_q[w²]/E_q[w]², the reciprocal of Kish's limit. A frame that the model cannot draw (log q = -inf, so
    log w = +inf) makes E_p[w] infinite and the result 0; NaN without frames or with a NaN among them.
    """
    values = np.asarray(frame_log_weight, dtype=np.float64)
    weight = np.ones(len(values)) if frame_weight is None else np.asarray(frame_weight, dtype=np.float64)
    used = weight > 0.0
    if not np.any(used) or np.any(np.isnan(values[used])):
        return math.nan
    values, log_share = values[used], np.log(weight[used] / np.sum(weight[used]))
    if np.any(values == np.inf):
        return 0.0
    return math.exp(-log_sum_exp(log_share + values) - log_sum_exp(log_share - values))
