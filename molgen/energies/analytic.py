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


def double_well(frames: FloatArray, parameters: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
    """V(x) = b (x^2 - 1)^2 + t x and its derivative, for frames (n, 1, 1); b is ``barrier``, t is ``tilt`` (kT)."""
    x = frames[:, 0, 0]
    barrier, tilt = parameters["barrier"], parameters["tilt"]
    well = x * x - 1.0
    return barrier * well * well + tilt * x, (4.0 * barrier * x * well + tilt)[:, None, None]


def muller_brown(frames: FloatArray, parameters: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
    """The Müller-Brown potential times ``scale`` and its gradient, for frames (n, 1, 2).

    V(x, y) = s * sum_k A_k exp(a_k dx^2 + b_k dx dy + c_k dy^2), dx = x - x_k, dy = y - y_k
    (K. Müller and L. D. Brown, doi:10.1007/BF00547608; the constants are the paper's).
    """
    # Terms along the first axis: sums over a short last one cost more than the exponentials.
    height, a, b, c, x0, y0 = _MULLER_BROWN.T[:, :, None]
    dx = frames[:, 0, 0] - x0
    dy = frames[:, 0, 1] - y0
    terms = parameters["scale"] * height * np.exp(a * dx * dx + b * dx * dy + c * dy * dy)
    gradient_x = (terms * (2.0 * a * dx + b * dy)).sum(axis=0)
    gradient_y = (terms * (b * dx + 2.0 * c * dy)).sum(axis=0)
    return terms.sum(axis=0), np.stack([gradient_x, gradient_y], axis=1)[:, None]


def dead_end(frames: FloatArray, parameters: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
    """V(x, y) = b (x^2 - 1)^2 + k/2 y^2 - d exp(-((x - 0.3)^2 + (y - 1.5)^2)/(2 0.4^2)), for frames (n, 1, 2).

    b ↔ ``barrier``, k ↔ ``stiffness``, d ↔ ``depth`` (kT): a double well along x with a pocket beside its barrier.
    """
    x, y = frames[:, 0, 0], frames[:, 0, 1]
    barrier, stiffness = parameters["barrier"], parameters["stiffness"]
    dx, dy, square = x - 0.3, y - 1.5, 0.4 * 0.4
    pocket = parameters["depth"] * np.exp(-0.5 * (dx * dx + dy * dy) / square)
    well = x * x - 1.0
    gradient_x = 4.0 * barrier * x * well + pocket * dx / square
    gradient_y = stiffness * y + pocket * dy / square
    value = barrier * well * well + 0.5 * stiffness * y * y - pocket
    return value, np.stack([gradient_x, gradient_y], axis=1)[:, None]


def hidden_coordinate(frames: FloatArray, parameters: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
    """V = b (x_0^2 - 1)^2 + k/2 (s - c x_0)^2 + r/2 (sum_i x_i^2 - s^2), s = sum_i x_i / 3, for frames (n, 1, 10).

    i from 1 to 9; b ↔ ``barrier``, k ↔ ``stiffness``, c ↔ ``coupling``, r ↔ ``rest`` (kT). The nine coordinates are a
    rotation of s, along which the barrier is crossed, and of eight that nothing else depends on.
    """
    x, others = frames[:, 0, 0], frames[:, 0, 1:]
    barrier, coupling = parameters["barrier"], parameters["coupling"]
    s = others.sum(axis=1) / 3.0
    well, off = x * x - 1.0, s - coupling * x
    rest = parameters["rest"]
    gradient = np.empty_like(frames)
    gradient[:, 0, 0] = 4.0 * barrier * x * well - parameters["stiffness"] * coupling * off
    gradient[:, 0, 1:] = rest * others + ((parameters["stiffness"] * off - rest * s) / 3.0)[:, None]
    value = barrier * well * well + 0.5 * parameters["stiffness"] * off * off
    return value + 0.5 * rest * ((others * others).sum(axis=1) - s * s), gradient


def pair_double_well(frames: FloatArray, parameters: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
    """V = sum_{i<j} q (d_ij - d0)^2 + r (d_ij - d0)^4 and its gradient, for frames (n, N, 2).

    d0 ↔ ``distance``, q ↔ ``quadratic``, r ↔ ``quartic`` (J. Köhler et al., ICML 2020, arXiv:2006.02425).
    """
    difference, distance = _pairs(frames)
    x = distance - parameters["distance"]
    square = x * x
    value = parameters["quadratic"] * square + parameters["quartic"] * square * square
    slope = 2.0 * parameters["quadratic"] * x + 4.0 * parameters["quartic"] * square * x
    return value.sum(axis=1), _scattered(difference, slope / distance, frames.shape[1])


def lennard_jones(frames: FloatArray, parameters: Mapping[str, float]) -> tuple[FloatArray, FloatArray]:
    """V = e sum_{i<j} [(s/d_ij)^12 - 2 (s/d_ij)^6] + k/2 sum_i |x_i - c|^2 and its gradient, for frames (n, N, 3).

    e ↔ ``depth``, s ↔ ``radius`` (the distance of the minimum), k ↔ ``spring``, c ↔ the centroid.
    """
    difference, distance = _pairs(frames)
    depth, spring = parameters["depth"], parameters["spring"]
    # Products, not powers: numpy's power rounds differently at the end of an array.
    square = (parameters["radius"] / distance) * (parameters["radius"] / distance)
    attraction = square * square * square
    value = depth * (attraction * attraction - 2.0 * attraction).sum(axis=1)
    slope = depth * 12.0 * (attraction - attraction * attraction) / distance
    centred = frames - frames.mean(axis=1, keepdims=True)
    gradient = _scattered(difference, slope / distance, frames.shape[1]) + spring * centred
    return value + 0.5 * spring * (centred * centred).sum(axis=2).sum(axis=1), gradient


def _pairs(frames: FloatArray) -> tuple[FloatArray, FloatArray]:
    """x_i - x_j (n, P, D) and its length (n, P) for the pairs i < j."""
    first, second = np.triu_indices(frames.shape[1], 1)
    # take gives rows in memory order, so that sums over pairs round alike for one frame and for many.
    difference = frames.take(first, axis=1) - frames.take(second, axis=1)
    return difference, np.sqrt((difference**2).sum(axis=-1))


def _scattered(difference: FloatArray, factor: FloatArray, n: int) -> FloatArray:
    """The gradient (m, n, D) of a pair sum from x_i - x_j (m, P, D) and V'(d)/d (m, P)."""
    first, second = np.triu_indices(n, 1)
    forces = factor[:, :, None] * difference
    # Summed along an axis, not by a matrix product: its rounding would depend on how many frames are computed at once.
    table = np.zeros((len(forces), n, n, forces.shape[2]))
    table[:, first, second], table[:, second, first] = forces, -forces
    return np.asarray(table.sum(axis=2), dtype=np.float64)


POTENTIALS: dict[str, Potential] = {
    "double-well": double_well,
    "muller-brown": muller_brown,
    "dead-end": dead_end,
    "hidden-coordinate": hidden_coordinate,
    "pair-double-well": pair_double_well,
    "lennard-jones": lennard_jones,
}
"""Value (n,) and gradient (n, N, D) of each analytic potential by name."""


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
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            value, slope = POTENTIALS[self._name](frames, self._parameters)
        reduced, gradient = marked(self._beta * value, self._beta * slope)
        assert gradient is not None
        return reduced, gradient
