r"""Continuous flows: noise is carried to frames along an equivariant velocity field, by steps whose density is exact.

Frames are centred and divided by their spread; noise is a standard normal on the same subspace. The model is the map
that the steps make, not the differential equation they approximate, so that

.. math:: \log q(x) = \log N(z) - \sum_k \log|\det \partial x_{k+1}/\partial x_k| - (N-1) D \ln(\text{scale})

holds to rounding with any number of steps (:mod:`molgen.models.runge_kutta`); frames go back to noise by inverting
each step. Velocities vanish on the centroid, where every step is the identity, so that the determinant in N D
coordinates is the one on the subspace. Rotations: the noise is isotropic and the field equivariant, so q is invariant.

A draw that runs away, or meets a step that turns space over, is rejected: it counts as a draw of weight 0. What is left
is a density of total mass below 1, and importance weights to the target stay exact.
"""

import copy
import math
from itertools import pairwise
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from molgen.coordinates.cartesian import CartesianChart
from molgen.errors import UsageError
from molgen.models.base import DrawOptions, Draws
from molgen.models.hutchinson import noisy_change
from molgen.models.runge_kutta import TABLEAUX, inverse_step, newton_inverse_step, step, step_with_determinant
from molgen.models.schedule import time_grid
from molgen.models.temperature import ROUNDING_K, TemperatureRange, only_at
from molgen.models.threads import one_thread
from molgen.networks.equivariant import EquivariantNetwork, EquivariantSettings
from molgen.settings import Settings
from molgen.systems.system import System

PRECISION = {torch.float32: 2e-6, torch.float64: 1e-11}
"""How closely a step is inverted (standard coordinates) by the type of the network."""
MAX_POSITION = 1e3
"""Draws with a coordinate beyond this (standard coordinates) have run away."""


class ContinuousSettings(Settings):
    """Shape of a continuous flow: its network and the steps from noise to frames.

    The steps are part of the model: other steps make another density. ``crowding`` above 1 puts them closer to the
    data; ``piece`` draws are made at a time. ``temperatures`` (lowest and highest, in kelvin) makes the model one of
    all temperatures between; training sets it where it is given frames of several.
    """

    network: EquivariantSettings = EquivariantSettings()
    steps: PositiveInt = 10
    scheme: Literal["euler", "midpoint", "heun", "rk4"] = "midpoint"
    crowding: Annotated[float, Field(ge=1.0)] = 1.0
    piece: PositiveInt = 250
    coupling_block: PositiveInt = 4
    temperatures: tuple[PositiveFloat, PositiveFloat] | None = None


