"""Relaxing a structure that was placed atom by atom: local minimisation, first of the bonded terms alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.systems.openmm_topology import to_openmm
from molgen.systems.topology import MolecularTopology

FORCE_FIELD = ("amber99sbildn.xml", "amber99_obc.xml")
_TOLERANCE = 10.0  # root-mean-square force in kJ/mol/nm
_BONDED, _NONBONDED, _HANDEDNESS = 0, 1, 2
_HANDEDNESS_STRENGTH = 5000.0  # kJ/mol/rad^2
_HANDEDNESS_RAD = 0.4  # the improper torsion of an undistorted centre is 0.6
# Strengths in kJ/mol/nm^2 at which the two sulphurs of a disulphide are pulled together, from afar to the force field's own.
_PULLS = (20.0, 100.0, 500.0, 3000.0, 20000.0)


def relax(
    topology: MolecularTopology,
    positions: FloatArray,
    clockwise: Mapping[int, tuple[int, int, int, int]],
    pulled: tuple[tuple[int, int], ...] = (),
) -> FloatArray:
    """Positions (N, 3) in nm at a local minimum of amber99sbildn with OBC near ``positions``.

    ``clockwise`` are centres whose handedness is held while atoms may still overlap (a neighbour, and the others clockwise
    seen from it). ``pulled`` are bonds whose ends are still far apart; they are closed step by step. The Reference
    platform and no random numbers: the same input gives the same structure.
    """
    system = _create_system(topology)
    _hold_handedness(system, clockwise)
    bonds, strengths = _weakened(system, pulled)
    context = _context(system)
    context.setPositions(positions)
    for strength in _PULLS if pulled else ():
        for index in strengths:
            i, j, length, _ = bonds.getBondParameters(index)
            bonds.setBondParameters(index, i, j, length, strength)
        bonds.updateParametersInContext(context)
        _minimise(context, {_BONDED, _NONBONDED, _HANDEDNESS})
    for index, strength in strengths.items():
        i, j, length, _ = bonds.getBondParameters(index)
        bonds.setBondParameters(index, i, j, length, strength)
    bonds.updateParametersInContext(context)
    _minimise(context, {_BONDED, _HANDEDNESS})
    _minimise(context, {_BONDED, _NONBONDED, _HANDEDNESS})
    _minimise(context, {_BONDED, _NONBONDED})
    relaxed = context.getState(getPositions=True).getPositions(asNumpy=True)._value
    return np.asarray(relaxed - relaxed.mean(axis=0), dtype=np.float64)


def _create_system(topology: MolecularTopology) -> Any:
    import openmm
    from openmm import app

    field = app.ForceField(*FORCE_FIELD)
    system = field.createSystem(to_openmm(topology), nonbondedMethod=app.NoCutoff, constraints=None)
    for index in reversed(range(system.getNumForces())):
        force = system.getForce(index)
        if isinstance(force, openmm.CMMotionRemover):
            system.removeForce(index)
            continue
        bonded = isinstance(force, (openmm.HarmonicBondForce, openmm.HarmonicAngleForce, openmm.PeriodicTorsionForce))
        force.setForceGroup(_BONDED if bonded else _NONBONDED)
    return system


def _weakened(system: Any, pulled: tuple[tuple[int, int], ...]) -> tuple[Any, dict[int, Any]]:
    """The bond force of ``system``, and the true strengths of the bonds in ``pulled`` by their index in it."""
    import openmm

    bonds = next(force for force in system.getForces() if isinstance(force, openmm.HarmonicBondForce))
    wanted = {frozenset(pair) for pair in pulled}
    strengths = {}
    for index in range(bonds.getNumBonds()):
        i, j, _, strength = bonds.getBondParameters(index)
        if frozenset((i, j)) in wanted:
            strengths[index] = strength
    return bonds, strengths


def _hold_handedness(system: Any, clockwise: Mapping[int, tuple[int, int, int, int]]) -> None:
    """A wall that keeps improper torsions on their side and is not felt by an undistorted centre."""
    import openmm

    force = openmm.CustomTorsionForce(f"{_HANDEDNESS_STRENGTH} * max(0, {_HANDEDNESS_RAD} - theta)^2")
    for centre, (_, second, third, fourth) in clockwise.items():
        force.addTorsion(centre, second, third, fourth)
    force.setForceGroup(_HANDEDNESS)
    system.addForce(force)


def _context(system: Any) -> Any:
    import openmm

    platform = openmm.Platform.getPlatformByName("Reference")
    return openmm.Context(system, openmm.VerletIntegrator(0.001), platform)


def _minimise(context: Any, groups: set[int]) -> None:
    import openmm

    context.getIntegrator().setIntegrationForceGroups(groups)
    openmm.LocalEnergyMinimizer.minimize(context, _TOLERANCE)
