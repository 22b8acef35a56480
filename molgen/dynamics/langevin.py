"""Langevin dynamics of molecules through OpenMM."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.dynamics.bias import FourierTorsionBias
from molgen.dynamics.live import live_context
from molgen.dynamics.propagator import Piece
from molgen.dynamics.umbrella import biased_xml
from molgen.energies.platforms import open_context
from molgen.errors import PartialError
from molgen.seeds import child_seed
from molgen.systems.system import MolecularSystem
from molgen.systems.topology import MolecularTopology

if TYPE_CHECKING:
    from molgen.bias.base import SumBias


@dataclass(frozen=True)
class MolecularDynamics:
    """Langevin dynamics by OpenMM's LangevinMiddle integrator, as a picklable value (see :class:`Propagator`).

    The integrator is that of Z. Zhang et al., J. Phys. Chem. A 123, 6056 (2019), doi:10.1021/acs.jpca.9b02771.
    ``system_xml`` carries the masses that are moved; static ``biases`` may be added to its forces.
    """

    system_xml: str
    platform: str
    timestep_ps: float
    friction_per_ps: float
    biases: tuple[FourierTorsionBias, ...] = ()

    def run(self, start: FloatArray, piece: Piece, seed: int) -> FloatArray:
        """See :class:`molgen.dynamics.propagator.Propagator`; ``PartialError`` if a trajectory explodes."""
        context = self._context()
        return np.stack([self._one(context, frame, piece, child_seed(seed, i)) for i, frame in enumerate(start)])

    def _one(self, context: Any, frame: FloatArray, piece: Piece, seed: int) -> FloatArray:
        import openmm

        integrator = context.getIntegrator()
        integrator.setTemperature(piece.temperature_k)
        # A used Context keeps its old random numbers until it is reinitialised.
        integrator.setRandomNumberSeed(child_seed(seed, "noise", bits=31))
        context.reinitialize()
        context.setPositions(np.ascontiguousarray(frame, dtype=np.float64))
        context.applyConstraints(integrator.getConstraintTolerance())
        context.setVelocitiesToTemperature(piece.temperature_k, child_seed(seed, "velocities", bits=31))
        frames = np.empty((piece.frames, *frame.shape))
        try:
            integrator.step(piece.discard_steps)
            for index in range(piece.frames):
                integrator.step(piece.every)
                frames[index] = context.getState(positions=True).getPositions(asNumpy=True)._value
        except openmm.OpenMMException as error:
            raise _exploded(self.timestep_ps) from error
        if not np.isfinite(frames).all():
            raise _exploded(self.timestep_ps)
        return frames

    def _context(self) -> Any:
        return live_context(self, self._open)

    def _open(self) -> Any:
        import openmm

        system = openmm.XmlSerializer.deserialize(self.system_xml)
        for bias in self.biases:
            system.addForce(_bias_force(bias))
        integrator = openmm.LangevinMiddleIntegrator(300.0, self.friction_per_ps, self.timestep_ps)
        integrator.setRandomNumberSeed(1)
        return open_context(system, integrator, self.platform)


def molecular_dynamics(
    system: MolecularSystem,
    *,
    platform: str,
    timestep_ps: float,
    friction_per_ps: float,
    hydrogen_mass_da: float | None,
    biases: tuple[FourierTorsionBias, ...] = (),
    bias: "SumBias | None" = None,
) -> MolecularDynamics:
    """The dynamics of ``system``; ``hydrogen_mass_da`` moves mass to hydrogens from their neighbours (None: physical).

    Masses change how fast configurations are visited, never how often: u depends on positions alone. ``bias`` is added
    to u (:func:`molgen.dynamics.umbrella.biased_xml`).
    """
    xml = system.system_xml
    if hydrogen_mass_da is not None:
        xml = repartitioned(xml, system.topology, hydrogen_mass_da)
    if bias is not None:
        xml = biased_xml(xml, bias, system.temperature_k)
    return MolecularDynamics(xml, platform, timestep_ps, friction_per_ps, biases)


def repartitioned(system_xml: str, topology: MolecularTopology, hydrogen_mass_da: float) -> str:
    """The System XML with every hydrogen of mass ``hydrogen_mass_da``, taken from the heavy atom it is bonded to.

    The total mass stays. ``InputError`` if a heavy atom would be left lighter than its hydrogens.
    """
    import openmm

    system = openmm.XmlSerializer.deserialize(system_xml)
    for index, mass in enumerate(topology.masses(hydrogen_mass_da)):
        system.setParticleMass(index, mass)
    return str(openmm.XmlSerializer.serialize(system))


def _bias_force(bias: FourierTorsionBias) -> Any:
    import openmm

    force = openmm.PeriodicTorsionForce()
    force.setName("StaticBias")
    for periodicity, phase, height in bias.terms:
        force.addTorsion(*bias.atoms, periodicity, phase, height)
    return force


def _exploded(timestep_ps: float) -> PartialError:
    return PartialError(
        f"A trajectory left the finite numbers at a time step of {1e3 * timestep_ps:g} fs.",
        "Give a shorter time step (--set timestep_fs=1) or check the starting structure.",
    )
