"""Has a frame kept the handedness and the amide bonds of the structure it came from?

Hot dynamics can turn a peptide bond or, rarely, a stereocentre; a mirrored molecule has the same energy, so nothing
later would notice. This is a light check from the topology alone.
"""

from dataclasses import dataclass

import numpy as np

from molgen.arrays import BoolArray, FloatArray
from molgen.dynamics.bias import torsions
from molgen.systems.system import MolecularSystem, System
from molgen.systems.topology import MolecularTopology


@dataclass(frozen=True)
class StereoGuard:
    """Centres (with three of their four neighbours) and amide torsions, with their initial signs and angles."""

    centres: tuple[tuple[int, int, int, int], ...] = ()
    signs: tuple[float, ...] = ()
    amides: tuple[tuple[int, int, int, int], ...] = ()
    angles: tuple[float, ...] = ()

    def kept(self, positions: FloatArray) -> BoolArray:
        """For each frame (n, N, D) whether every centre has its sign and every amide torsion is within 90 degrees."""
        good = np.ones(len(positions), dtype=np.bool_)
        for centre, sign in zip(self.centres, self.signs, strict=True):
            good &= signed_volumes(positions, centre) * sign > 0
        for atoms, angle in zip(self.amides, self.angles, strict=True):
            good &= np.cos(torsions(positions, atoms) - angle) > 0
        return good


def stereo_guard(system: System) -> StereoGuard:
    """The guard of a system's own starting structure; it refuses nothing for an analytic system.

    Amide bonds are watched unless the system's domain says that cis and trans are free.
    """
    if not isinstance(system, MolecularSystem):
        return StereoGuard()
    frame = system.positions[None]
    centres = stereocentres(system.topology)
    amides = amide_torsions(system.topology) if system.definition.domain.cis_trans == "fixed" else ()
    return StereoGuard(
        centres,
        tuple(float(np.sign(signed_volumes(frame, centre)[0])) for centre in centres),
        amides,
        tuple(float(torsions(frame, atoms)[0]) for atoms in amides),
    )


def signed_volumes(positions: FloatArray, centre: tuple[int, int, int, int]) -> FloatArray:
    """(a - c) . [(b - c) x (d - c)] in nm^3 of a centre (c, a, b, d) for frames (n, N, 3)."""
    c, a, b, d = centre
    origin = positions[:, c]
    volume = np.cross(positions[:, b] - origin, positions[:, d] - origin)
    return np.asarray(((positions[:, a] - origin) * volume).sum(axis=1), dtype=np.float64)


def stereocentres(topology: MolecularTopology) -> tuple[tuple[int, int, int, int], ...]:
    """Atoms with four neighbours of which no two are equivalent: (centre, three neighbours), by index."""
    ranks = _equivalence(topology)
    return tuple(
        (index, *row[:3])
        for index, row in enumerate(topology.neighbours())
        if len(row) == 4 and len({ranks[j] for j in row}) == 4
    )


def amide_torsions(topology: MolecularTopology) -> tuple[tuple[int, int, int, int], ...]:
    """The torsion (X, C, N, Y) of each amide bond C(=O)-N, with heavy X and Y: the neighbour of lowest index."""
    neighbours = topology.neighbours()
    elements = [atom.element for atom in topology.atoms]
    found = []
    for carbon, around in enumerate(neighbours):
        oxygens = [o for o in around if elements[o] == "O" and len(neighbours[o]) == 1]
        if elements[carbon] != "C" or len(around) != 3 or len(oxygens) != 1:
            continue
        for nitrogen in (n for n in around if elements[n] == "N"):
            left = [x for x in around if x not in (nitrogen, oxygens[0]) and elements[x] != "H"]
            right = [y for y in neighbours[nitrogen] if y != carbon and elements[y] != "H"]
            if right:
                found.append((min(left) if left else oxygens[0], carbon, nitrogen, min(right)))
    return tuple(found)


def _equivalence(topology: MolecularTopology) -> list[int]:
    """A rank of each atom, equal for atoms that bonds and elements cannot tell apart (colour refinement)."""
    neighbours = topology.neighbours()
    keys: list[object] = [atom.element for atom in topology.atoms]
    ranks = _ranked(keys)
    while True:
        refined = _ranked([(ranks[i], tuple(sorted(ranks[j] for j in row))) for i, row in enumerate(neighbours)])
        if len(set(refined)) == len(set(ranks)):
            return ranks
        ranks = refined


def _ranked(keys: list[object]) -> list[int]:
    order = {key: rank for rank, key in enumerate(sorted(set(keys), key=repr))}
    return [order[key] for key in keys]
