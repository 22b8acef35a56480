"""What a score learned of the forces: regression of one on the other, in Cartesian space without rigid motion."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from molgen.arrays import FloatArray, IntArray

GROUPS = 20
"""Groups of consecutive frames of which each is left out once."""


@dataclass(frozen=True)
class ForceRow:
    """One comparison over the components called ``name``, of a score s at ``noise`` (nm) with forces f in kT/nm.

    ``correlation`` Σ w s·f / √(Σ w s² Σ w f²) and ``slope`` Σ w s·f / Σ w f² over frames of weight w, without an
    intercept, since a perfect score is 0 where the force is; ``slope_error`` is the slope's standard error by the
    jackknife over groups of consecutive frames; ``residual`` √(Σ w |s − f|² / Σ w f²); ``rms_force`` in kT/nm a
    component. ``expected`` is the slope of a perfect score at this noise, None if unknown.
    """

    name: str
    noise: float
    components: int
    correlation: float
    slope: float
    slope_error: float
    residual: float
    rms_force: float
    expected: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The row as plain data."""
        return asdict(self)


def without_rigid_motion(positions: FloatArray, vectors: FloatArray) -> FloatArray:
    """``vectors`` (n, N, D) without their parts along translations and rotations of ``positions`` (n, N, D).

    The orthogonal projection on what changes the shape: no net force, no torque about the centroid. One particle is
    left as it is, since it has no shape.
    """
    n, particles, dim = positions.shape
    if particles == 1:
        return vectors
    centred = positions - positions.mean(axis=1, keepdims=True)
    modes = [np.broadcast_to(axis, positions.shape) for axis in np.eye(dim)]
    for first in range(dim):
        for second in range(first + 1, dim):
            turn = np.zeros_like(centred)
            turn[..., first], turn[..., second] = -centred[..., second], centred[..., first]
            modes.append(turn)
    basis = np.stack([mode.reshape(n, -1) for mode in modes], axis=2)
    # The singular vectors of a line of atoms, which has a rotation less, end with one of length 0.
    left, size, _ = np.linalg.svd(basis, full_matrices=False)
    left = left * (size > 1e-9 * size[:, :1])[:, None, :]
    flat = vectors.reshape(n, -1)
    along = np.einsum("nic,ni->nc", left, flat)
    return np.asarray((flat - np.einsum("nic,nc->ni", left, along)).reshape(vectors.shape))


def compare(
    name: str,
    score: FloatArray,
    force: FloatArray,
    weight: FloatArray,
    *,
    noise: float,
    expected: float | None = None,
) -> ForceRow:
    """The row of ``score`` on ``force`` (n, …) of frames in order of time, of ``weight`` (n,)."""
    n = len(score)
    s, f = score.reshape(n, -1), force.reshape(n, -1)
    cross, square, own, off = (weight * part.sum(axis=1) for part in (s * f, f * f, s * s, (s - f) ** 2))
    total = square.sum()
    slope = cross.sum() / total
    group = np.arange(n) * min(GROUPS, n) // n
    cross_of, square_of = (np.bincount(group, weights=part) for part in (cross, square))
    left_out = (cross.sum() - cross_of) / (total - square_of)
    groups = len(left_out)
    error = np.sqrt((groups - 1) / groups * np.sum((left_out - left_out.mean()) ** 2)) if groups > 1 else np.nan
    return ForceRow(
        name=name,
        noise=noise,
        components=s.shape[1],
        correlation=float(cross.sum() / np.sqrt(total * own.sum())),
        slope=float(slope),
        slope_error=float(error),
        residual=float(np.sqrt(off.sum() / total)),
        rms_force=float(np.sqrt(total / (weight.sum() * s.shape[1]))),
        expected=expected,
    )


def bond_directions(positions: FloatArray, bonds: Sequence[tuple[int, int]]) -> tuple[FloatArray, FloatArray]:
    """Unit vectors (n, B, D) from the first to the second atom of each bond, and the lengths (n, B)."""
    first, second = (np.array([bond[end] for bond in bonds], dtype=np.int64) for end in (0, 1))
    difference = positions[:, second] - positions[:, first]
    length = np.sqrt((difference**2).sum(axis=-1))
    return difference / length[..., None], length


def along_bonds(vectors: FloatArray, directions: FloatArray, bonds: Sequence[tuple[int, int]]) -> FloatArray:
    """Components (n, B) of ``vectors`` (n, N, D) along the unit stretch (−e, e)/√2 of each bond."""
    first, second = (np.array([bond[end] for bond in bonds], dtype=np.int64) for end in (0, 1))
    return np.asarray(((vectors[:, second] - vectors[:, first]) * directions).sum(axis=-1) / np.sqrt(2.0))


def expected_bond_slope(length: FloatArray, weight: FloatArray, noise: float) -> float:
    """The slope along bonds of the exact score at ``noise``: Σ_b 1/(s_b² + σ²) / Σ_b 1/s_b².

    A Gaussian of spread s_b has the force −x/s_b² and, with noise σ, the score −x/(s_b² + σ²): less by the factor
    1/(1 + σ²/s_b²). s_b is the spread along the unit stretch (−e, e)/√2, which is that of the length (n, B) divided by
    √2, since the noise moves both ends. Each bond counts by its mean square force 1/s_b².
    """
    share = weight / weight.sum()
    mean = share @ length
    square = 0.5 * (share @ (length - mean) ** 2)
    return float(np.sum(1.0 / (square + noise**2)) / np.sum(1.0 / square))


def classes(kinds: Sequence[str]) -> dict[str, IntArray]:
    """The particles of each kind, in the order in which the kinds appear."""
    array = np.array(kinds)
    return {kind: np.flatnonzero(array == kind) for kind in dict.fromkeys(kinds)}
