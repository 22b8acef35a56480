"""Passages of analytic systems in numpy, many at once; those that have arrived are taken out."""

from dataclasses import dataclass, replace

import numpy as np

from molgen.arrays import BoolArray, FloatArray
from molgen.dynamics.analytic import AnalyticDynamics, analytic_dynamics
from molgen.dynamics.passage import CRASHED, Keeping, Passages, PhasePoints, TrailRecorder
from molgen.energies.analytic import POTENTIALS
from molgen.observables.boundary import NEITHER, Boundary
from molgen.observables.regions import Labelling, Region
from molgen.seeds import numpy_generator
from molgen.systems.system import REDUCED_TEMPERATURE_K, AnalyticSystem


@dataclass(frozen=True, eq=False)
class AnalyticPassages:
    """See :class:`molgen.dynamics.passage.PassageDynamics`, in reduced units with unit masses.

    Overdamped dynamics has no velocity: whatever is given is kept and has no influence.
    """

    boundary: Labelling
    dynamics: AnalyticDynamics
    temperature_k: float
    check_every: int
    region: Region | None = None

    @property
    def timestep_ps(self) -> float:
        """The time step in the reduced unit of time."""
        return self.dynamics.timestep_ps

    @property
    def _thermal(self) -> float:
        return self.temperature_k / REDUCED_TEMPERATURE_K

    def velocities(self, positions: FloatArray, generator: np.random.Generator) -> FloatArray:
        """See :class:`molgen.dynamics.passage.PassageDynamics`."""
        return np.asarray(np.sqrt(self._thermal) * generator.standard_normal(positions.shape))

    def ending_at(self, boundary: Labelling) -> "AnalyticPassages":
        """See :class:`molgen.dynamics.passage.PassageDynamics`."""
        return replace(self, boundary=boundary)

    def counting(self, region: Region) -> "AnalyticPassages":
        """See :class:`molgen.dynamics.passage.PassageDynamics`."""
        return replace(self, region=region)

    def run(self, start: PhasePoints, limit: int, seed: int, keep: Keeping | None = None) -> Passages:
        """See :class:`molgen.dynamics.passage.PassageDynamics`."""
        generator = numpy_generator(seed, "passages")
        label = np.full(len(start), NEITHER, dtype=np.int64)
        steps, looks = np.zeros(len(start), dtype=np.int64), np.zeros(len(start), dtype=np.int64)
        last, speed = np.array(start.positions), np.array(start.velocities)
        live = np.arange(len(start))
        done, recorder = 0, TrailRecorder(keep)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            x, v = last.copy(), speed - self._half_kick(last)
            while len(live) and done < limit:
                noise = generator.standard_normal((self.check_every, *x.shape))
                for step in range(self.check_every):
                    x, v = self.dynamics.step(x, v, noise[step], self._thermal)
                done += self.check_every
                steps[live] = done
                finite = _finite(x, v)
                found = np.where(finite, self.boundary.assign(x), CRASHED)
                label[live] = found
                going = found == NEITHER
                ended = ~going & finite
                if ended.any():
                    last[live[ended]] = x[ended]
                    speed[live[ended]] = v[ended] + self._half_kick(x[ended])
                if not going.all():
                    live, x, v = live[going], x[going], v[going]
                recorder.add(done // self.check_every, live, x)
                if self.region is not None and len(live):
                    looks[live] += self.region.contains(x)
            last[live], speed[live] = x, v + self._half_kick(x)
        trail = recorder.trail(last.shape[1:]) if keep is not None else None
        return Passages(label, steps, PhasePoints(last, speed), trail, None if self.region is None else looks)

    def _half_kick(self, x: FloatArray) -> FloatArray:
        """(dt/2) F of positions (W, N, D); none for overdamped dynamics, which has no velocities to kick."""
        if self.dynamics.integrator == "overdamped" or not len(x):
            return np.zeros_like(x)
        slope = POTENTIALS[self.dynamics.potential](x, self.dynamics.parameters)[1]
        return np.asarray(-0.5 * self.dynamics.timestep_ps * slope)


def _finite(x: FloatArray, v: FloatArray) -> BoolArray:
    """Which rows (W,) of positions and velocities (W, N, D) are finite; nearly always all, which is found sooner."""
    if np.isfinite(x).all() and np.isfinite(v).all():
        return np.ones(len(x), dtype=np.bool_)
    return np.asarray(np.isfinite(x).all(axis=(1, 2)) & np.isfinite(v).all(axis=(1, 2)))


def analytic_passages(system: AnalyticSystem, boundary: Boundary) -> AnalyticPassages:
    """The passages of ``system`` by the dynamics in its ``[dynamics]`` section."""
    section = system.definition.dynamics
    return AnalyticPassages(boundary, analytic_dynamics(system), system.temperature_k, section.check_every)
