"""Free-energy profiles along one or two collective variables, F = -ln p in kT with the minimum at 0.

Weighted histograms without a pseudocount: a bin that is empty, or that holds too few effective draws to be believed,
is NaN and not a large number. On a barrier a few draws with tiny weights would show a free energy far too high with
an interval far too narrow, because the draws that carry the bin's weight were not made. Intervals are those of ln p of
each bin by the delta method; the shift to the minimum is taken as exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from molgen.analysis.intervals import WeightedRows
from molgen.arrays import FloatArray, IntArray

MIN_EFFECTIVE = 5.0
"""Kish's number of effective draws that a bin needs: (Σ w)² / Σ w² over the draws in it."""


@dataclass(frozen=True)
class Profile:
    """F, low and high in kT on the cells of ``edges`` (one array of edges a variable); NaN where not known."""

    edges: tuple[FloatArray, ...]
    free_energy: FloatArray
    low: FloatArray
    high: FloatArray


def grid_edges(values: Sequence[FloatArray], *, periodic: bool, bins: int) -> FloatArray:
    """Edges ``(bins + 1,)``: [-π, π] for a periodic variable, else the range of all ``values`` (several samples).

    The outer 0.01 % on either side is left outside, so that one stray draw does not set the scale.
    """
    if periodic:
        return np.linspace(-np.pi, np.pi, bins + 1)
    ranges = [np.quantile(part[np.isfinite(part)], [1e-4, 1.0 - 1e-4]) for part in values if np.any(np.isfinite(part))]
    if not ranges:
        return np.linspace(0.0, 1.0, bins + 1)
    low, high = min(pair[0] for pair in ranges), max(pair[1] for pair in ranges)
    margin = max(0.01 * (high - low), 1e-9)
    return np.linspace(low - margin, high + margin, bins + 1)


def free_energy_profile(
    rows: WeightedRows, values: Sequence[FloatArray], edges: Sequence[FloatArray], periodic: Sequence[bool]
) -> Profile:
    """F on the grid of ``edges`` from ``values``, one array ``(n,)`` a variable; periodic ones are wrapped to [-π, π).

    Shapes: the grid is ``(bins_1, …)``. Var(ln p_b) = Σ ψ² / p_b² with ψ = w̃·(1_b - p_b).
    """
    shape = tuple(len(edge) - 1 for edge in edges)
    cell = _cells(rows, values, edges, periodic)
    size = int(np.prod(shape))
    mass: FloatArray = np.bincount(cell[cell >= 0], weights=rows.share[cell >= 0], minlength=size).astype(np.float64)
    squares = np.bincount(cell[cell >= 0], weights=rows.share[cell >= 0] ** 2, minlength=size)
    known = mass**2 >= MIN_EFFECTIVE * np.maximum(squares, np.finfo(np.float64).tiny)
    error = _standard_errors(rows, cell, mass)
    volume = np.ones(shape)
    for axis, edge in enumerate(edges):
        volume = volume * np.diff(edge).reshape([-1 if axis == k else 1 for k in range(len(edges))])
    with np.errstate(divide="ignore", invalid="ignore"):
        free = np.where(known, -np.log(mass / volume.ravel()), np.nan)
        half = rows.quantile * np.where(known, error / mass, np.nan)
    if np.any(np.isfinite(free)):
        free = free - np.nanmin(free)
    grids = (np.reshape(item, shape) for item in (free, free - half, free + half))
    return Profile(tuple(edges), *grids)


def _cells(
    rows: WeightedRows, values: Sequence[FloatArray], edges: Sequence[FloatArray], periodic: Sequence[bool]
) -> IntArray:
    """Flat cell index ``(n,)`` of each row, -1 outside the grid or with weight 0."""
    flat = np.zeros(len(rows.share), dtype=np.int64)
    inside = rows.share > 0.0
    for x, edge, wrap in zip(values, edges, periodic, strict=True):
        wrapped = np.mod(x + np.pi, 2.0 * np.pi) - np.pi if wrap else x
        index = np.searchsorted(edge, np.where(inside, wrapped, edge[0]), side="right") - 1
        inside = inside & (index >= 0) & (index < len(edge) - 1)
        flat = flat * (len(edge) - 1) + np.clip(index, 0, len(edge) - 2)
    return np.where(inside, flat, -1)


def _standard_errors(rows: WeightedRows, cell: IntArray, mass: FloatArray) -> FloatArray:
    """Standard error of the mass of every cell, as :meth:`WeightedRows.standard_error` gives it for one."""
    used = cell >= 0
    if rows.replicates is not None:
        masses = [np.bincount(cell[used], rows.share[used] * some[used], len(mass)) for some in rows.replicates]
        return np.asarray(np.std(masses, axis=0, ddof=1), dtype=np.float64)
    if rows.block is None:
        n = len(rows.share)
        second = np.bincount(cell[used], weights=rows.share[used] ** 2, minlength=len(mass))
        total = float(np.sum(rows.share**2))
        squares = second * (1.0 - 2.0 * mass) + mass**2 * total
        return np.asarray(np.sqrt(np.maximum(squares, 0.0) * n / max(n - 1, 1)), dtype=np.float64)
    blocks = int(np.max(rows.block)) + 1
    block_share = np.bincount(rows.block, weights=rows.share, minlength=blocks)
    flat = np.bincount(
        rows.block[used] * len(mass) + cell[used], weights=rows.share[used], minlength=blocks * len(mass)
    )
    left = 1.0 - block_share
    if blocks < 2 or np.any(left <= 0.0):
        return np.full(len(mass), np.inf)
    sums = (flat.reshape(blocks, len(mass)) - np.outer(block_share, mass)) / left[:, None]
    return np.asarray(np.sqrt(np.sum(sums**2, axis=0) * (blocks - 1) / blocks), dtype=np.float64)
