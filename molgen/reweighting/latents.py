"""Whether draws are those of their model: their latent numbers must be distributed as the model draws them.

Recomputing log q row by row cannot see draws that were taken away, given twice, or chosen: each of them is in order.
But the latent numbers of *all* draws of a flow are independent and uniform (angles) or standard normal, exactly and
whatever the flow has learned, so that rows which are missing leave a gap. Each number is counted in cells of equal
probability, and the squared length of the normal ones as well. Of a Cartesian flow only the length is looked at: it is
the same in every orientation and numbering of equal particles, while draws are renumbered into the system's domain.
Draws under a bias have other latent numbers; of them the mass that they give to the model without a bias is known.
"""

import math

import numpy as np

from molgen.arrays import FloatArray
from molgen.reweighting.audit import AuditCheck

CELLS = 64
"""Cells of equal probability for each latent number."""
MAX_FALSE_ALARM = 1e-6
"""Probability that right draws fail, over all latent numbers together."""
MIN_EXPECTED = 5.0
"""Rows a cell needs for the χ² distribution to hold."""
MASS_ERRORS = 6.0
"""Standard errors by which the plain model's mass, from biased draws, may miss 1."""
MIN_MASS_ROWS = 200
"""Draws that this takes."""


def check_latents(latent: FloatArray, n_angles: int | None, n_hidden: int) -> AuditCheck:
    """The draws' latent numbers ``(n, d)``, the first ``n_angles`` of them uniform on [-π, π), the rest normal.

    None for those of a Cartesian flow, all normal, of which only the length is tested.

    ``n_hidden`` further draws have no latent numbers (outside the domain, rejected); where they belong is not known, so
    that they are counted where most are missing. Fails if the least of all p-values, times their number, is below
    ``MAX_FALSE_ALARM``.
    """
    known = latent[np.isfinite(latent).all(axis=1)]
    hidden = n_hidden + len(latent) - len(known)
    n = len(known) + hidden
    cells = min(CELLS, int(n / MIN_EXPECTED))
    if cells < 8 or latent.shape[1] == 0:
        return AuditCheck("latent numbers", True, f"not tested with {n} draws")
    names, columns = _quantiles(known, n_angles)
    found = [_probability(column, cells, hidden) for column in columns]
    worst = int(np.argmin(found))
    least = min(1.0, found[worst] * len(found))
    detail = f"{n} draws, {len(found)} distributions, the least likely ({names[worst]}) has p = {least:.2g} among them"
    if least < MAX_FALSE_ALARM:
        return AuditCheck("latent numbers", False, f"{detail}: draws are missing, repeated or not of this model")
    return AuditCheck("latent numbers", True, detail)


def check_mass(ratio: FloatArray, largest: float, n_hidden: int) -> AuditCheck:
    """Whether biased draws, each with its ``ratio`` ``(n,)`` q_plain/q, give the plain model the mass that it has.

    E_q[q_plain/q] = 1 for draws of q, a mixture that holds a share a of the plain model, whatever the bias; a ratio is
    at most 1/a ↔ ``largest``. Rows taken away or given twice, that a bias draws more or less often than the plain model
    does, spoil it. ``n_hidden`` further draws (outside the domain, rejected) have ratios between 0 and ``largest``.
    """
    n = len(ratio) + n_hidden
    if n < MIN_MASS_ROWS:
        return AuditCheck("mass", True, f"not tested with {n} draws")
    total = float(np.sum(ratio))
    low, high = total / n, (total + n_hidden * largest) / n
    error = float(np.std(np.concatenate([ratio, np.zeros(n_hidden)]))) / math.sqrt(n)
    between = f"{low:.3f}" if n_hidden == 0 else f"{low:.3f} to {high:.3f}"
    detail = f"the plain model has {between} of its mass in {n} draws, standard error {error:.2g}"
    if low - MASS_ERRORS * error > 1.0 or high + MASS_ERRORS * error < 1.0:
        return AuditCheck("mass", False, f"{detail}: draws are missing, repeated or not of this distribution")
    return AuditCheck("mass", True, detail)


def _quantiles(latent: FloatArray, n_angles: int | None) -> tuple[list[str], list[FloatArray]]:
    """Name and cumulative probability ``(n,)`` of each number, and of the squared length of the normal ones."""
    from scipy.stats import chi2, norm

    names: list[str] = []
    columns: list[FloatArray] = []
    normal = latent
    if n_angles is not None:
        turned, normal = np.mod(latent[:, :n_angles] / (2.0 * math.pi) + 0.5, 1.0), latent[:, n_angles:]
        names = [f"angle {k + 1}" for k in range(n_angles)] + [f"number {k + 1}" for k in range(normal.shape[1])]
        columns = [*turned.T, *norm.cdf(normal).T]
    if normal.shape[1]:
        names.append("their length")
        columns.append(chi2.cdf(np.sum(normal**2, axis=1), normal.shape[1]))
    return names, [np.asarray(column, dtype=np.float64) for column in columns]


def _probability(quantile: FloatArray, cells: int, hidden: int) -> float:
    """Pearson's χ² of ``quantile`` ``(n,)`` in equal cells, with ``hidden`` more rows where it is least."""
    from scipy.stats import chi2

    place = np.minimum((quantile * cells).astype(np.int64), cells - 1)
    counts = np.bincount(place, minlength=cells).astype(np.float64)
    expected = (len(quantile) + hidden) / cells
    if hidden:
        counts = _filled(counts, hidden)
    statistic = float(np.sum((counts - expected) ** 2)) / expected
    return float(chi2.sf(statistic, cells - 1))


def _filled(counts: FloatArray, more: int) -> FloatArray:
    """``counts`` with ``more`` rows put where fewest are, so that the lowest are level."""
    ascending = np.sort(counts)
    # Raising the k + 1 lowest to a common level takes (k + 1)·level - Σ of them.
    level = (more + np.cumsum(ascending)) / np.arange(1, len(counts) + 1)
    height = level[np.flatnonzero(level >= ascending)[-1]]
    return np.asarray(np.maximum(counts, height), dtype=np.float64)
