"""Passages of molecules through OpenMM's LangevinMiddle integrator, one after the other."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.dynamics.live import live_context
from molgen.dynamics.passage import CRASHED, Keeping, Passages, PhasePoints, Trail, TrailRecorder
from molgen.energies.platforms import open_context
from molgen.errors import InputError
from molgen.observables.boundary import NEITHER, Boundary
from molgen.observables.regions import Labelling, Region
from molgen.seeds import child_seed
from molgen.systems.system import MolecularSystem
from molgen.units import thermal_energy


@dataclass(frozen=True, eq=False)
class MolecularPassages:
    """See :class:`molgen.dynamics.passage.PassageDynamics`; positions in nm, velocities in nm/ps, masses in u.

    One seed serves all passages of a call: giving every passage its own would cost a good part of a short one.
    """

    boundary: Labelling
    system_xml: str
    platform: str
    temperature_k: float
    timestep_ps: float
    friction_per_ps: float
    check_every: int
    region: Region | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """What the Context is made of."""
        return (type(self), self.system_xml, self.platform, self.temperature_k, self.timestep_ps, self.friction_per_ps)

    def velocities(self, positions: FloatArray, generator: np.random.Generator) -> FloatArray:
        """See :class:`molgen.dynamics.passage.PassageDynamics`: √(kT/m) × normal numbers, then the constraints."""
        spread = np.sqrt(thermal_energy(self.temperature_k) * self._inverse_masses)[:, None]
        drawn = spread * generator.standard_normal(positions.shape)
        if not self._constrained:
            return np.asarray(drawn)
        context = self._context()
        return np.stack([_on_constraints(context, x, v)[1] for x, v in zip(positions, drawn, strict=True)])

    def ending_at(self, boundary: Labelling) -> "MolecularPassages":
        """See :class:`molgen.dynamics.passage.PassageDynamics`."""
        return self._with(replace(self, boundary=boundary))

    def counting(self, region: Region) -> "MolecularPassages":
        """See :class:`molgen.dynamics.passage.PassageDynamics`."""
        return self._with(replace(self, region=region))

    def _with(self, other: "MolecularPassages") -> "MolecularPassages":
        # What was deserialised is the same.
        other.__dict__.update({name: value for name, value in self.__dict__.items() if name not in other.__dict__})
        return other

    def run(self, start: PhasePoints, limit: int, seed: int, keep: Keeping | None = None) -> Passages:
        """See :class:`molgen.dynamics.passage.PassageDynamics`."""
        context = self._context()
        integrator = context.getIntegrator()
        # A used Context keeps its old random numbers until it is reinitialised.
        integrator.setRandomNumberSeed(child_seed(seed, "noise", bits=31))
        context.reinitialize()
        label = np.empty(len(start), dtype=np.int64)
        steps, looks = np.empty(len(start), dtype=np.int64), np.empty(len(start), dtype=np.int64)
        end = PhasePoints(np.array(start.positions), np.array(start.velocities))
        trails = []
        for index in range(len(start)):
            recorder = TrailRecorder(keep)
            found = self._one(context, start.positions[index], start.velocities[index], limit, recorder)
            label[index], steps[index], looks[index], end.positions[index], end.velocities[index] = found
            trails.append(recorder.trail(start.positions.shape[1:]))
        trail = _numbered(trails) if keep is not None else None
        return Passages(label, steps, end, trail, None if self.region is None else looks)

    def _one(
        self, context: Any, positions: FloatArray, velocities: FloatArray, limit: int, recorder: TrailRecorder
    ) -> tuple[int, int, int, FloatArray, FloatArray]:
        import openmm

        where_is, every = self.boundary.where_is, self.check_every
        holds = None if self.region is None else self.region.holds
        integrator = context.getIntegrator()
        done, looks, label = 0, 0, NEITHER
        try:
            context.setPositions(positions)
            if self._constrained:
                positions, velocities = _on_constraints(context, positions, velocities)
            self._set_velocities(context, velocities - self._half_kick(context))
            while label == NEITHER and done < limit:
                integrator.step(every)
                done += every
                frame = context.getState(positions=True).getPositions(asNumpy=True)._value
                label = where_is(frame)
                if recorder.keep is not None and label == NEITHER and np.isfinite(frame).all():
                    recorder.add(done // every, (0,), (frame,))
                if holds is not None and label == NEITHER and holds(frame):
                    looks += 1
            state = context.getState(positions=True, velocities=True)
            last = state.getPositions(asNumpy=True)._value
            speed = state.getVelocities(asNumpy=True)._value + self._half_kick(context)
            if self._constrained:
                last, speed = _on_constraints(context, last, speed)
        except openmm.OpenMMException:
            return CRASHED, done, looks, positions, velocities
        if not (np.isfinite(last).all() and np.isfinite(speed).all()):
            return CRASHED, done, looks, positions, velocities
        return label, done, looks, last, speed

    def _half_kick(self, context: Any) -> FloatArray:
        """(dt/2) F/m (N, 3) at the Context's positions."""
        force = context.getState(forces=True).getForces(asNumpy=True)._value
        return np.asarray(0.5 * self.timestep_ps * force * self._inverse_masses[:, None])

    def _set_velocities(self, context: Any, velocities: FloatArray) -> None:
        context.setVelocities(velocities)
        if self._constrained:
            context.applyVelocityConstraints(context.getIntegrator().getConstraintTolerance())

    @cached_property
    def _system(self) -> Any:
        import openmm

        system = openmm.XmlSerializer.deserialize(self.system_xml)
        # Taking the centre's motion away is no part of the dynamics that a committor belongs to.
        for index in reversed(range(system.getNumForces())):
            if isinstance(system.getForce(index), openmm.CMMotionRemover):
                system.removeForce(index)
        return system

    @cached_property
    def _inverse_masses(self) -> FloatArray:
        system = self._system
        masses = np.array([system.getParticleMass(i)._value for i in range(system.getNumParticles())])
        return np.where(masses > 0.0, 1.0 / np.where(masses > 0.0, masses, 1.0), 0.0)

    @cached_property
    def _constrained(self) -> bool:
        return bool(self._system.getNumConstraints())

    def _context(self) -> Any:
        return live_context(self.key, self._open)

    def _open(self) -> Any:
        import openmm

        integrator = openmm.LangevinMiddleIntegrator(self.temperature_k, self.friction_per_ps, self.timestep_ps)
        integrator.setRandomNumberSeed(1)
        return open_context(self._system, integrator, self.platform)

    def __getstate__(self) -> dict[str, Any]:
        # What was deserialised stays where it is.
        names = type(self).__dataclass_fields__
        return {name: self.__dict__[name] for name in names}


