"""Bootstrap of several samples weighed together: rows are drawn anew within each sample, and the equations solved anew.

B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap (Chapman & Hall, 1993), section 8: of several samples
each is resampled by itself. What is drawn are blocks: single draws of a model, and some consecutive frames of a
trajectory, since frames thinned out to one in g are still correlated a little (to exp(-2) for an exponential decay).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from molgen.arrays import BoolArray, Float32Array, FloatArray, IntArray
from molgen.reweighting.mixture import log_mixture, mixture_and_responsibilities
from molgen.reweighting.multistate import curvature, refine
from molgen.weights import log_mean_exp, normalised

RESIDUAL = 1e-4
"""To which each replicate's equations are solved; its f moves by some 1e-4 kT with that, the replicates by 1e-2."""


@dataclass(frozen=True)
class Replicates:
    """``relative`` ``(R, n)``: each row's weight over that in the whole, whatever the target.

    ``free_energies`` ``(R, K)`` are f in kT.

    ``log_z`` ``(R,)`` is ln of the mean weight.
    """

    relative: Float32Array
    free_energies: FloatArray
    log_z: FloatArray


def replicates(
    log_density: FloatArray,
    counts: FloatArray,
    pinned: BoolArray,
    free_energies: FloatArray,
    origin: IntArray,
    block: IntArray,
    log_target: FloatArray,
    *,
    repeats: int,
    generator: np.random.Generator,
    between: Callable[[], None] = lambda: None,
) -> Replicates:
    """``repeats`` bootstrap replicates of the weights of all rows.

    ``log_density`` ``(n, K)``, ``counts``, ``pinned`` and ``free_energies`` ``(K,)`` as in
    :mod:`molgen.reweighting.multistate`; ``origin`` ``(n,)`` is the sample each row was drawn from, ``block``
    ``(n,)`` numbers the blocks, and ``log_target`` ``(n,)`` is ln of the target's density up to a factor, -u (what is
    not finite has weight 0).
    ``between`` is called before every replicate.
    """
    mixture, from_sample = mixture_and_responsibilities(log_density + free_energies, counts)
    free = ~pinned if np.any(pinned) else np.arange(len(counts)) > 0
    slope = curvature(from_sample, counts, np.ones(len(origin)))[np.ix_(free, free)]
    own = _log_weight(log_target, mixture)
    share, log_own = normalised(own), log_mean_exp(own)
    rows = [np.flatnonzero(origin == index) for index in range(len(counts))]
    blocks = [np.unique(block[index], return_inverse=True)[1] for index in rows]
    relative = np.zeros((repeats, len(origin)), dtype=np.float32)
    found = np.tile(free_energies, (repeats, 1))
    log_z = np.full(repeats, -np.inf)
    known = np.isfinite(mixture)
    for repeat in range(repeats):
        between()
        drawn = np.zeros(len(origin))
        for index, member in zip(rows, blocks, strict=True):
            number = int(np.max(member)) + 1
            times = np.bincount(generator.integers(0, number, number), minlength=number)[member].astype(np.float64)
            drawn[index] = times * (len(index) / np.sum(times))  # blocks at an end are shorter
        if not np.all(pinned):
            # The first Newton step with the curvature of the whole, which hardly differs, nearly solves it.
            found[repeat, free] -= np.linalg.solve(slope, (drawn @ from_sample - counts)[free])
            found[repeat] = refine(log_density, counts, pinned, found[repeat], weight=drawn, residual=RESIDUAL)
            moved = log_mixture(log_density + found[repeat], counts)
            drawn[known] *= np.exp(mixture[known] - moved[known])
        total = float(drawn @ share)
        if total > 0.0:
            log_z[repeat] = log_own + math.log(total)
            # Also of rows that weigh nothing here: under another target they may.
            relative[repeat] = np.where(known, drawn / total, 0.0)
    return Replicates(relative, found, log_z)


def _log_weight(log_target: FloatArray, mixture: FloatArray) -> FloatArray:
    known = np.isfinite(log_target) & np.isfinite(mixture)
    result = np.full(len(mixture), -np.inf)
    result[known] = log_target[known] - mixture[known]
    return result
