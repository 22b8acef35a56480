"""Frames of dynamics with fixed bonds: whether they hold them, and what they weigh in the stiff limit."""

import numpy as np

from molgen.arrays import FloatArray
from molgen.errors import InputError
from molgen.systems.constraints import log_constraint_determinant
from molgen.systems.system import MolecularSystem, System
from molgen.trajectories.frames import AnyFloatArray

CONSTRAINT_TOLERANCE_NM = 5e-4
"""Largest median deviation of a fixed distance: trajectory formats round to 5e-4 nm, free bonds swing by 3e-3 nm."""
_CHUNK = 10_000


def log_stiff(
    positions: AnyFloatArray, system: System, source: str, hydrogen_mass_da: float | None = None
) -> FloatArray | None:
    """-1/2 ln|Z| (n,) of frames (n, N, 3), None for a system without constraints.

    Dynamics that holds distances fixed samples exp(-beta U) |Z|^{1/2}; the target is the stiff limit, exp(-beta U)
    alone (:func:`molgen.systems.constraints.log_constraint_determinant`). Z depends on the masses that were moved:
    ``hydrogen_mass_da`` as in the simulation, None for the System's own. ``InputError`` where the frames do not hold
    the distances that the system fixes.
    """
    if not isinstance(system, MolecularSystem) or not system.constraints:
        return None
    pairs = [(i, j) for i, j, _ in system.constraints]
    first, second = np.array(pairs).T
    lengths = np.array([length for _, _, length in system.constraints])
    some = positions[:: max(1, len(positions) // 1000)]
    found = np.linalg.norm(np.asarray(some[:, first] - some[:, second], dtype=np.float64), axis=-1)
    deviation = np.median(np.abs(found - lengths), axis=0)
    worst = int(np.argmax(deviation))
    if deviation[worst] > CONSTRAINT_TOLERANCE_NM:
        i, j = pairs[worst]
        raise InputError(
            f"{source} does not hold atoms {i} and {j} at the {lengths[worst]:.4f} nm that {system.name} fixes.",
            'Give frames of dynamics with the same constraints, or a system with constraints = "none".',
        )
    inverse = 1.0 / np.array(system.topology.masses(hydrogen_mass_da))
    parts = [
        log_constraint_determinant(positions[k : k + _CHUNK], pairs, inverse) for k in range(0, len(positions), _CHUNK)
    ]
    return np.asarray(-0.5 * np.concatenate(parts), dtype=np.float64)
