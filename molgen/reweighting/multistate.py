"""MBAR with samples of known density: the normalisation f_k of every sample whose density is known up to a factor.

The multistate Bennett acceptance ratio (M. R. Shirts and J. D. Chodera, J. Chem. Phys. 129, 124105 (2008),
doi:10.1063/1.2978177) solves Σ_n r_k(x_n) = n_k with r_k the responsibilities of
:mod:`molgen.reweighting.mixture` and ln q_k = f_k - u_k. Draws of a model have u = -ln q and f = 0 by construction:
all of them together are one sample from the mixture of their densities, whose f is not solved for but pinned. Without
any, the first sample has f = 0, and only differences mean something.
"""

import logging

import numpy as np

from molgen.arrays import BoolArray, FloatArray
from molgen.errors import InputError
from molgen.reweighting.mixture import log_mixture, mixture_and_responsibilities

RESIDUAL = 1e-6
"""The equations are solved when every sum of responsibilities is its n_k to this fraction."""
AGREEMENT_KT = 0.01
"""Two solvers may differ by this much."""
_IMPOSSIBLE = 1e8
"""A reduced potential of what a sample cannot hold; infinities would give pymbar 0·∞."""
_ITERATIONS = 500
_LARGEST_STEP = 5.0
_DAMPING = 1e-6


def solve_free_energies(log_density: FloatArray, counts: FloatArray, pinned: BoolArray) -> FloatArray:
    """f ``(K,)`` in kT, 0 where ``pinned``; ``log_density`` ``(n, K)`` holds -u_k of the rest and ln q of the pinned.

    An answer means something only between samples that are connected
    (:func:`molgen.reweighting.mixture.components`). ``InputError`` where the equations do not converge.
    """
    fixed = pinned if np.any(pinned) else np.arange(len(counts)) == 0
    if np.all(fixed):
        return np.zeros(len(counts))
    base = log_mixture(log_density[:, fixed], counts[fixed])
    start = np.zeros(len(counts))
    for index in np.flatnonzero(~fixed):
        # Zwanzig's formula from the fixed samples, whose only merit here is the right order of magnitude.
        ratio = log_density[:, index] - base
        known = np.isfinite(ratio)
        start[index] = -float(np.median(ratio[known])) if np.any(known) else 0.0
    return refine(log_density, counts, pinned, start)


def confirm(log_density: FloatArray, counts: FloatArray, pinned: BoolArray, free_energies: FloatArray) -> None:
    """``InputError`` unless pymbar's MBAR, started there, finds ``free_energies`` ``(K,)`` too."""
    if np.all(pinned):
        return
    columns, sizes = _pooled(log_density, counts, pinned)
    start = free_energies if not np.any(pinned) else np.concatenate([[0.0], free_energies[~pinned]])
    found = _by_pymbar(np.clip(-columns.T, -_IMPOSSIBLE, _IMPOSSIBLE), sizes, start)
    if not np.max(np.abs(found - (start - start[0]))) < AGREEMENT_KT:
        raise _not_converged()


def _pooled(log_density: FloatArray, counts: FloatArray, pinned: BoolArray) -> tuple[FloatArray, FloatArray]:
    """The samples of known density as one, which comes first, and the rest."""
    if not np.any(pinned):
        return log_density, counts
    together = log_mixture(log_density[:, pinned], counts[pinned])
    # A row that the model rejected can have come from nothing else.
    together = np.where(together == np.inf, 0.0, together)
    columns = np.concatenate([together[:, None], log_density[:, ~pinned]], axis=1)
    return columns, np.concatenate([[np.sum(counts[pinned])], counts[~pinned]])


def _by_pymbar(reduced: FloatArray, counts: FloatArray, start: FloatArray) -> FloatArray:
    # Without JAX, which is not needed here, pymbar logs a banner when it is imported.
    logging.getLogger("pymbar").setLevel(logging.ERROR)
    from pymbar import MBAR
    from pymbar.utils import ParameterError

    protocol = ({"method": "adaptive", "options": {"min_sc_iter": 0}},)
    try:
        solver = MBAR(reduced, counts.astype(np.int64), initial_f_k=start, solver_protocol=protocol)
    except (ParameterError, ValueError, np.linalg.LinAlgError) as error:
        raise _not_converged() from error
    return np.asarray(solver.f_k - solver.f_k[0], dtype=np.float64)


def refine(
    log_density: FloatArray,
    counts: FloatArray,
    pinned: BoolArray,
    start: FloatArray,
    weight: FloatArray | None = None,
    residual: float = RESIDUAL,
) -> FloatArray:
    """f ``(K,)`` by damped Newton steps from ``start``; ``weight`` ``(n,)`` counts each row (1 if None).

    The equations are the stationary point of the convex Σ_n c_n ln Σ_k n_k exp(f_k - u_k) - Σ_k n_k f_k, with
    c_n ↔ ``weight``: a bootstrap replicate repeats rows. ``InputError`` where they do not converge to ``residual``.
    """
    free = ~pinned if np.any(pinned) else np.arange(len(counts)) > 0
    counted = np.ones(len(log_density)) if weight is None else weight

    def evaluate(values: FloatArray) -> tuple[float, FloatArray]:
        mixture, share = mixture_and_responsibilities(log_density + values, counts)
        known = np.isfinite(mixture)
        return float(counted[known] @ mixture[known] - counts @ values), share

    f = np.array(start, dtype=np.float64)
    height, share = evaluate(f)
    for _ in range(_ITERATIONS):
        gradient = counted @ share - counts
        if np.max(np.abs(gradient[free]) / counts[free], initial=0.0) < residual:
            return f
        step = np.zeros(len(f))
        step[free] = np.linalg.solve(curvature(share, counts, counted)[np.ix_(free, free)], -gradient[free])
        size = min(1.0, _LARGEST_STEP / max(float(np.max(np.abs(step))), 1e-300))
        trial, share = evaluate(f + size * step)
        # Near the solution the objective changes by less than its rounding.
        while trial > height + 1e-12 * abs(height) and size > 1e-10:
            size *= 0.5
            trial, share = evaluate(f + size * step)
        f, height = f + size * step, trial
    raise _not_converged()


def curvature(share: FloatArray, counts: FloatArray, weight: FloatArray) -> FloatArray:
    """Second derivatives ``(K, K)`` in f of what :func:`refine` minimises, damped so that they can be inverted."""
    weighted = weight[:, None] * share
    return np.asarray(np.diag(np.sum(weighted, axis=0) + _DAMPING * counts) - share.T @ weighted, dtype=np.float64)


def _not_converged() -> InputError:
    return InputError(
        "The equations that join these ensembles (MBAR) did not converge.",
        "Give longer runs, or more windows between those that hardly overlap.",
    )