class ContinuousFlow(nn.Module):
    """A generative model of one system (see the module); subclasses say what the network's output means.

    :class:`molgen.models.base.GenerativeModel` in full. The network computes in the type of its parameters, the state
    and the determinants are in float64.
    """

    settings_class: ClassVar[type[ContinuousSettings]] = ContinuousSettings

    def __init__(self, system: System, settings: ContinuousSettings, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.chart = CartesianChart(system)
        self.measure = self.chart.measure
        self.temperature_k = system.temperature_k
        shape = settings.network
        if not self.chart.chiral:
            # Identical particles have no mirror image of their own, and no distance that hardly varies.
            shape = shape.model_copy(update={"chiral": False, "fine": 0})
        with torch.random.fork_rng(devices=[]):
            # Parameters are initialised by torch's global generator; it is seeded here and put back afterwards.
            seed = torch.randint(2**62, (1,), generator=generator).item() if generator is not None else 0
            torch.manual_seed(int(seed))
            conditions = 0 if settings.temperatures is None else 1
            self.network = EquivariantNetwork(self.chart.kinds, self.chart.pairs, shape, conditions)
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))
        self._grid = time_grid(settings.steps, settings.crowding)
        self._tableau = TABLEAUX[settings.scheme]
        self._options = DrawOptions()

    scale: torch.Tensor

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the network."""
        return self.network.readout.weight.dtype

    def double(self) -> Self:
        """The model with a network in float64."""
        self.network.double()
        return self

    def float(self) -> Self:
        """The model with a network in float32."""
        self.network.float()
        return self

    # --- what a subclass says --------------------------------------------------------------------------------------

    def field(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Velocity (n, N, D) at standard coordinates (n, N, D) and times (n,) from 0 (noise) to 1 (data)."""
        raise NotImplementedError

    def field_with_jacobian(self, x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Velocity (n, N, D) and its Jacobian (n, N D, N D)."""
        raise NotImplementedError

    def loss(
        self, x: torch.Tensor, generator: torch.Generator, temperature_k: torch.Tensor | None = None
    ) -> torch.Tensor:
        """What training makes smaller, a number a frame (n,), for frames in standard coordinates (n, N, D).

        ``temperature_k`` (n,) are those of the frames, for a model of several.
        """
        raise NotImplementedError

    # --- standard coordinates --------------------------------------------------------------------------------------

    def fit(self, positions: torch.Tensor) -> None:
        """Set :attr:`scale` to the spread of frames (n, N, D) about their centroids, and fit the network's edges."""
        centred = positions.double() - positions.double().mean(1, keepdim=True)
        variance = centred.square().sum() / (len(centred) * self.chart.dimension)
        self.scale.copy_(variance.sqrt())
        self.network.fit(self._in_space(self.standardise(positions)))

    def standardise(self, positions: torch.Tensor) -> torch.Tensor:
        """Standard coordinates (n, N, D) of frames with the labels of the system's structure."""
        centred = positions.double() - positions.double().mean(1, keepdim=True)
        return centred / self.scale

    def noise(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """``n`` draws (n, N, D) of the standard normal on the centred subspace, in float64."""
        shape = (n, self.chart.particles, self.chart.dim)
        z = torch.randn(shape, generator=generator, dtype=torch.float64)
        return z - z.mean(1, keepdim=True)

    def network_with_jacobian(self, x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The network's vectors (n, N, D) and their Jacobian (n, N D, N D) in the space the particles live in."""
        condition = self._condition(t, None)
        vectors, jacobian = self.network.with_jacobian(self._in_space(x), t.to(self.dtype), condition)
        n, count, dim = x.shape
        kept = jacobian.reshape(n, count, 3, count, 3)[:, :, :dim, :, :dim]
        return vectors[..., :dim].to(x), kept.reshape(n, count * dim, count * dim).to(x)

    def network_vectors(
        self, x: torch.Tensor, t: torch.Tensor, temperature_k: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The network's vectors (n, N, D) at ``temperature_k`` (n,), the one that is drawn at if None."""
        vectors: torch.Tensor = self.network(self._in_space(x), t.to(self.dtype), self._condition(t, temperature_k))
        return vectors[..., : x.shape[2]].to(x)

    def _condition(self, t: torch.Tensor, temperature_k: torch.Tensor | None) -> torch.Tensor | None:
        """What the network is told of the temperature (n, 1); None for a model of one."""
        if self.settings.temperatures is None:
            return None
        if temperature_k is None:
            temperature_k = torch.full((len(t),), self.temperature_k, dtype=torch.float64)
        return TemperatureRange(*self.settings.temperatures).condition(temperature_k.double()).to(self.dtype)

    def _in_space(self, x: torch.Tensor) -> torch.Tensor:
        """Positions in three dimensions and the network's type; particles in a plane stay in it without ``chiral``."""
        missing = 3 - x.shape[2]
        x = x.to(self.dtype)
        return torch.nn.functional.pad(x, (0, missing)) if missing else x

    # --- the map ---------------------------------------------------------------------------------------------------

    def forwards(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Standard coordinates (n, N, D) of noise (n, N, D), and log |dx/dz| (n,); ``nan`` for a run-away."""
        x, total = z.flatten(1), z.new_zeros(len(z))
        for start, stop in pairwise(self._grid):
            x, log_determinant = step_with_determinant(self._flat_jacobian, x, start, stop - start, self._tableau)
            total = total + log_determinant
            x, total = _stopped(x, total)
        return x.reshape(z.shape), total

    def backwards(self, x: torch.Tensor) -> torch.Tensor:
        """Noise (n, N, D) of standard coordinates (n, N, D); ``nan`` where a step could not be inverted."""
        y = x.flatten(1)
        for start, stop in reversed(list(pairwise(self._grid))):
            end, h, tolerance = y, stop - start, PRECISION[self.dtype]
            y, found = inverse_step(self._flat, end, start, h, self._tableau, tolerance=tolerance)
            if not bool(found.all()):
                y[~found], found[~found] = newton_inverse_step(
                    self._flat_jacobian, end[~found], start, h, self._tableau, tolerance=tolerance
                )
            y = torch.where(found[:, None], y, torch.nan)
        return y.reshape(x.shape)

    def without_density(self, z: torch.Tensor) -> torch.Tensor:
        """Standard coordinates of noise: :meth:`forwards` without the determinants, many times cheaper."""
        x = z.flatten(1)
        for start, stop in pairwise(self._grid):
            x = step(self._flat, x, start, stop - start, self._tableau)
        return x.reshape(z.shape)

    def _flat(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return self.field(x.reshape(len(x), self.chart.particles, self.chart.dim), t).flatten(1)

    def _flat_jacobian(self, x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        velocity, jacobian = self.field_with_jacobian(x.reshape(len(x), self.chart.particles, self.chart.dim), t)
        return velocity.flatten(1), jacobian

    def log_noise(self, z: torch.Tensor) -> torch.Tensor:
        """Log-density (n,) of noise (n, N, D) on the centred subspace."""
        return -0.5 * z.square().sum((1, 2)) - 0.5 * self.chart.dimension * math.log(2.0 * math.pi)

    @property
    def _log_volume(self) -> torch.Tensor:
        """log of the volume that standard coordinates are stretched by, less the images that share a density."""
        return self.chart.dimension * self.scale.log() - self.chart.log_order

    def stop_times(self, z: torch.Tensor) -> torch.Tensor:
        """The time (n,) at which each draw from noise (n, N, D) ran away, NaN for one that reaches the end."""
        x, total = z.flatten(1), z.new_zeros(len(z))
        times = torch.full_like(total, torch.nan)
        for start, stop in pairwise(self._grid):
            x, log_determinant = step_with_determinant(self._flat_jacobian, x, start, stop - start, self._tableau)
            x, total = _stopped(x, total + log_determinant)
            times = torch.where(~torch.isfinite(total) & torch.isnan(times), start, times)
        return times

    # --- the contract ----------------------------------------------------------------------------------------------

    @property
    def piece(self) -> int:
        """See :class:`molgen.models.base.GenerativeModel`."""
        return self.settings.piece

    @one_thread
    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator) -> Draws:
        """See :class:`molgen.models.base.GenerativeModel`; ``log_q`` is +inf for a draw that was rejected."""
        z = self.noise(n, generator)
        return self.draws_of(z) if self._options.density == "exact" else self._noisy_draws(z, generator)

    @one_thread
    @torch.no_grad()
    def draws_of(self, z: torch.Tensor) -> Draws:
        """The draws, with exact densities, that noise (n, N, D) becomes."""
        parts = [self.forwards(rows) for rows in torch.split(z, self.settings.piece)]
        x, total = torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])
        log_q = self.log_noise(z) - total - self._log_volume
        positions, inside = self._placed(x, torch.isfinite(log_q))
        stopped_at = torch.full_like(log_q, torch.nan)
        lost = ~torch.isfinite(log_q)
        if bool(lost.any()):
            stopped_at[lost] = self.stop_times(z[lost])
        return Draws(positions, torch.where(lost, torch.inf, log_q), inside, stopped_at=stopped_at)

    def _placed(self, x: torch.Tensor, kept: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Frames of standard coordinates (n, N, D), relabelled, and whether each is one of ``kept`` in the domain.

        The others are no molecules any more: whatever is asked of their angles has no answer.
        """
        positions, inside = x * self.scale, torch.zeros_like(kept)
        positions[kept] = self.chart.relabel(positions[kept])
        inside[kept] = self.in_domain(positions[kept])
        return positions, inside

    def _noisy_draws(self, z: torch.Tensor, generator: torch.Generator) -> Draws:
        """Draws from noise (n, N, D) with estimated log-densities and their standard errors."""
        probes = self._options.probes
        parts = [
            noisy_change(self._flat, rows, self._grid, self._tableau, probes, generator)
            for rows in torch.split(z.flatten(1), self.settings.piece)
        ]
        x, total, error = (torch.cat(columns) for columns in zip(*parts, strict=True))
        log_q = self.log_noise(z) - total - self._log_volume
        lost = ~torch.isfinite(log_q) | (x.abs().amax(1) > MAX_POSITION)
        stopped_at = torch.where(lost, 1.0, torch.nan)
        positions, inside = self._placed(x.reshape(z.shape), ~lost)
        return Draws(positions, torch.where(lost, torch.inf, log_q), inside, error, stopped_at)

    @one_thread
    @torch.no_grad()
    def log_prob(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.models.base.GenerativeModel`; ``nan`` where the steps cannot be inverted."""
        x = self.standardise(positions)
        parts = []
        for rows in torch.split(x, self.settings.piece):
            z = self.backwards(rows)
            parts.append(self.log_noise(z) - self.forwards(z)[1])
        return torch.cat(parts) - self._log_volume

    def in_domain(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.models.base.GenerativeModel`."""
        frames = positions.detach().double().numpy()
        finite = np.isfinite(frames).all(axis=(1, 2))
        return torch.as_tensor(self.chart.domain.contains(frames) & finite)

    @one_thread
    @torch.no_grad()
    def to_latent(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.models.base.GenerativeModel`."""
        return self.chart.to_subspace(self.backwards(self.standardise(positions)))

    @one_thread
    @torch.no_grad()
    def from_latent(self, latent: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.models.base.GenerativeModel`."""
        return self.without_density(self.chart.from_subspace(latent.double())) * self.scale

    def latent_log_prob(self, latent: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.models.base.GenerativeModel`."""
        normal = -0.5 * latent.double().square().sum(1) - 0.5 * latent.shape[1] * math.log(2.0 * math.pi)
        return normal + self.chart.log_order

    def with_options(self, options: DrawOptions) -> Self:
        """See :class:`molgen.models.base.GenerativeModel`; other steps make another density, as exact as its own.

        ``InputError`` for a temperature that the model does not know.
        """
        if options.density != "exact" and options.probes < 2:
            raise UsageError("One probe shows no error of its estimate.", "Take two or more, --set probes=4.")
        if not options.chosen():
            return self
        other = copy.copy(self)
        steps = self.settings.steps if options.steps is None else options.steps
        other.settings = self.settings.model_copy(update={"steps": steps})
        other._grid = time_grid(steps, self.settings.crowding)
        other._options = options
        if options.temperature_k is not None:
            other.temperature_k = _checked(options.temperature_k, self.temperature_k, self.settings)
        return other


def _checked(temperature_k: float, own_k: float, settings: ContinuousSettings) -> float:
    """``temperature_k``; ``InputError`` if a model of ``own_k`` kelvin with these settings cannot draw at it."""
    if settings.temperatures is not None:
        TemperatureRange(*settings.temperatures).check(temperature_k)
    elif abs(temperature_k - own_k) > ROUNDING_K:
        raise only_at(own_k, temperature_k)
    return temperature_k


def _stopped(x: torch.Tensor, total: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows that ran away are held where they are finite: one of them must not spoil a batch."""
    bad = ~torch.isfinite(x).all(1) | (x.abs().amax(1) > MAX_POSITION) | torch.isnan(total)
    return torch.where(bad[:, None], torch.zeros_like(x), x), torch.where(bad, torch.nan, total)
