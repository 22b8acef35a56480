"""The bonds that an OpenMM System knows, held against those of a topology."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.errors import InputError
from molgen.systems.radii import COVALENT_RADII_NM
from molgen.systems.topology import MolecularTopology

Bond = tuple[int, int]

_UNKNOWN_RADIUS_NM = 0.14
_BOND_RATIO = 1.35
_LENGTH_TOLERANCE_NM = 0.05
_HYDROGEN_MASS_SLACK_DA = 1.1  # deuterium
_MASS_SLACK_DA = 0.6


def linked_pairs(system: Any) -> dict[Bond, float | None]:
    """Pairs ``(i, j)``, ``i < j``, with a bond term or a constraint, and the length (nm) the System wants, where it
    says one.

    Beside bonds these may be Urey-Bradley terms, 1-4 terms or constrained angles.
    """
    import openmm

    pairs: dict[Bond, float | None] = {}
    for force in system.getForces():
        if isinstance(force, openmm.CustomBondForce):
            for index in range(force.getNumBonds()):
                i, j, _ = force.getBondParameters(index)
                pairs.setdefault((min(i, j), max(i, j)), None)
    for force in system.getForces():
        if isinstance(force, openmm.HarmonicBondForce):
            for index in range(force.getNumBonds()):
                i, j, length, _ = force.getBondParameters(index)
                pairs[min(i, j), max(i, j)] = length._value
    for index in range(system.getNumConstraints()):
        i, j, length = system.getConstraintParameters(index)
        pairs[min(i, j), max(i, j)] = length._value
    return pairs


def terms_like_bonds(
    topology: MolecularTopology, positions: FloatArray, system_xml: str
) -> tuple[set[Bond], set[Bond]]:
    """All pairs that a serialised System holds, and those of them that look like bonds.

    A harmonic term or a constraint does, whatever its length; a term of another form may be one of nonbonded pairs and
    does only where the atoms are no further apart than a bond is long.
    """
    import openmm

    pairs = linked_pairs(openmm.XmlSerializer.deserialize(system_xml))
    like = {
        (i, j)
        for (i, j), wanted in pairs.items()
        if wanted is not None
        or _distance(positions, (i, j)) < bond_limit(topology.atoms[i].element, topology.atoms[j].element)
    }
    return set(pairs), like


def bond_limit(first: str, second: str) -> float:
    """The length in nm up to which two atoms of these elements may be bonded."""
    return _BOND_RATIO * (
        COVALENT_RADII_NM.get(first, _UNKNOWN_RADIUS_NM) + COVALENT_RADII_NM.get(second, _UNKNOWN_RADIUS_NM)
    )


def bonds_with_system(
    topology: MolecularTopology,
    positions: FloatArray,
    system: Any,
    *,
    implied: Sequence[bool],
    labels: Sequence[str],
    source: str,
) -> tuple[Bond, ...]:
    """The bonds of the molecule: those of ``topology``, completed from ``system`` where the file did not imply them.

    ``implied[i]`` says that all bonds of atom i follow from its residue's name, ``labels[i]`` is what errors call it.
    ``InputError`` where one of the two has a bond that the other lacks, or where a length is not near what the System
    wants.
    """
    pairs = linked_pairs(system)
    _check_lengths(positions, pairs, labels, source)
    ours = set(topology.bonds)
    theirs = {
        (i, j)
        for i, j in pairs
        if _distance(positions, (i, j)) < bond_limit(topology.atoms[i].element, topology.atoms[j].element)
    }
    if not theirs:  # a potential of another kind: nothing to hold against the file
        return topology.bonds
    for bond in sorted(ours - theirs):
        message = f"{source} bonds {_named(labels, bond)}, but the System has no such bond."
        raise InputError(message, "Give the System of this very molecule, its atoms in the file's order.")
    for i, j in sorted(theirs - ours):
        if implied[i] and implied[j]:
            message = f"The System bonds {_named(labels, (i, j))}, but {source} has no such bond."
            raise InputError(message, "Add a CONECT record, or give the System of this very molecule.")
    return tuple(sorted(ours | theirs))


def check_masses(topology: MolecularTopology, system: Any, *, labels: Sequence[str], source: str) -> None:
    """``InputError`` unless every heavy atom with its hydrogens weighs what its elements do.

    ``topology`` has the masses of the elements. Masses moved from heavy atoms to their hydrogens pass, and atoms in
    another order do not.
    """
    neighbours = topology.neighbours()
    for index, atom in enumerate(topology.atoms):
        if atom.element == "H":
            continue
        hydrogens = [k for k in neighbours[index] if topology.atoms[k].element == "H"]
        group = [index, *hydrogens]
        theirs = sum(system.getParticleMass(k)._value for k in group)
        ours = sum(topology.atoms[k].mass_da for k in group)
        slack = _MASS_SLACK_DA + _HYDROGEN_MASS_SLACK_DA * len(hydrogens)
        if abs(theirs - ours) > slack:
            message = f"{labels[index]} in {source} weighs {ours:.1f} with its hydrogens, in the System {theirs:.1f}."
            raise InputError(message, "Give the System of this very molecule, its atoms in the file's order.")


def _check_lengths(
    positions: FloatArray, pairs: Mapping[Bond, float | None], labels: Sequence[str], source: str
) -> None:
    for bond, wanted in pairs.items():
        length = _distance(positions, bond)
        if wanted is not None and abs(length - wanted) > _LENGTH_TOLERANCE_NM:
            message = (
                f"{_named(labels, bond)} are {length:.3f} nm apart in {source}, but the System wants {wanted:.3f} nm."
            )
            raise InputError(message, "Give the System of this very molecule, its atoms in the file's order.")


def _distance(positions: FloatArray, bond: Bond) -> float:
    return float(np.linalg.norm(positions[bond[0]] - positions[bond[1]]))


def _named(labels: Sequence[str], bond: Bond) -> str:
    return f"{labels[bond[0]]} and {labels[bond[1]]}"
