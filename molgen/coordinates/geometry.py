"""Signed volumes, torsions and angles of plain arrays: what handedness and the cis or trans form are read from."""

import numpy as np
import numpy.typing as npt

from molgen.arrays import FloatArray


def signed_volumes(positions: npt.NDArray[np.floating], centre: tuple[int, int, int, int]) -> FloatArray:
    """(a - c) . [(b - c) x (d - c)] in nm^3 of a centre (c, a, b, d) for frames (n, N, 3)."""
    c, a, b, d = centre
    origin = positions[:, c]
    normal = np.cross(positions[:, b] - origin, positions[:, d] - origin)
    return np.asarray(((positions[:, a] - origin) * normal).sum(axis=1), dtype=np.float64)


def torsion_angles(positions: npt.NDArray[np.floating], atoms: tuple[int, int, int, int]) -> FloatArray:
    """The signed torsion (n,) in radians of four atoms of frames (n, N, 3), IUPAC sign."""
    a, b, c, d = (positions[:, i] for i in atoms)
    bc = c - b
    n1, n2 = np.cross(b - a, bc), np.cross(bc, d - c)
    y = (np.cross(n1, n2) * bc).sum(axis=1) / np.linalg.norm(bc, axis=1)
    return np.asarray(np.arctan2(y, (n1 * n2).sum(axis=1)), dtype=np.float64)


def bond_angle(positions: npt.NDArray[np.floating], a: int, b: int, c: int) -> float:
    """The angle a-b-c in radians of one structure (N, 3)."""
    p, q = positions[a] - positions[b], positions[c] - positions[b]
    return float(np.arctan2(np.linalg.norm(np.cross(p, q)), p @ q))
