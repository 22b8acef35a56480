r"""The committor of overdamped dynamics in one or two dimensions on a grid, which shots and networks are held to.

The square-root approximation of the generator (H. C. Lie, K. Fackeldey and M. Weber, SIAM J. Matrix Anal. Appl. 34
(2013) 738; its factor for a regular grid: L. Donati, M. Weber and B. G. Keller, J. Phys.: Condens. Matter 33 (2021)
115902) gives the rate from cell i to a neighbour j at distance h in a potential V in kT,

    Q_ij = (D/h²) exp(−(V_j − V_i)/2),    D = T/(m γ), 1 where friction and kT are 1.

It keeps detailed balance with π_i ∝ e^(−V_i). Then Σ_j Q_ij (q_j − q_i) = 0 outside the states, q = 0 in A and 1 in B,
ν = ½ Σ_ij π_i Q_ij (q_j − q_i)², k_AB = ν/Σ π (1 − q), k_BA = ν/Σ π q. Time is continuous: no step, states looked at
always. A cell belongs to a state if its centre does, so that states and hence results are off by O(h).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csc_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.energies.analytic import POTENTIALS
from molgen.errors import InputError
from molgen.observables.boundary import NEITHER, A, B, Boundary
from molgen.systems.system import AnalyticSystem

HIGHEST = 25.0
"""Cells so many kT above the lowest one are left out: nothing gets there."""


@dataclass(frozen=True, eq=False)
class Plane:
    """The points ``origin`` + Σ_k y_k ``directions`` [k] (K, D) for y_k from ``low`` [k] to ``high`` [k], K ≤ 2.

    ``directions`` are orthonormal. The committor on it is exact where nothing outside of it matters: all of a system of
    one or two dimensions, or directions that the others do not couple to.
    """

    origin: FloatArray
    directions: FloatArray
    low: FloatArray
    high: FloatArray

    @classmethod
    def box(cls, low: Sequence[float], high: Sequence[float]) -> "Plane":
        """All of a system of as many dimensions as ``low`` and ``high`` have."""
        return cls(np.zeros(len(low)), np.eye(len(low)), np.asarray(low, float), np.asarray(high, float))

    def coordinates(self, positions: FloatArray) -> FloatArray:
        """y (n, K) of frames (n, 1, D)."""
        return np.asarray((positions[:, 0] - self.origin) @ self.directions.T)

    def positions(self, coordinates: FloatArray) -> FloatArray:
        """Frames (n, 1, D) at y (n, K)."""
        return np.asarray(self.origin + coordinates @ self.directions)[:, None]


@dataclass(frozen=True, eq=False)
class GridCommittor:
    """q on the cells around ``axes`` of ``plane``, and the rates in transitions a unit of time.

    ``q``, ``potential`` (kT) and ``label`` (A, B, NEITHER) have one entry a cell; q is NaN in cells that were left out.
    """

    plane: Plane
    axes: tuple[FloatArray, ...]
    q: FloatArray
    potential: FloatArray
    label: IntArray
    nu: float
    k_ab: float
    k_ba: float

    @property
    def mean_q(self) -> float:
        """⟨q⟩ over the Boltzmann distribution."""
        return self.k_ab / (self.k_ab + self.k_ba)

    def centres(self, chosen: BoolArray) -> FloatArray:
        """The frames (n, 1, D) at the centres of the cells ``chosen`` (an entry a cell)."""
        mesh = np.meshgrid(*self.axes, indexing="ij")
        return self.plane.positions(np.stack([axis[chosen] for axis in mesh], axis=1))

    def in_cells(self, values: FloatArray, positions: FloatArray) -> FloatArray:
        """Of ``values`` (an entry a cell) those (n,) of the cells that frames (n, 1, D) lie in, or are nearest to."""
        coordinates = self.plane.coordinates(positions)
        cell = [
            np.clip(np.rint((coordinates[:, k] - axis[0]) / (axis[1] - axis[0])).astype(np.int64), 0, len(axis) - 1)
            for k, axis in enumerate(self.axes)
        ]
        return np.asarray(values[tuple(cell)])

    def probability(self, positions: FloatArray) -> FloatArray:
        """q (n,) of frames (n, 1, D), linear between the centres; NaN where cells were left out."""
        from scipy.interpolate import RegularGridInterpolator

        inside = RegularGridInterpolator(self.axes, self.q, bounds_error=False, fill_value=np.nan)
        return np.asarray(inside(self.plane.coordinates(positions)))


def grid_committor(boundary: Boundary, plane: Plane, spacing: float) -> GridCommittor:
    """The committor between the states of ``boundary`` on ``plane`` in cells of the edge ``spacing``.

    ``InputError`` for a system of several particles or a molecule, and for a plane on which a state has no cell.
    """
    system = boundary.system
    if not isinstance(system, AnalyticSystem) or system.n_particles != 1:
        raise InputError(f"{system.name} has no grid.", "Ask for a system of one particle.")
    axes = tuple(_centres(low, high, spacing) for low, high in zip(plane.low, plane.high, strict=True))
    shape = tuple(len(axis) for axis in axes)
    mesh = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")], axis=1)
    frames = plane.positions(mesh)
    potential = potential_of(system, frames)
    label = boundary.assign(frames)
    for state, name in ((A, boundary.a), (B, boundary.b)):
        if not np.any(label == state):
            raise InputError(f"No cell of the grid lies in {name}.", "Give a finer or a larger grid.")
    diffusion = 1.0 / system.definition.dynamics.friction_per_ps
    first, second = _neighbours(shape, potential - potential.min() < HIGHEST, label)
    rate = diffusion / spacing**2 * np.exp(0.5 * (potential[first] - potential[second]))
    q = _solved(len(label), label, first, second, rate)
    used = np.isfinite(q)
    share = np.where(used, np.exp(potential.min() - potential), 0.0)
    share /= share.sum()
    nu = 0.5 * float((share[first] * rate * (q[second] - q[first]) ** 2).sum())
    mean = float(share[used] @ q[used])
    return GridCommittor(
        plane,
        axes,
        q.reshape(shape),
        potential.reshape(shape),
        label.reshape(shape),
        nu,
        nu / (1.0 - mean),
        nu / mean,
    )


def potential_of(system: AnalyticSystem, frames: FloatArray) -> FloatArray:
    """The potential (n,) of frames (n, 1, D) in kT."""
    return np.asarray(POTENTIALS[system.potential](frames, system.parameters)[0])


def _centres(low: float, high: float, spacing: float) -> FloatArray:
    """Centres of the cells of ``spacing`` that fill ``low`` to ``high``."""
    return np.asarray(low + spacing * (np.arange(max(2, round((high - low) / spacing))) + 0.5))


def _neighbours(shape: tuple[int, ...], used: BoolArray, label: IntArray) -> tuple[IntArray, IntArray]:
    """Ordered pairs of adjacent ``used`` cells from which a state can be reached."""
    number = np.arange(len(used)).reshape(shape)
    pairs = []
    for axis, length in enumerate(shape):
        before = np.take(number, np.arange(length - 1), axis).ravel()
        after = np.take(number, np.arange(1, length), axis).ravel()
        pairs.append(np.stack([before, after]))
    first, second = np.concatenate(pairs, axis=1)
    both = used[first] & used[second]
    first, second = first[both], second[both]
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(used), len(used)))
    part = connected_components(graph, directed=False)[1]
    reached = np.isin(part[first], part[used & (label != NEITHER)])
    first, second = first[reached], second[reached]
    return np.concatenate([first, second]), np.concatenate([second, first])


def _solved(cells: int, label: IntArray, first: IntArray, second: IntArray, rate: FloatArray) -> FloatArray:
    """q (cells,), NaN for cells without a neighbour."""
    q = np.where(label == B, 1.0, np.where(label == A, 0.0, np.nan))
    linked = np.zeros(cells, dtype=np.bool_)
    linked[first] = True
    q[~linked] = np.nan
    free = np.flatnonzero(linked & (label == NEITHER))
    place = np.full(cells, -1, dtype=np.int64)
    place[free] = np.arange(len(free))
    total = np.bincount(first, rate, minlength=cells)[free]
    row, column = place[first], place[second]
    inner = (row >= 0) & (column >= 0)
    entries = np.concatenate([total, -rate[inner]])
    rows, columns = (np.concatenate([np.arange(len(free)), index[inner]]) for index in (row, column))
    matrix = csc_array(coo_array((entries, (rows, columns)), shape=(len(free), len(free))))
    towards_b = (row >= 0) & (label[second] == B)
    right = np.bincount(row[towards_b], rate[towards_b], minlength=len(free))
    # A diagonally dominant M-matrix needs no pivoting, and its solution is accurate in every component.
    q[free] = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0).solve(right)
    return q


def refined(coarse: float, fine: float) -> float:
    """What a result of order h comes to at h → 0, from its values at h and h/2 (L. F. Richardson's extrapolation)."""
    return 2.0 * fine - coarse


def cells_between(grid: GridCommittor, below: float, margin: float = 0.05) -> BoolArray:
    """The cells outside the states with a potential below ``below`` kT and ``margin`` < q < 1 − ``margin``."""
    known = np.nan_to_num(grid.q, nan=0.0)
    return np.asarray((grid.label == NEITHER) & (grid.potential < below) & (known > margin) & (known < 1.0 - margin))


def error_on(q: FloatArray, grid: GridCommittor, cells: BoolArray) -> float:
    """Root mean square (unweighted) of ``q`` (n,) − q over the cells ``cells``, in their order."""
    return float(np.sqrt(np.mean((q - grid.q[cells]) ** 2)))
