"""Several samples as one: the density of their mixture, which sample could have drawn a row, and their overlap.

A row x of any of K samples, n_k rows from density q_k, is weighed as a draw of the mixture

    q(x) = Σ_k (n_k/n) q_k(x),   n = Σ_k n_k,

so that w = exp(-u)/q. This is the balance heuristic (E. Veach and L. J. Guibas, SIGGRAPH 1995,
doi:10.1145/218380.218498) or deterministic mixture (A. Owen and Y. Zhou, J. Am. Stat. Assoc. 95, 135 (2000),
doi:10.1080/01621459.2000.10473909): no row has a larger weight than under any one q_k by more than n/n_k. With
q_k = exp(f_k - u_k) and f solved for, it is MBAR (:mod:`molgen.reweighting.multistate`).

Arrays: ``log_density`` ``(n, K)`` holds ln q_k of every row, -inf where sample k could not have drawn it, and
``counts`` ``(K,)`` the n_k.
"""

import numpy as np

from molgen.arrays import BoolArray, FloatArray, IntArray

MIN_SHARED_ROWS = 5.0
"""Two samples are connected if this many rows could have come from either (Σ r_i r_j over rows)."""
WEAK_OVERLAP = 0.03
"""Below this overlap of neighbours a free-energy difference is uncertain (P. V. Klimovich, M. R. Shirts and D. L.
Mobley, J. Comput. Aided Mol. Des. 29, 397 (2015), doi:10.1007/s10822-015-9840-9)."""


def log_mixture(log_density: FloatArray, counts: FloatArray) -> FloatArray:
    """ln q ``(n,)``; -inf for a row that no sample could have drawn, +inf where one of them rejected it (+inf)."""
    return mixture_and_responsibilities(log_density, counts)[0]


def responsibilities(log_density: FloatArray, counts: FloatArray) -> FloatArray:
    """r_k ``(n, K)``: the probability n_k q_k / Σ_j n_j q_j that a row came from sample k; 0 for a row of no sample."""
    return mixture_and_responsibilities(log_density, counts)[1]


def mixture_and_responsibilities(log_density: FloatArray, counts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Both at once: :func:`log_mixture` and :func:`responsibilities`."""
    terms = log_density + np.log(counts / np.sum(counts))
    peak = np.max(terms, axis=1)
    known = np.isfinite(peak)
    if not known.all():
        terms = np.where(known[:, None], terms, -np.inf)
    share = np.exp(terms - np.where(known, peak, 0.0)[:, None])
    total = np.sum(share, axis=1)
    total[~known] = 1.0
    share /= total[:, None]
    return np.asarray(peak + np.log(total), dtype=np.float64), share


def shared_rows(share: FloatArray) -> FloatArray:
    """S_ij = Σ r_i r_j ``(K, K)`` over rows, from :func:`responsibilities`."""
    return np.asarray(share.T @ share, dtype=np.float64)


def overlap_matrix(share: FloatArray, counts: FloatArray) -> FloatArray:
    """O_ij = S_ij/n_i ``(K, K)``: the mean probability that a row of sample i came from j; rows sum to about 1."""
    return np.asarray(shared_rows(share) / counts[:, None], dtype=np.float64)


def components(shared: FloatArray, joined: BoolArray | None = None, least: float = MIN_SHARED_ROWS) -> IntArray:
    """Number ``(K,)``, from 0, of the connected set that each sample belongs to.

    Samples are neighbours if they share at least ``least`` rows; those of ``joined`` ``(K,)`` (True) are connected
    whatever they share, because their densities are known.
    """
    size = len(shared)
    linked = shared >= least
    if joined is not None:
        known = np.asarray(joined, dtype=np.bool_)
        linked = linked | (known[:, None] & known[None, :])
    label = np.full(size, -1, dtype=np.int64)
    for start in range(size):
        if label[start] >= 0:
            continue
        reached, number = [start], int(label.max()) + 1
        label[start] = number
        while reached:
            for other in np.flatnonzero(linked[reached.pop()] & (label < 0)):
                label[other] = number
                reached.append(int(other))
    return label


def weakest_link(overlap: FloatArray, joined: BoolArray | None = None) -> float:
    """The largest o such that neighbours with max(O_ij, O_ji) ≥ o connect all samples; 1 for a single one.

    The larger of the two is that of the smaller sample, of whose rows the other explains most. Found as the smallest
    edge of the maximum spanning tree (Prim's algorithm). Samples of ``joined`` ``(K,)`` count as one.
    """
    edge = np.maximum(overlap, overlap.T)
    if joined is not None:
        known = np.asarray(joined, dtype=np.bool_)
        edge = np.where(known[:, None] & known[None, :], 1.0, edge)
    inside = np.zeros(len(edge), dtype=np.bool_)
    inside[0] = True
    weakest = 1.0
    while not inside.all():
        candidates = edge[np.ix_(inside, ~inside)].max(axis=0)
        best = int(np.argmax(candidates))
        weakest = min(weakest, float(candidates[best]))
        inside[np.flatnonzero(~inside)[best]] = True
    return weakest
