"""A local minimum of an energy near a structure: the zero against which energies of frames are read."""

import numpy as np

from molgen.arrays import FloatArray
from molgen.energies.base import Energy


def minimise(energy: Energy, positions: FloatArray, *, steps: int = 300) -> tuple[FloatArray, float]:
    """Positions (N, D) and reduced energy after at most ``steps`` iterations of L-BFGS from ``positions`` (N, D).

    Counted as evaluations for data. A start without a finite energy is returned as it is.
    """
    from scipy.optimize import minimize

    shape = positions.shape

    def value_and_slope(x: FloatArray) -> tuple[float, FloatArray]:
        u, slope = energy.reduced_and_gradient(x.reshape(1, *shape), purpose="data")
        return float(u[0]), np.asarray(slope[0].ravel(), dtype=np.float64)

    start, _ = value_and_slope(np.asarray(positions, dtype=np.float64).ravel())
    if not np.isfinite(start):
        return positions, start
    found = minimize(value_and_slope, positions.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": steps})
    if not np.isfinite(found.fun) or found.fun > start:
        return positions, start
    return np.asarray(found.x, dtype=np.float64).reshape(shape), float(found.fun)
