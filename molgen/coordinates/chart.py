"""A chart: the coordinates of one system in which a model is learned, whatever the system is.

Frames become rows ``y`` of ``dimension`` numbers; some columns are angles on a circle, some are torsions that stay
narrow, the rest lie on a line. A chart also knows the symmetry it folds and the domain it is meant for.
"""

import math
from typing import Protocol

import torch

from molgen.coordinates.domain import Domain, domain_of
from molgen.coordinates.folding import HydrogenFolding
from molgen.coordinates.internal import InternalCoordinates
from molgen.coordinates.zmatrix import build_zmatrix
from molgen.errors import InputError
from molgen.systems.system import AnalyticSystem, MolecularSystem, System

LINEAR_ANGLE = math.radians(170.0)
"""An angle of the tree beyond this makes the azimuth of what follows meaningless."""


class Chart(Protocol):
    """Coordinates of a system, the inverse map with its volume element, symmetry and domain."""

    dimension: int
    circular: list[int]
    periods: list[float]
    narrow: list[int]
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
    """Internal coordinates of a molecule with equivalent hydrogens folded (see :mod:`molgen.coordinates.internal`).

    ``InputError`` if the structure holds a linear group, where torsions have no meaning.
    """

    measure = "internal-coordinates"

    def __init__(self, system: MolecularSystem) -> None:
        self.internal = InternalCoordinates(build_zmatrix(system.topology))
        self._refuse_linear_groups(system)
        self.folding = HydrogenFolding(self.internal)
        zmatrix = self.internal.zmatrix
        leaders = [p.atom for p in zmatrix.placements if p.atom in zmatrix.free]
        self.dimension = self.internal.dimension
        self.circular = [self.internal.torsion_column(a) for a in leaders]
        self.periods = [2.0 * math.pi / 3.0 if a in zmatrix.triples else 2.0 * math.pi for a in leaders]
        first = self.internal.n_bonds + self.internal.n_angles
        self.narrow = [k for k in range(first, self.dimension) if k not in set(self.circular)]
        self.log_order = self.folding.log_order
        self.domain = domain_of(system)

    def canonical(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`Chart`."""
        return self.folding.canonical(positions)

    def unfold(self, positions: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """See :class:`Chart`."""
        return self.folding.random(positions, generator)

    def encode(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`Chart`."""
        return self.internal.from_positions(positions)

    def decode(self, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See :class:`Chart`."""
        return self.internal.to_positions(y)

    def aligned_gradient(self, positions: torch.Tensor, decoded: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
        """See :class:`Chart`; the rotation is the one between the frames of the first three atoms."""
        rotation = torch.einsum("nki,nkj->nij", self._axes(decoded), self._axes(positions))
        return torch.einsum("nij,naj->nai", rotation, gradient)

    def _refuse_linear_groups(self, system: MolecularSystem) -> None:
        y = self.encode(torch.as_tensor(system.positions, dtype=torch.float64)[None])
        angles = y[:, self.internal.n_bonds : self.internal.n_bonds + self.internal.n_angles]
        if float(angles.max()) > LINEAR_ANGLE:
            raise InputError(
                f"{system.name} has three bonded atoms in a line (a nitrile or an alkyne, say).",
                "Internal coordinates cannot describe a linear group; give a molecule without one.",
            )

    def _axes(self, positions: torch.Tensor) -> torch.Tensor:
        a, b, c = (positions[:, i] for i in self.internal.zmatrix.root)
        first = torch.nn.functional.normalize(b - a, dim=-1)
        normal = torch.nn.functional.normalize(torch.linalg.cross(first, c - b), dim=-1)
        return torch.stack([first, torch.linalg.cross(normal, first), normal], -2)


class PositionChart:
    """The position of one pseudo-particle as it is: identity map, volume element 1."""

    measure = "external"
    log_order = 0.0

    def __init__(self, system: AnalyticSystem) -> None:
        self.dimension = system.dim
        self.circular: list[int] = []
        self.periods: list[float] = []
        self.narrow: list[int] = []
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
