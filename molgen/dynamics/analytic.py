"""Overdamped and Langevin dynamics of analytic systems in numpy, many walkers at once (kT = 1, unit mass)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from molgen.arrays import FloatArray
from molgen.dynamics.propagator import Piece
from molgen.dynamics.umbrella import bias_gradient
from molgen.energies.analytic import POTENTIALS
from molgen.errors import PartialError
from molgen.seeds import numpy_generator
from molgen.systems.system import REDUCED_TEMPERATURE_K, AnalyticSystem

if TYPE_CHECKING:
    from molgen.bias.base import SumBias

_NOISE_STEPS = 1000


@dataclass(frozen=True)
class AnalyticDynamics:
    """Dynamics of pseudo-particles, with a = exp(-g dt), g ``friction_per_ps``, T in units of kT, noise R.

    overdamped (Euler-Maruyama):  x += -dV dt / g + sqrt(2 T dt / g) R
    langevin-middle (Z. Zhang et al., doi:10.1021/acs.jpca.9b02771):
    v += -dV dt;  x += v dt / 2;  v = a v + sqrt(T (1 - a^2)) R;  x += v dt / 2

    V is the potential and, with a ``bias``, B beside it: in reduced units both are in kT.

    Several particles keep their centroid: it starts at the origin, and its share of velocities and noise is taken off.
    """

    potential: str
    parameters: Mapping[str, float]
    integrator: Literal["langevin-middle", "overdamped"]
    timestep_ps: float
    friction_per_ps: float
    bias: "SumBias | None" = None

    def run(self, start: FloatArray, piece: Piece, seed: int) -> FloatArray:
        """See :class:`molgen.dynamics.propagator.Propagator`; ``PartialError`` if a trajectory explodes."""
        generator = numpy_generator(seed, "analytic-dynamics")
        thermal = piece.temperature_k / REDUCED_TEMPERATURE_K
        x = _without_centroid(np.array(start, dtype=np.float64))
        v = _without_centroid(generator.standard_normal(x.shape) * np.sqrt(thermal))
        frames = np.empty((len(start), piece.frames, *x.shape[1:]))
        total = piece.discard_steps + piece.frames * piece.every
        noise = np.empty((0,))
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for step in range(total):
                if step % _NOISE_STEPS == 0:
                    drawn = generator.standard_normal((min(_NOISE_STEPS, total - step), *x.shape))
                    noise = _without_centroid(drawn)
                x, v = self.step(x, v, noise[step % _NOISE_STEPS], thermal)
                kept, rest = divmod(step + 1 - piece.discard_steps, piece.every)
                if rest == 0 and kept > 0:
                    frames[:, kept - 1] = x
        if not np.isfinite(frames).all():
            raise PartialError(
                f"A trajectory left the finite numbers at a time step of {self.timestep_ps:g}.",
                "Give a shorter time step (--set timestep_fs=...).",
            )
        return frames

    def step(self, x: FloatArray, v: FloatArray, noise: FloatArray, thermal: float) -> tuple[FloatArray, FloatArray]:
        """One step of positions and velocities (W, N, D) with normal ``noise`` of their shape, ``thermal`` in kT."""
        dt, friction = self.timestep_ps, self.friction_per_ps
        slope = POTENTIALS[self.potential](x, self.parameters)[1]
        if self.bias is not None:
            slope = slope + bias_gradient(self.bias, x)
        if self.integrator == "overdamped":
            return x - slope * (dt / friction) + np.sqrt(2.0 * thermal * dt / friction) * noise, v
        kept = np.exp(-friction * dt)
        v = v - slope * dt
        x = x + 0.5 * dt * v
        v = kept * v + np.sqrt(thermal * (1.0 - kept * kept)) * noise
        return x + 0.5 * dt * v, v


def _without_centroid(values: FloatArray) -> FloatArray:
    """``values`` (..., N, D) minus their mean over particles; those of a single particle as they are."""
    return values if values.shape[-2] == 1 else values - values.mean(axis=-2, keepdims=True)


def analytic_dynamics(
    system: AnalyticSystem,
    *,
    timestep_ps: float | None = None,
    friction_per_ps: float | None = None,
    bias: "SumBias | None" = None,
) -> AnalyticDynamics:
    """The dynamics that the system's ``[dynamics]`` section describes, time step and friction replaced if given.

    ``bias`` is added to the potential.
    """
    section = system.definition.dynamics
    return AnalyticDynamics(
        system.potential,
        system.parameters,
        section.integrator,
        1e-3 * section.timestep_fs if timestep_ps is None else timestep_ps,
        section.friction_per_ps if friction_per_ps is None else friction_per_ps,
        bias,
    )
