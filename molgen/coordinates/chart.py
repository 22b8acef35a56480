"""A chart: the coordinates of one system in which a model is learned, whatever the system is.

Frames become rows ``y`` of ``dimension`` numbers; some columns are angles on a circle, some are torsions that stay
narrow, the rest lie on a line. A chart also knows the symmetry it folds and the domain it is meant for.
"""

import math
from typing import Protocol

import torch

from molgen.coordinates.domain import Domain, domain_of
from molgen.coordinates.folding import Folding
from molgen.coordinates.internal import InternalCoordinates
from molgen.coordinates.zmatrix import build_zmatrix
from molgen.errors import InputError
from molgen.systems.system import AnalyticSystem, MolecularSystem, System

ALL_PAIRS = 8
"""Up to this many free torsions every pair is taken as coupled."""


class Chart(Protocol):
    """Coordinates of a system, the inverse map with its volume element, symmetry and domain.

    ``circular`` columns are angles of the given ``periods``, ``narrow`` ones torsions near their mean; ``coupled`` are
    pairs of circular columns (by position in ``circular``) that act on the same atoms. ``fixed_pairs`` are particles
    whose distance is a constant of the map; ``measure`` then is the stiff limit, delta(distance - constant) dx.
    """

    dimension: int
    circular: list[int]
    periods: list[float]
    narrow: list[int]
    coupled: list[tuple[int, int]]
    fixed_pairs: tuple[tuple[int, int], ...]
    measure: str
    log_order: float
    domain: Domain

    def canonical(self, positions: torch.Tensor) -> torch.Tensor:
        """Frames (n, N, D) relabelled to the representative that the model learns."""
        ...

    def unfold(self, positions: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Frames (n, N, D) relabelled by a uniformly drawn element of the symmetry group."""
        ...

    def encode(self, positions: torch.Tensor) -> torch.Tensor:
        """Coordinates (n, dimension) of canonical frames."""
        ...

    def decode(self, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames (n, N, D) and log |dx/dy| (n,); ``nan`` where y is not in the map's range."""
        ...

    def aligned_gradient(self, positions: torch.Tensor, decoded: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """A gradient (n, N, D) at ``positions`` turned into the orientation of ``decoded``, the same configurations."""
        ...


class MolecularChart:
    """Internal coordinates of a molecule with equivalent branches folded (see :mod:`molgen.coordinates.internal`).

    Bonds that the System constrains are constants. ``InputError`` if a constraint is no bond of the tree.
    """

    measure = "internal-coordinates"

    def __init__(self, system: MolecularSystem) -> None:
        self.internal = InternalCoordinates(build_zmatrix(system))
        self.folding = Folding(self.internal)
        self.fixed_pairs = tuple((i, j) for i, j, _ in system.constraints)
        fixed = _fixed_columns(system, self.internal)
        self._fixed = torch.tensor(sorted(fixed), dtype=torch.long)
        self._constants = torch.tensor([fixed[k] for k in sorted(fixed)], dtype=torch.float64)
        kept = [k for k in range(self.internal.dimension) if k not in fixed]
        self._kept = torch.tensor(kept, dtype=torch.long)
        self.dimension = len(kept)
        column = {k: place for place, k in enumerate(kept)}
        zmatrix = self.internal.zmatrix
        free = [p for p in zmatrix.placements if p.atom in zmatrix.free or p.atom in zmatrix.inverting]
        self.circular = [column[self.internal.torsion_column(p.atom)] for p in free]
        orders = [zmatrix.rotors[p.atom].order if p.atom in zmatrix.rotors else 1 for p in free]
        self.periods = [2.0 * math.pi / order for order in orders]
        self.coupled = _coupled([(p.bond, p.angle) for p in free], system)
        first = self.internal.n_bonds + self.internal.n_angles
        wide = {*self.circular, *(column[k] for k in self.internal.displacement_columns)}
        self.narrow = [column[k] for k in range(first, self.internal.dimension) if column[k] not in wide]
        self.log_order = self.folding.log_order
        self.domain = domain_of(system)

    def column_atoms(self, column: int) -> tuple[int, ...]:
        """See :meth:`molgen.coordinates.internal.InternalCoordinates.column_atoms`; fixed bonds are no columns."""
        return self.internal.column_atoms(int(self._kept[column]))

    def canonical(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`Chart`."""
        return self.folding.canonical(positions)

    def unfold(self, positions: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """See :class:`Chart`."""
        return self.folding.random(positions, generator)

    def encode(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`Chart`; lengths of fixed bonds are left out."""
        y = self.internal.from_positions(positions)
        return y[:, self._kept] if len(self._fixed) else y

    def decode(self, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See :class:`Chart`."""
        if len(self._fixed):
            constants = self._constants.to(y.dtype).expand(len(y), -1)
            y = y.new_zeros(len(y), self.internal.dimension).index_copy(1, self._kept, y)
            y = y.index_copy(1, self._fixed, constants)
        return self.internal.to_positions(y)

    def aligned_gradient(self, positions: torch.Tensor, decoded: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """See :class:`Chart`; the rotation is the one between the frames of the first three atoms."""
        rotation = torch.einsum("nki,nkj->nij", self._axes(decoded), self._axes(positions))
        return torch.einsum("nij,naj->nai", rotation, gradient)

    def _axes(self, positions: torch.Tensor) -> torch.Tensor:
        a, b, c = (positions[:, i] for i in self.internal.zmatrix.root)
        first = torch.nn.functional.normalize(b - a, dim=-1)
        normal = torch.nn.functional.normalize(torch.linalg.cross(first, c - b), dim=-1)
        return torch.stack([first, torch.linalg.cross(normal, first), normal], -2)


def _fixed_columns(system: MolecularSystem, internal: InternalCoordinates) -> dict[int, float]:
    """Columns of constrained bonds with their lengths; ``InputError`` for a constraint that no column is."""
    fixed = {}
    for i, j, length in system.constraints:
        column = internal.bond_column(i, j)
        if column is None:
            names = " and ".join(f"{system.topology.atoms[k].name} ({k})" for k in (i, j))
            raise InputError(
                f"{system.name} fixes the distance of {names}, which is no bond that a tree of bonds can hold fixed.",
                'Constrain bonds to hydrogen only (constraints = "h-bonds"), or nothing.',
            )
        fixed[column] = length
    return fixed


def _coupled(axes: list[tuple[int, int]], system: MolecularSystem) -> list[tuple[int, int]]:
    """Pairs of free torsions whose bonds share an atom or are joined by one bond; all pairs of a small molecule."""
    pairs = [(k, m) for k in range(len(axes)) for m in range(k + 1, len(axes))]
    if len(axes) <= ALL_PAIRS:
        return pairs
    neighbours = system.topology.neighbours()
    reach = [{*axis, *(n for end in axis for n in neighbours[end])} for axis in axes]
    return [(k, m) for k, m in pairs if reach[k] & set(axes[m])]


class PositionChart:
    """The position of one pseudo-particle as it is: identity map, volume element 1."""

    measure = "external"
    log_order = 0.0

    def __init__(self, system: AnalyticSystem) -> None:
        if system.n_particles > 1:
            raise InputError(
                f"{system.name} has {system.n_particles} identical particles, which no tree of bonds can order.",
                "Train a model that needs no order: --model flow-matching.",
            )
        self.dimension = system.dim
        self.circular: list[int] = []
        self.periods: list[float] = []
        self.narrow: list[int] = []
        self.coupled: list[tuple[int, int]] = []
        self.fixed_pairs: tuple[tuple[int, int], ...] = ()
        self.domain = domain_of(system)

    def canonical(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`Chart`."""
        return positions

    def unfold(self, positions: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """See :class:`Chart`."""
        return positions

    def encode(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`Chart`."""
        return positions[:, 0, :]

    def decode(self, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See :class:`Chart`."""
        return y[:, None, :], y.new_zeros(len(y))

    def aligned_gradient(self, positions: torch.Tensor, decoded: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """See :class:`Chart`."""
        return gradient


def chart_of(system: System) -> Chart:
    """The chart in which models of ``system`` are learned."""
    if isinstance(system, MolecularSystem):
        return MolecularChart(system)
    return PositionChart(system)
