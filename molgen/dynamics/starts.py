"""Where the hot chains of exploring begin: every form of the bonds that may be cis or trans.

Such a bond (X-Pro) turns too rarely even in hot dynamics, and a form that no frame shows is one that no model has.
"""

from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.coordinates.domain import domain_of, either_form
from molgen.coordinates.symmetry import beyond
from molgen.energies.platforms import open_context
from molgen.systems.system import MolecularSystem, System

MAX_CHAINS = 8
_MINIMISER_STEPS = 500


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


def _half_turn(system: MolecularSystem, positions: FloatArray, bond: tuple[int, int]) -> FloatArray:
    """``positions`` with everything beyond ``bond`` turned by 180 degrees about it; unchanged for a bond in a ring."""
    i, j = bond
    side = beyond(system.topology.neighbours(), j, i)
    if i in side:
        return positions
    axis = positions[j] - positions[i]
    axis = axis / np.linalg.norm(axis)
    moved = sorted(side - {j})
    relative = positions[moved] - positions[j]
    result = positions.copy()
    result[moved] = positions[j] + 2.0 * np.outer(relative @ axis, axis) - relative
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
