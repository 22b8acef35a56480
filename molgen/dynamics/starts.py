"""Structures that dynamics does not find: every form of the bonds that may be cis or trans, and declared states.

A bond that may be either (X-Pro) turns too rarely even in hot dynamics, and a form that no frame shows is one that no
model has; hot chains begin in all of them. A state behind a high barrier may be passed by no hot chain; the torsions
among the collective variables are turned until a structure is in it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.coordinates.domain import domain_of, either_form
from molgen.coordinates.symmetry import beyond
from molgen.energies.platforms import open_context
from molgen.systems.system import MolecularSystem, System

MAX_CHAINS = 8
_MINIMISER_STEPS = 500
_TURNS = 4000
_RELAXED = 40
"""Structures in a state that are tried at most."""


def hot_chains(system: System, at_least: int) -> int:
    """Number of hot chains: ``at_least``, or one for each combination of forms if that is more (at most 8)."""
    if not isinstance(system, MolecularSystem):
        return at_least
    forms = 1 << len(either_form(system))
    return max(at_least, min(MAX_CHAINS, forms))


def starting_structures(system: System, chains: int, platform: str) -> list[FloatArray]:
    """A structure (N, D) for each chain: chain c has bond k turned by half a turn where bit k of c is set.

    Turned structures are relaxed; one that leaves the domain or keeps no finite energy is replaced by the system's own.
    """
    if not isinstance(system, MolecularSystem) or not either_form(system):
        return [system.positions] * chains
    domain = domain_of(system)
    bonds = sorted(either_form(system))
    found: list[FloatArray] = []
    for chain in range(chains):
        positions = system.positions
        for k, bond in enumerate(bonds):
            if chain >> k & 1:
                positions = _half_turn(system, positions, bond)
        if positions is not system.positions:
            positions = _relaxed(system, positions, platform)
            if not np.isfinite(positions).all() or not domain.contains(positions[None])[0]:
                positions = system.positions
        found.append(positions)
    return found


def turned_into(
    system: System, label: Callable[[FloatArray], IntArray], state: int, *, most: int, seed: int, platform: str
) -> FloatArray:
    """At most ``most`` relaxed structures (n, N, D) in ``state`` by ``label``, from turns of torsions at random.

    The system's structure with each torsion among its collective variables turned by a random angle, unless its bond is
    in a ring; relaxed, and kept if still in the state and in the domain. None for a system without such torsions.
    """
    if not isinstance(system, MolecularSystem):
        return np.zeros((0, *system.positions.shape))
    bonds = sorted({(cv.torsion[1], cv.torsion[2]) for cv in system.definition.cv if cv.torsion is not None})
    if not bonds:
        return np.zeros((0, *system.positions.shape))
    generator = np.random.default_rng(seed)
    turned = np.stack([_turned(system, bonds, generator) for _ in range(_TURNS)])
    domain = domain_of(system)
    found: list[FloatArray] = []
    for positions in turned[np.flatnonzero(label(turned) == state)[:_RELAXED]]:
        if len(found) == most:
            break
        relaxed = _relaxed(system, positions, platform)
        if np.isfinite(relaxed).all() and domain.contains(relaxed[None])[0] and label(relaxed[None])[0] == state:
            found.append(relaxed)
    return np.stack(found) if found else np.zeros((0, *system.positions.shape))


def _turned(system: MolecularSystem, bonds: Sequence[tuple[int, int]], generator: np.random.Generator) -> FloatArray:
    positions = system.positions
    for bond in bonds:
        positions = _turn(system, positions, bond, float(generator.uniform(-math.pi, math.pi)))
    return positions


def _half_turn(system: MolecularSystem, positions: FloatArray, bond: tuple[int, int]) -> FloatArray:
    """``positions`` with everything beyond ``bond`` turned by 180 degrees about it; unchanged for a bond in a ring."""
    return _turn(system, positions, bond, math.pi)


def _turn(system: MolecularSystem, positions: FloatArray, bond: tuple[int, int], angle: float) -> FloatArray:
    """``positions`` with everything beyond ``bond`` turned by ``angle`` about it; unchanged for a bond in a ring."""
    i, j = bond
    side = beyond(system.topology.neighbours(), j, i)
    if i in side:
        return positions
    axis = positions[j] - positions[i]
    axis = axis / np.linalg.norm(axis)
    moved = sorted(side - {j})
    relative = positions[moved] - positions[j]
    along = np.outer(relative @ axis, axis)
    across = (relative - along) * math.cos(angle) + np.cross(axis, relative) * math.sin(angle)
    result = positions.copy()
    result[moved] = positions[j] + along + across
    return result


def _relaxed(system: MolecularSystem, positions: FloatArray, platform: str) -> FloatArray:
    import openmm

    context: Any = open_context(
        openmm.XmlSerializer.deserialize(system.system_xml), openmm.VerletIntegrator(0.001), platform
    )
    context.setPositions(positions)
    openmm.LocalEnergyMinimizer.minimize(context, 10.0, _MINIMISER_STEPS)
    found = context.getState(positions=True).getPositions(asNumpy=True)._value
    return np.asarray(found, dtype=np.float64)
