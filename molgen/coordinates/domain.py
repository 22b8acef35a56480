"""The domain of a molecule: which frames count as the molecule that was asked for.

A mirrored molecule has exactly the same energy, and hot dynamics can turn a peptide bond; no weight notices either.
So every frame is checked against the system's own structure: the handedness of every atom with four neighbours (a
stereocentre, the labels of a CH2, the cyclic order of a CH3) and cis or trans at every amide bond.
"""

from dataclasses import dataclass

import numpy as np

from molgen.arrays import BoolArray, FloatArray
from molgen.coordinates.zmatrix import is_amide
from molgen.systems.system import MolecularSystem, System
from molgen.systems.topology import MolecularTopology


@dataclass(frozen=True)
class Domain:
    """Centres (atom and three of its neighbours) with their signs, amide torsions with their angles in radians.

    Both are taken from the system's structure. An analytic system has neither, and its domain is everything.
    """

    centres: tuple[tuple[int, int, int, int], ...] = ()
    signs: tuple[float, ...] = ()
    amides: tuple[tuple[int, int, int, int], ...] = ()
    angles: tuple[float, ...] = ()

    def violations(self, positions: FloatArray) -> dict[str, BoolArray]:
        """For frames (n, N, D): which have another handedness somewhere, which another cis/trans state."""
        turned = np.zeros(len(positions), dtype=np.bool_)
        mirrored = turned.copy()
        for centre, sign in zip(self.centres, self.signs, strict=True):
            mirrored |= ~(signed_volumes(positions, centre) * sign > 0)
        for atoms, angle in zip(self.amides, self.angles, strict=True):
            turned |= ~(np.cos(torsion_angles(positions, atoms) - angle) > 0)
        return {"handedness": mirrored, "cis-trans": turned}

    def contains(self, positions: FloatArray) -> BoolArray:
        """For frames (n, N, D) whether no check is violated; a frame that is not finite is outside."""
        violated = np.logical_or.reduce(list(self.violations(positions).values()))
        return np.asarray(~violated, dtype=np.bool_)


def domain_of(system: System) -> Domain:
    """The domain of ``system``; amide bonds are watched unless its definition leaves cis and trans free."""
    if not isinstance(system, MolecularSystem):
        return Domain()
    frame = system.positions[None]
    centres = tuple((i, *row[:3]) for i, row in enumerate(system.topology.neighbours()) if len(row) == 4)
    amides = amide_torsions(system.topology) if system.definition.domain.cis_trans == "fixed" else ()
    return Domain(
        centres,
        tuple(float(np.sign(signed_volumes(frame, centre)[0])) for centre in centres),
        amides,
        tuple(float(torsion_angles(frame, atoms)[0]) for atoms in amides),
    )


def signed_volumes(positions: FloatArray, centre: tuple[int, int, int, int]) -> FloatArray:
    """(a - c) . [(b - c) x (d - c)] in nm^3 of a centre (c, a, b, d) for frames (n, N, 3)."""
    c, a, b, d = centre
    origin = positions[:, c]
    normal = np.cross(positions[:, b] - origin, positions[:, d] - origin)
    return np.asarray(((positions[:, a] - origin) * normal).sum(axis=1), dtype=np.float64)


def torsion_angles(positions: FloatArray, atoms: tuple[int, int, int, int]) -> FloatArray:
    """The signed torsion (n,) in radians of four atoms of frames (n, N, 3), IUPAC sign."""
    a, b, c, d = (positions[:, i] for i in atoms)
    bc = c - b
    n1, n2 = np.cross(b - a, bc), np.cross(bc, d - c)
    y = (np.cross(n1, n2) * bc).sum(axis=1) / np.linalg.norm(bc, axis=1)
    return np.asarray(np.arctan2(y, (n1 * n2).sum(axis=1)), dtype=np.float64)


def amide_torsions(topology: MolecularTopology) -> tuple[tuple[int, int, int, int], ...]:
    """The torsion (X, C, N, Y) of each amide bond C(=O)-N, with heavy X and Y: the neighbour of lowest index."""
    neighbours = topology.neighbours()
    elements = [atom.element for atom in topology.atoms]
    found = []
    for carbon, around in enumerate(neighbours):
        for nitrogen in around:
            if elements[carbon] != "C" or not is_amide(topology, neighbours, carbon, nitrogen):
                continue
            others = [x for x in around if x != nitrogen]
            left = [x for x in others if len(neighbours[x]) > 1] or others
            right = [y for y in neighbours[nitrogen] if y != carbon and elements[y] != "H"]
            if right:
                found.append((min(left), carbon, nitrogen, min(right)))
    return tuple(found)
