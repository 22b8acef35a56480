"""Cartesian coordinates of centred frames: for identical particles and for models that see atoms in space.

Frames are taken relative to their centroid (the unweighted mean); the density is one on the (N - 1) D-dimensional
subspace of centred frames, and rotations are not taken out: a model in these coordinates is to be equivariant.
"""

import math
from collections import defaultdict

import numpy as np
import torch

from molgen.coordinates.domain import domain_of
from molgen.coordinates.prochirality import match_labels, movable_labels
from molgen.errors import InputError
from molgen.systems.system import MolecularSystem, System
from molgen.systems.topology import MolecularTopology

FAR = 4
"""Class of two atoms with this many bonds or more between them."""


class CartesianChart:
    """Which particles of a system are alike, which labels mean nothing, and the subspace of centred frames.

    ``kinds`` are equal for particles that no relabelling of the molecule's graph tells apart (0 for all particles of a
    cluster), ``pairs`` (N x N) are the bonds between two atoms: 1, 2, 3, or 4 for more, 0 in a cluster.
    ``exchangeable`` groups may be permuted freely: all of a cluster, equal leaves of one atom. A model that is
    invariant under these relabellings has its draws relabelled into the domain; 2^k images fall together there, and
    ``log_order`` is the logarithm of their number. ``InputError`` for one particle, fixed bonds or a molecule that
    falls apart.
    """

    measure = "cartesian-zero-com"

    def __init__(self, system: System) -> None:
        self.system = system
        self.particles, self.dim = system.n_particles, system.dim
        if self.particles < 2:
            raise InputError(
                f"{system.name} has a single particle, which has no relative position.", "Use --model spline."
            )
        self.dimension = (self.particles - 1) * self.dim
        self.chiral = isinstance(system, MolecularSystem)
        self.domain = domain_of(system)
        if isinstance(system, MolecularSystem):
            if system.constraints:
                raise InputError(
                    f"{system.name} fixes {len(system.constraints)} bonds, which Cartesian coordinates cannot.",
                    "Use --model spline, or init the molecule without --constraints.",
                )
            self.kinds = _classes(system.topology)
            self.pairs = _separations(system)
            self.exchangeable = _equal_leaves(system.topology)
            self.log_order = math.log(2.0) * movable_labels(system)
        else:
            self.kinds = (0,) * self.particles
            self.pairs = ((0,) * self.particles,) * self.particles
            self.exchangeable = (tuple(range(self.particles)),)
            self.log_order = 0.0
        self._basis = _helmert(self.particles)

    def relabel(self, positions: torch.Tensor) -> torch.Tensor:
        """Frames (n, N, D) with the labels of equal branches as in the system's structure."""
        if not isinstance(self.system, MolecularSystem):
            return positions
        return torch.as_tensor(match_labels(positions.numpy(), self.system)[0])

    def to_subspace(self, x: torch.Tensor) -> torch.Tensor:
        """Orthonormal coordinates (n, (N - 1) D) of frames (n, N, D) without their centroid."""
        return torch.einsum("kn,bnd->bkd", self._basis.to(x), x).flatten(1)

    def from_subspace(self, y: torch.Tensor) -> torch.Tensor:
        """Centred frames (n, N, D): the inverse of :meth:`to_subspace`."""
        return torch.einsum("kn,bkd->bnd", self._basis.to(y), y.reshape(len(y), -1, self.dim))


def _helmert(n: int) -> torch.Tensor:
    """Orthonormal rows (n - 1, n) orthogonal to (1, ..., 1)."""
    rows = np.zeros((n - 1, n))
    for k in range(1, n):
        rows[k - 1, :k], rows[k - 1, k] = 1.0, -k
        rows[k - 1] /= math.sqrt(k * (k + 1))
    return torch.as_tensor(rows)


def _classes(topology: MolecularTopology) -> tuple[int, ...]:
    """Numbers that atoms share whose surroundings in the graph are alike (Weisfeiler and Leman's refinement)."""
    neighbours = topology.neighbours()
    labels: list[tuple[object, ...]] = [(atom.element,) for atom in topology.atoms]
    colours: list[int] = [0] * len(labels)
    while True:
        numbers = {label: k for k, label in enumerate(sorted(set(labels), key=repr))}
        refined = [numbers[label] for label in labels]
        if len(set(refined)) == len(set(colours)) and any(colours):
            return tuple(refined)
        colours = refined
        labels = [(colours[i], *sorted(colours[j] for j in around)) for i, around in enumerate(neighbours)]
        if len(set(refined)) == 1:
            return tuple(refined)


def _separations(system: MolecularSystem) -> tuple[tuple[int, ...], ...]:
    """Bonds between every two atoms, ``FAR`` for that many or more; ``InputError`` if some are not connected."""
    neighbours = system.topology.neighbours()
    rows = []
    for start in range(len(neighbours)):
        distance = {start: 0}
        queue = [start]
        for atom in queue:
            for other in neighbours[atom]:
                if other not in distance:
                    distance[other] = distance[atom] + 1
                    queue.append(other)
        if len(distance) < len(neighbours):
            apart = next(i for i in range(len(neighbours)) if i not in distance)
            raise InputError(
                f"{system.name} is not one molecule: no bonds lead from atom {start} to atom {apart}.",
                "Give a single molecule, with all its bonds.",
            )
        rows.append(tuple(min(FAR, distance[i]) for i in range(len(neighbours))))
    return tuple(rows)


def _equal_leaves(topology: MolecularTopology) -> tuple[tuple[int, ...], ...]:
    """Groups of two or more atoms of one element with one and the same only neighbour."""
    groups: dict[tuple[int, str], list[int]] = defaultdict(list)
    for atom, around in enumerate(topology.neighbours()):
        if len(around) == 1:
            groups[around[0], topology.atoms[atom].element].append(atom)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)
