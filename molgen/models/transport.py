"""Equivariant optimal transport: which noise goes to which frame, turned and renumbered so that paths are short.

Noise is isotropic and its particles are alike, so a rotation or a permutation of identical particles changes nothing
about it; chosen to bring it near its frame, they make the paths of flow matching short and almost straight
(L. Klein, A. Krämer and F. Noe, NeurIPS 2023, arXiv:2306.15030). Only proper rotations are used: a mirrored noise would
teach a chiral molecule to be its own image.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from molgen.arrays import FloatArray

ROUNDS = 2
"""How often the permutation and then the rotation are improved."""


def couple(noise: FloatArray, frames: FloatArray, groups: Sequence[Sequence[int]], block: int) -> FloatArray:
    """``noise`` (n, N, D) reordered, turned and renumbered to match ``frames`` (n, N, D), row by row.

    Rows are taken in blocks of ``block``, within which the assignment of noise to frames has the least total square
    distance; particles are exchanged within ``groups`` alone. All configurations are centred.
    """
    result = np.empty_like(noise)
    for start in range(0, len(noise), block):
        z, x = noise[start : start + block], frames[start : start + block]
        m = len(z)
        first, second = np.divmod(np.arange(m * m), m)
        moved = aligned(z[first], x[second], groups)
        cost = ((moved - x[second]) ** 2).sum((1, 2)).reshape(m, m)
        rows, columns = linear_sum_assignment(cost)
        result[start + columns] = moved[rows * m + columns]
    return result


def aligned(moving: FloatArray, fixed: FloatArray, groups: Sequence[Sequence[int]]) -> FloatArray:
    """``moving`` (n, N, D) renumbered within ``groups`` and turned onto ``fixed`` (n, N, D), both centred."""
    for _ in range(ROUNDS):
        for group in groups:
            chosen = list(group)
            moving = moving.copy()
            moving[:, chosen] = _matched(moving[:, chosen], fixed[:, chosen])
        moving = _turned(moving, fixed)
    return moving


def _matched(moving: FloatArray, fixed: FloatArray) -> FloatArray:
    """Particles of ``moving`` (n, M, D) in the order of least total square distance to those of ``fixed``."""
    gain = fixed @ moving.transpose(0, 2, 1)
    order = np.stack([linear_sum_assignment(row, maximize=True)[1] for row in gain])
    return np.take_along_axis(moving, order[:, :, None], axis=1)


def _turned(moving: FloatArray, fixed: FloatArray) -> FloatArray:
    """Kabsch's rotation of each row, never a reflection (W. Kabsch, Acta Cryst. A32 (1976) 922)."""
    covariance = moving.transpose(0, 2, 1) @ fixed
    if moving.shape[2] == 2:
        angle = np.arctan2(covariance[:, 0, 1] - covariance[:, 1, 0], covariance[:, 0, 0] + covariance[:, 1, 1])
        c, s = np.cos(angle), np.sin(angle)
        return np.asarray(moving @ np.stack([np.stack([c, s], -1), np.stack([-s, c], -1)], -2))
    left, _, right = np.linalg.svd(covariance)
    sign = np.sign(np.linalg.det(left @ right))
    left[:, :, -1] *= sign[:, None]
    return np.asarray(moving @ (left @ right))
