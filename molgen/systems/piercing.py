"""Bonds that run through a ring: a structure no minimisation mends and no bond length betrays."""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from molgen.arrays import FloatArray


def pierced_rings(
    positions: FloatArray, rings: Iterable[Sequence[int]], bonds: Iterable[tuple[int, int]]
) -> list[tuple[tuple[int, int], tuple[int, ...]]]:
    """Each bond that passes through the surface of a ring it has no atom of, with that ring.

    ``positions`` (N, 3) in nm; the atoms of a ring are in the order of its bonds. Its surface is a fan of triangles
    about its centre.
    """
    pairs = list(bonds)
    found = []
    for ring in rings:
        corners = positions[list(ring)]
        centre = corners.mean(axis=0)
        for i, j in pairs:
            if i in ring or j in ring:
                continue
            triangles = itertools.pairwise([*corners, corners[0]])
            if any(_crosses(positions[i], positions[j], (centre, a, b)) for a, b in triangles):
                found.append(((i, j), tuple(ring)))
    return found


def _crosses(start: FloatArray, end: FloatArray, triangle: tuple[FloatArray, FloatArray, FloatArray]) -> bool:
    """Whether a segment meets a triangle: start + t (end - start) = a + u (b - a) + v (c - a), all within bounds."""
    a, b, c = triangle
    matrix = np.stack([start - end, b - a, c - a], axis=1)
    if abs(float(np.linalg.det(matrix))) < 1e-12:
        return False
    t, u, v = np.linalg.solve(matrix, start - a)
    return bool(0.0 <= t <= 1.0 and u >= 0.0 and v >= 0.0 and u + v <= 1.0)
