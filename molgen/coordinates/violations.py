"""Where frames leave the domain: which stereocentre is inverted, which peptide bond is turned, in how many frames."""

from dataclasses import dataclass

import numpy as np

from molgen.arrays import FloatArray
from molgen.coordinates.domain import domain_of
from molgen.coordinates.geometry import signed_volumes, torsion_angles
from molgen.coordinates.prochirality import exchanges_of
from molgen.systems.system import MolecularSystem, System
from molgen.systems.topology import MolecularTopology

HANDEDNESS, CIS_TRANS = "handedness", "cis-trans"


@dataclass(frozen=True)
class Violation:
    """One place (``where``, in words) at which ``frames`` frames differ from the system's structure in ``kind``."""

    kind: str
    where: str
    frames: int

    def __str__(self) -> str:
        return f"{self.kind} at {self.where} ({self.frames} frames)"


def find_violations(positions: FloatArray, system: System) -> tuple[Violation, ...]:
    """The violations in frames (n, N, D), stereocentres first, then by the number of frames."""
    if not isinstance(system, MolecularSystem):
        return ()
    domain = domain_of(system)
    found = []
    exchangeable = {exchange.centre for exchange in exchanges_of(system.topology)}
    for centre, sign in zip(domain.centres, domain.signs, strict=True):
        wrong = ~(signed_volumes(positions, centre) * sign > 0)
        stereo = centre[0] not in exchangeable
        where = f"the {'stereocentre' if stereo else 'atom'} {atom_word(system.topology, centre[0])}"
        found.append((not stereo, Violation(HANDEDNESS, where, int(wrong.sum()))))
    elements = [atom.element for atom in system.topology.atoms]
    for torsion, angle in zip(domain.planar, domain.angles, strict=True):
        with np.errstate(invalid="ignore", divide="ignore"):
            wrong = ~(np.cos(torsion_angles(positions, torsion) - angle) > 0)
        kind = "peptide" if {elements[torsion[1]], elements[torsion[2]]} == {"C", "N"} else "double"
        words = " - ".join(atom_word(system.topology, index) for index in torsion[1:3])
        found.append((True, Violation(CIS_TRANS, f"the {kind} bond {words}", int(wrong.sum()))))
    found.sort(key=lambda entry: (entry[0], -entry[1].frames))
    return tuple(violation for _, violation in found if violation.frames)


def atom_word(topology: MolecularTopology, index: int) -> str:
    """An atom as ``CA of ALA 2``, residues counted from 1."""
    atom = topology.atoms[index]
    return f"{atom.name} of {atom.residue_name} {atom.residue_index + 1}"


def stereocentres(system: MolecularSystem) -> tuple[int, ...]:
    """Atoms with four neighbours that all carry different branches, so that their handedness is the molecule's."""
    exchangeable = {exchange.centre for exchange in exchanges_of(system.topology)}
    return tuple(centre[0] for centre in domain_of(system).centres if centre[0] not in exchangeable)


def peptide_bonds(topology: MolecularTopology) -> tuple[tuple[int, int, int, int], ...]:
    """The torsion (X, C, N, Y) of every bond between a carbonyl carbon and a nitrogen with another heavy neighbour."""
    neighbours = topology.neighbours()
    elements = [atom.element for atom in topology.atoms]
    found = []
    for carbon, around in enumerate(neighbours):
        oxygens = [i for i in around if elements[i] == "O" and len(neighbours[i]) == 1]
        if elements[carbon] != "C" or len(around) != 3 or len(oxygens) != 1:
            continue
        for nitrogen in (i for i in around if elements[i] == "N" and len(neighbours[i]) == 3):
            left = [i for i in around if i not in (nitrogen, *oxygens) and elements[i] != "H"]
            right = [i for i in neighbours[nitrogen] if i != carbon and elements[i] != "H"]
            if left and right:
                found.append((min(left), carbon, nitrogen, min(right)))
    return tuple(found)


def cis_bonds(system: MolecularSystem) -> tuple[str, ...]:
    """The peptide bonds that are cis in the system's structure, in words."""
    return tuple(
        " - ".join(atom_word(system.topology, index) for index in bond[1:3])
        for bond in peptide_bonds(system.topology)
        if _cosine(system.positions[None], bond)[0] > 0
    )


def _cosine(positions: FloatArray, torsion: tuple[int, int, int, int]) -> FloatArray:
    """Cosine of a torsion up to a positive factor (n,): above zero means cis."""
    a, b, c, d = (np.asarray(positions[:, i], dtype=np.float64) for i in torsion)
    bc = c - b
    return np.asarray((np.cross(b - a, bc) * np.cross(bc, d - c)).sum(axis=1), dtype=np.float64)
