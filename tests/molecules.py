"""Small molecules built by hand and frames of them, shared by the tests of coordinates and models."""

import math
from functools import cache
from itertools import product

import numpy as np
import torch

from molgen.coordinates.internal import InternalCoordinates
from molgen.coordinates.zmatrix import build_zmatrix
from molgen.systems.loading import load_system
from molgen.systems.system import MolecularSystem
from molgen.systems.topology import Atom, MolecularTopology

BUILT: dict[str, tuple[str, tuple[tuple[int, int], ...]]] = {
    # 2-methylbutane's carbons: a chain with a branch and no hydrogen.
    "branch": ("C C C C C", ((0, 1), (1, 2), (2, 3), (1, 4))),
    # Glycine's zwitterion: an NH3+ group and a carboxylate.
    "ammonium": (
        "N H H H C H H C O O",
        ((0, 1), (0, 2), (0, 3), (0, 4), (4, 5), (4, 6), (4, 7), (7, 8), (7, 9)),
    ),
    # CHFClBr: every atom but the first three follows the third.
    "chiral": ("C H F Cl Br", ((0, 1), (0, 2), (0, 3), (0, 4))),
    # Propane: two CH3 groups about the root.
    "propane": (
        "C C C H H H H H H H H",
        ((0, 1), (1, 2), (0, 3), (0, 4), (0, 5), (1, 6), (1, 7), (2, 8), (2, 9), (2, 10)),
    ),
}
NAMES = ["alanine-dipeptide", *BUILT]


def topology_of(elements: str, bonds: tuple[tuple[int, int], ...]) -> MolecularTopology:
    """A topology of one residue from element symbols and bonds."""
    symbols = elements.split()
    atoms = tuple(Atom(f"{symbol}{k}", symbol, "MOL", 0, 12.0) for k, symbol in enumerate(symbols))
    return MolecularTopology(atoms, tuple(sorted(bonds)))


@cache
def alanine() -> MolecularSystem:
    """ALA2-B."""
    system = load_system("alanine-dipeptide")
    assert isinstance(system, MolecularSystem)
    return system


def internal_of(name: str) -> InternalCoordinates:
    """Internal coordinates of a molecule in ``NAMES``."""
    topology = alanine().topology if name == "alanine-dipeptide" else topology_of(*BUILT[name])
    return InternalCoordinates(build_zmatrix(topology))


def random_y(internal: InternalCoordinates, n: int, seed: int) -> torch.Tensor:
    """Internal coordinates (n, 3N - 6), float64: sane bonds and angles, any leader, followers 120 degrees apart."""
    rng = np.random.default_rng(seed)
    bonds = rng.uniform(0.10, 0.16, (n, internal.n_bonds))
    angles = np.deg2rad(rng.uniform(100.0, 118.0, (n, internal.n_angles)))
    torsions = rng.uniform(-math.pi, math.pi, (n, internal.n_atoms - 3))
    rank: dict[int, int] = {}
    triples = internal.zmatrix.triples
    for k, placement in enumerate(internal.zmatrix.placements):
        if placement.leader != placement.atom:
            rank[placement.leader] = rank.get(placement.leader, 0) + 1
            place = 120.0 if rank[placement.leader] == 1 else -120.0
            torsions[:, k] = np.deg2rad(place + rng.uniform(-8.0, 8.0, n))
        elif placement.atom in triples:
            # Well inside one third of the circle, whichever: the edge of the interval is no place for a comparison.
            torsions[:, k] = np.deg2rad(rng.choice([-120.0, 0.0, 120.0], n) + rng.uniform(-45.0, 45.0, n))
    return torch.as_tensor(np.concatenate([bonds, angles, torsions], 1))


def frames_of(name: str, n: int, seed: int = 3) -> torch.Tensor:
    """Frames (n, N, 3), float64, in random orientations away from the origin."""
    internal = internal_of(name)
    rng = np.random.default_rng(seed + 1)
    rotations = torch.as_tensor(random_rotations(n, rng))
    shifts = torch.as_tensor(rng.normal(size=(n, 1, 3)))
    positions, _ = internal.to_positions(random_y(internal, n, seed))
    return torch.einsum("nij,naj->nai", rotations, positions) + shifts


def random_rotations(n: int, rng: np.random.Generator) -> np.ndarray:
    """Proper rotations (n, 3, 3), uniform."""
    q, r = np.linalg.qr(rng.normal(size=(n, 3, 3)))
    q = q * np.sign(np.einsum("nii->ni", r))[:, None, :]
    return np.asarray(q * np.linalg.det(q)[:, None, None])


def superposed_deviation(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest displacement of any atom of frames (n, N, 3) after the best proper rotation (Kabsch)."""
    x, y = a.double().numpy(), b.double().numpy()
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    u, _, vt = np.linalg.svd(np.einsum("nai,naj->nij", x, y))
    u[:, :, 2] *= np.linalg.det(u @ vt)[:, None]
    return float(np.abs(x @ (u @ vt) - y).max())


def cyclic_shifts(groups: int) -> list[tuple[int, ...]]:
    """Every cyclic permutation of ``groups`` groups of three, as shifts."""
    return list(product(range(3), repeat=groups))
