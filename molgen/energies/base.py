"""What every energy offers, and the checks they share."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from molgen.arrays import FloatArray
from molgen.energies.counter import EvaluationCounter, Purpose
from molgen.errors import InputError

CHUNK_FRAMES = 128
"""Frames of one task. Fixed, so that results do not depend on how many workers share them."""


class Energy(Protocol):
    """A reduced potential u(x) = U(x) / kT (dimensionless) on frames ``(n, N, D)``."""

    n_particles: int
    dim: int
    temperature_k: float
    platform: str
    counter: EvaluationCounter

    def reduced(self, positions: FloatArray, *, purpose: Purpose) -> FloatArray:
        """u of each frame (n,); +inf where it is not finite. ``InputError`` for another shape, never for geometry."""
        ...

    def reduced_and_gradient(self, positions: FloatArray, *, purpose: Purpose) -> tuple[FloatArray, FloatArray]:
        """u (n,) and du/dx (n, N, D) per nm (or reduced length); a row that is not finite has u = +inf, gradient 0."""
        ...


def checked_frames(positions: FloatArray, n_particles: int, dim: int) -> FloatArray:
    """``positions`` as contiguous float64 ``(n, n_particles, dim)``; ``InputError`` for another shape."""
    frames = np.ascontiguousarray(positions, dtype=np.float64)
    if frames.ndim != 3 or frames.shape[1:] != (n_particles, dim):
        raise InputError(
            f"Frames of shape {frames.shape} were given where (n, {n_particles}, {dim}) is needed.",
            "Give frames of this system.",
        )
    return frames


def chunks(frames: FloatArray) -> Iterator[FloatArray]:
    """``frames`` in pieces of :data:`CHUNK_FRAMES`, in order."""
    for start in range(0, len(frames), CHUNK_FRAMES):
        yield frames[start : start + CHUNK_FRAMES]


def marked(reduced: FloatArray, gradient: FloatArray | None) -> tuple[FloatArray, FloatArray | None]:
    """Rows whose energy or gradient is not finite as u = +inf and gradient 0.

    Overlapping atoms give NaN without an exception, and a comparison with NaN is False: hence a mark of its own.
    """
    bad = ~np.isfinite(reduced)
    if gradient is not None:
        bad |= ~np.isfinite(gradient).all(axis=(1, 2))
        gradient = np.where(bad[:, None, None], 0.0, gradient)
    return np.where(bad, np.inf, reduced), gradient
