"""Relaxing a structure that was placed atom by atom: local minimisation, first of the bonded terms alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.systems.openmm_topology import to_openmm
from molgen.systems.topology import MolecularTopology

FORCE_FIELD = ("amber99sbildn.xml", "amber99_obc.xml")
_TOLERANCE = 10.0  # root-mean-square force in kJ/mol/nm
_BONDED, _NONBONDED, _WALLS, _SOFT = 0, 1, 2, 3
# Walls that an undistorted structure does not feel. The improper torsion of a centre has a sine of 0.55, and its sine
# has the sign of the handedness; the cosine of a trans omega is -1.
_HANDEDNESS_WALL = "10000 * max(0, 0.4 - sin(theta))^2"
_TRANS_WALL = "2000 * max(0, cos(theta) + 0.95)^2"
# A repulsion that stays finite when atoms sit on one another: kJ/mol, nm; the radii are about 0.85 of van der Waals'.
_REPULSION = "20000 * max(0, radius1 + radius2 - r)^2"
_SOFT_RADIUS_NM, _SOFT_HYDROGEN_NM = 0.145, 0.095
_EXCLUDED_BONDS = 3
# Strengths in kJ/mol/nm^2 at which the two sulphurs of a disulphide are pulled together, from afar to the force
# field's own.
_PULLS = (20.0, 100.0, 500.0, 3000.0, 20000.0)


def relax(
    topology: MolecularTopology,
    positions: FloatArray,
    clockwise: Mapping[int, tuple[int, int, int, int]],
    trans: tuple[tuple[int, int, int, int], ...],
    pulled: tuple[tuple[int, int], ...] = (),
) -> FloatArray:
    """Positions (N, 3) in nm at a local minimum of amber99sbildn with OBC near ``positions``.

    Before the force field is whole, a soft repulsion moves overlapping atoms apart while walls hold the handedness of
    the centres in ``clockwise`` (a neighbour, and the others clockwise seen from it) and keep the torsions in
    ``trans`` at 180 degrees. ``pulled`` are bonds whose ends are still far apart; they are closed step by step. The
    Reference platform and no random numbers: the same input gives the same structure.
    """
    system = _create_system(topology)
    _add_walls(system, clockwise, trans)
    _add_repulsion(system, topology)
    bonds, strengths = _bonds_of(system, pulled)
    context = _context(system)
    context.setPositions(positions)
    for pull in (*(_PULLS if pulled else ()), None):  # the last: as the force field has it
        for index, strength in strengths.items():
            i, j, length, _ = bonds.getBondParameters(index)
            bonds.setBondParameters(index, i, j, length, strength if pull is None else pull)
        bonds.updateParametersInContext(context)
        _minimise(context, {_BONDED, _WALLS, _SOFT})
    _minimise(context, {_BONDED, _WALLS, _NONBONDED})
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


def _bonds_of(system: Any, pulled: tuple[tuple[int, int], ...]) -> tuple[Any, dict[int, Any]]:
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


def _add_walls(
    system: Any,
    clockwise: Mapping[int, tuple[int, int, int, int]],
    trans: tuple[tuple[int, int, int, int], ...],
) -> None:
    import openmm

    handedness = openmm.CustomTorsionForce(_HANDEDNESS_WALL)
    for centre, (_, second, third, fourth) in clockwise.items():
        handedness.addTorsion(centre, second, third, fourth)
    amides = openmm.CustomTorsionForce(_TRANS_WALL)
    for torsion in trans:
        amides.addTorsion(*torsion)
    for force in (handedness, amides):
        force.setForceGroup(_WALLS)
        system.addForce(force)


def _add_repulsion(system: Any, topology: MolecularTopology) -> None:
    import openmm

    force = openmm.CustomNonbondedForce(_REPULSION)
    force.addPerParticleParameter("radius")
    for atom in topology.atoms:
        force.addParticle([_SOFT_HYDROGEN_NM if atom.element == "H" else _SOFT_RADIUS_NM])
    force.createExclusionsFromBonds(list(topology.bonds), _EXCLUDED_BONDS)
    force.setForceGroup(_SOFT)
    system.addForce(force)


def _context(system: Any) -> Any:
    import openmm

    platform = openmm.Platform.getPlatformByName("Reference")
    return openmm.Context(system, openmm.VerletIntegrator(0.001), platform)


def _minimise(context: Any, groups: set[int]) -> None:
    import openmm

    context.getIntegrator().setIntegrationForceGroups(groups)
    openmm.LocalEnergyMinimizer.minimize(context, _TOLERANCE)
