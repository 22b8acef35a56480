"""Analytic potentials with known answers, in reduced units: kT = 1, unit mass."""

from collections.abc import Callable, Mapping

import numpy as np

from molgen.arrays import FloatArray
from molgen.energies.base import checked_frames, marked
from molgen.energies.counter import EvaluationCounter, Purpose
from molgen.systems.system import AnalyticSystem

Potential = Callable[[FloatArray, Mapping[str, float]], tuple[FloatArray, FloatArray]]

# K. Müller and L. D. Brown, Theor. Chim. Acta 53, 75 (1979), doi:10.1007/BF00547608: columns A, a, b, c, x, y.
_MULLER_BROWN = np.array(
    [
        [-200.0, -1.0, 0.0, -10.0, 1.0, 0.0],
        [-100.0, -1.0, 0.0, -10.0, 0.0, 0.5],
        [-170.0, -6.5, 11.0, -6.5, -0.5, 1.5],
        [15.0, 0.7, 0.6, 0.7, -1.0, 1.0],
    ]
)


def double_well(points: FloatArray, parameters: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
    """V(x) = b (x^2 - 1)^2 + t x and its derivative, for points (n, 1); b is ``barrier``, t is ``tilt`` (kT)."""
    x = points[:, 0]
    barrier, tilt = parameters["barrier"], parameters["tilt"]
    well = x * x - 1.0
    return barrier * well * well + tilt * x, (4.0 * barrier * x * well + tilt)[:, None]


def muller_brown(points: FloatArray, parameters: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
    """The Müller-Brown potential times ``scale`` and its gradient, for points (n, 2).

    V(x, y) = s * sum_k A_k exp(a_k dx^2 + b_k dx dy + c_k dy^2), dx = x - x_k, dy = y - y_k
    (K. Müller and L. D. Brown, doi:10.1007/BF00547608; the constants are the paper's).
    """
    height, a, b, c, x0, y0 = _MULLER_BROWN.T
    dx = points[:, :1] - x0
    dy = points[:, 1:] - y0
    terms = parameters["scale"] * height * np.exp(a * dx * dx + b * dx * dy + c * dy * dy)
    gradient_x = (terms * (2.0 * a * dx + b * dy)).sum(axis=1)
    gradient_y = (terms * (b * dx + 2.0 * c * dy)).sum(axis=1)
    return terms.sum(axis=1), np.stack([gradient_x, gradient_y], axis=1)


POTENTIALS: dict[str, Potential] = {"double-well": double_well, "muller-brown": muller_brown}
"""Value and gradient of each analytic potential by name."""


class AnalyticEnergy:
    """The reduced potential of an analytic system; at ``temperature_k`` other than the system's, u = V T0 / T."""

    platform = "numpy"

    def __init__(self, system: AnalyticSystem, temperature_k: float | None = None) -> None:
        self.n_particles = system.n_particles
        self.dim = system.dim
        self.temperature_k = system.temperature_k if temperature_k is None else temperature_k
        self.counter = EvaluationCounter()
        self._name = system.potential
        self._parameters = system.parameters
        self._beta = system.temperature_k / self.temperature_k

    def reduced(self, positions: FloatArray, *, purpose: Purpose) -> FloatArray:
        """See :class:`molgen.energies.base.Energy`."""
        return self.reduced_and_gradient(positions, purpose=purpose)[0]

    def reduced_and_gradient(self, positions: FloatArray, *, purpose: Purpose) -> tuple[FloatArray, FloatArray]:
        """See :class:`molgen.energies.base.Energy`."""
        frames = checked_frames(positions, self.n_particles, self.dim)
        self.counter.add(purpose, len(frames))
        with np.errstate(over="ignore", invalid="ignore"):
            value, slope = POTENTIALS[self._name](frames[:, 0], self._parameters)
        reduced, gradient = marked(self._beta * value, self._beta * slope[:, None])
        assert gradient is not None
        return reduced, gradient