def _numbered(trails: list[Trail]) -> Trail:
    """One trail of many, the passages numbered as they stand."""
    passage = np.repeat(np.arange(len(trails)), [len(trail.passage) for trail in trails])
    return Trail(passage.astype(np.int64), np.concatenate([trail.positions for trail in trails]))


def _on_constraints(context: Any, positions: FloatArray, velocities: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Positions and velocities (N, 3) moved onto the Context's constraints; they are the Context's afterwards."""
    tolerance = context.getIntegrator().getConstraintTolerance()
    context.setPositions(positions)
    context.applyConstraints(tolerance)
    context.setVelocities(velocities)
    context.applyVelocityConstraints(tolerance)
    state = context.getState(positions=True, velocities=True)
    return state.getPositions(asNumpy=True)._value, state.getVelocities(asNumpy=True)._value


def molecular_passages(system: MolecularSystem, boundary: Boundary, *, platform: str) -> MolecularPassages:
    """The passages of ``system`` by the dynamics in its ``[dynamics]`` section.

    ``InputError`` for an integrator that OpenMM's molecules are not moved by here.
    """
    from molgen.dynamics.langevin import repartitioned

    section = system.definition.dynamics
    if section.integrator != "langevin-middle":
        raise InputError(
            f"Molecules are not moved by the integrator {section.integrator!r}.",
            'Set integrator = "langevin-middle" under [dynamics].',
        )
    xml = system.system_xml
    if section.hydrogen_mass != "physical":
        xml = repartitioned(xml, system.topology, section.hydrogen_mass)
    return MolecularPassages(
        boundary,
        xml,
        platform,
        system.temperature_k,
        1e-3 * section.timestep_fs,
        section.friction_per_ps,
        section.check_every,
    )
