"""Correlated frames: the statistical inefficiency of a time series, and blocks that can be taken as independent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molgen.arrays import FloatArray, IntArray

MIN_BLOCKS = 5
MANY_LINEAGES = 20
"""From this number of lineages on each is one block."""
BLOCK_INEFFICIENCIES = 5.0
"""Length of a block in statistical inefficiencies, where the data are long enough."""

BLOCK_ROWS = 5
"""Rows of a block, of those that are left of a lineage when one in g is taken."""


def statistical_inefficiency(series: FloatArray) -> float:
    """g = 1 + 2 Σ ρ(t) of a stationary series ``(n,)``, ≥ 1: n/g of its values are worth n/g independent ones.

    The sum ends by Geyer's initial positive sequence: pairs ρ(2k) + ρ(2k+1) up to the first that is not positive
    (C. J. Geyer, Statist. Sci. 7, 473 (1992), doi:10.1214/ss/1177011137). 1 for a constant or very short series.
    """
    x = np.asarray(series, dtype=np.float64)
    n = len(x)
    if n < 4:
        return 1.0
    x = x - np.mean(x)
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(x, size)
    covariance = np.fft.irfft(spectrum * np.conj(spectrum), size)[:n] / n
    return _initial_positive_sum(covariance)


def _initial_positive_sum(covariance: FloatArray) -> float:
    """g from the covariance at lags 0, 1, … ``(n,)``."""
    n = len(covariance)
    if n < 4 or covariance[0] <= 1e-300:
        return 1.0
    rho = covariance / covariance[0]
    pairs = rho[: n - n % 2].reshape(-1, 2).sum(axis=1)
    ends = np.flatnonzero(pairs <= 0.0)
    last = int(ends[0]) if len(ends) else len(pairs)
    return float(max(1.0, 2.0 * np.sum(pairs[:last]) - 1.0))


def blocks(lineage: IntArray, observables: Sequence[FloatArray]) -> IntArray:
    """Block number ``(n,)``, 0 … B-1, of each frame; frames of a lineage are in time order.

    With at least ``MANY_LINEAGES`` lineages each is a block. Otherwise every lineage is cut into contiguous blocks
    ``BLOCK_INEFFICIENCIES`` times as long as the largest statistical inefficiency of any observable in it, but into no
    fewer than gives ``MIN_BLOCKS`` blocks in all.
    """
    names, first = np.unique(lineage, return_inverse=True)
    if len(names) >= MANY_LINEAGES:
        return first.astype(np.int64)
    result = np.zeros(len(lineage), dtype=np.int64)
    next_block = 0
    at_least = -(-MIN_BLOCKS // max(len(names), 1))
    for index in range(len(names)):
        rows = np.flatnonzero(first == index)
        slowest = max((statistical_inefficiency(x[rows]) for x in observables), default=1.0)
        count = int(np.clip(len(rows) // max(BLOCK_INEFFICIENCIES * slowest, 1.0), at_least, 50))
        count = min(count, len(rows))
        result[rows] = next_block + np.arange(len(rows)) * count // len(rows)
        next_block += count
    return result


@dataclass(frozen=True)
class Thinned:
    """Rows that can be taken as nearly independent: ``index`` (m,), the ``block`` (m,) of each, and the mean g."""

    index: IntArray
    block: IntArray
    inefficiency: float


def independent_rows(lineage: IntArray, observables: Sequence[FloatArray]) -> Thinned:
    """Of every lineage, whose frames are in time order, one row in g, and blocks of up to ``BLOCK_ROWS`` of these.

    g ↔ the largest statistical inefficiency of any observable, about the mean of all lineages: what a short one moves
    about its own mean hides how slow it is, and one that is trapped would look fast. Rows g apart are still a little
    correlated, which errors take into account by blocks. There are at least ``MIN_BLOCKS`` where there are as many
    rows.
    """
    names, first = np.unique(lineage, return_inverse=True)
    pieces = [np.flatnonzero(first == index) for index in range(len(names))]
    slowest = max((_pooled_inefficiency(x, pieces) for x in observables), default=1.0)
    kept = [rows[np.arange(0.0, len(rows), slowest).astype(np.int64)] for rows in pieces]
    total = sum(len(rows) for rows in kept)
    length = max(1, min(BLOCK_ROWS, total // MIN_BLOCKS))
    blocks, number = [], 0
    for rows in kept:
        blocks.append(number + np.arange(len(rows)) // length)
        number += -(-len(rows) // length)
    chosen, block = np.concatenate(kept).astype(np.int64), np.concatenate(blocks).astype(np.int64)
    order = np.argsort(chosen)
    return Thinned(chosen[order], block[order], len(lineage) / total)


def _pooled_inefficiency(series: FloatArray, pieces: Sequence[IntArray]) -> float:
    """g as :func:`statistical_inefficiency`, of the covariance about the common mean of all ``pieces``."""
    x = np.asarray(series, dtype=np.float64) - np.mean(series)
    longest = max(len(rows) for rows in pieces)
    covariance = np.zeros(longest)
    for rows in pieces:
        size = 1 << (2 * len(rows) - 1).bit_length()
        spectrum = np.fft.rfft(x[rows], size)
        covariance[: len(rows)] += np.fft.irfft(spectrum * np.conj(spectrum), size)[: len(rows)]
    return _initial_positive_sum(covariance)
