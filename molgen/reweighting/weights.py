"""From energies and densities to log weights; the figures on them are in :mod:`molgen.weights`."""

import numpy as np

from molgen.arrays import BoolArray, FloatArray


def log_weights(reduced_energy: FloatArray, log_q: FloatArray | None, in_domain: BoolArray) -> FloatArray:
    """log w = -u - log q ``(n,)``; -inf (weight 0) outside the domain and where u or log q is not finite.

    ``reduced_energy`` u = U/kT and ``log_q`` ``(n,)``; ``log_q`` None means frames of the target itself, log w = 0.
    Rows are kept, never dropped: a failed draw counts in n.
    """
    energy = np.asarray(reduced_energy, dtype=np.float64)
    valid = np.asarray(in_domain, dtype=np.bool_) & np.isfinite(energy)
    if log_q is None:
        return np.where(valid, 0.0, -np.inf)
    density = np.asarray(log_q, dtype=np.float64)
    valid = valid & np.isfinite(density)
    result = np.full(len(energy), -np.inf)
    result[valid] = -energy[valid] - density[valid]
    return result
