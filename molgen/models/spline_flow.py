"""The spline flow: free torsions first, then the stiff coordinates given the torsions.

q(x) = q(t) q(r | t) |d(t, r)/dx| with t ↔ free torsions (autoregressive circular splines on the torus) and r ↔ whitened
residuals of all stiff coordinates (affine and rational-quadratic couplings whose conditioners see the torsions
themselves). In internal coordinates the density is invariant under rigid motion by construction.

Couplings: Dinh et al., arXiv:1605.08803; splines: Durkan et al., arXiv:1906.04032; circular: Rezende et al.,
arXiv:2002.02428; internal coordinates: Noe et al., Science 365 (2019) eaaw1147, doi:10.1126/science.aaw1147.
"""

import math
from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import nn

from molgen.coordinates.chart import chart_of
from molgen.coordinates.whitening import Whitening
from molgen.errors import UsageError
from molgen.models.autoregressive import AutoregressiveTorsions
from molgen.models.base import DrawOptions, Draws
from molgen.models.coupling import Coupling, alternating_halves
from molgen.models.rational_quadratic import MAX_BINS
from molgen.models.temperature import ROUNDING_K, only_at
from molgen.networks.conditioner import TorsionFeatures
from molgen.settings import Settings
from molgen.systems.system import System

Bins = Annotated[int, Field(ge=1, le=MAX_BINS)]


class SplineFlowSettings(Settings):
    """Shape of the flow: ``affine`` + ``spline`` couplings of width ``hidden``, ``bins`` a spline."""

    affine: NonNegativeInt = 1
    spline: NonNegativeInt = 3
    hidden: PositiveInt = 128
    bins: Bins = 5
    bound: PositiveFloat = 5.0
    torsion_hidden: PositiveInt = 64
    torsion_bins: Bins = 24
    fourier_order: PositiveInt = 3
    mask_seed: int = 0


class SplineFlow(nn.Module):
    """A normalizing flow of one system (see the module); :class:`molgen.models.base.GenerativeModel` in full.

    The network computes in float32 (or whatever the parameters are), the chart and its volume element in float64.
    """

    settings_class = SplineFlowSettings
    piece = 2000

    def __init__(self, system: System, settings: SplineFlowSettings, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.chart = chart_of(system)
        self.measure = self.chart.measure
        self.temperature_k = system.temperature_k
        chart = self.chart
        self.whitening = Whitening(chart.dimension, chart.circular, chart.periods, chart.narrow, chart.coupled)
        n_circular, n_linear = self.whitening.n_circular, self.whitening.n_linear
        with torch.random.fork_rng(devices=[]):
            # Parameters are initialised by torch's global generator; it is seeded here and put back afterwards.
            seed = torch.randint(2**62, (1,), generator=generator).item() if generator is not None else 0
            torch.manual_seed(int(seed))
            self.torsions = AutoregressiveTorsions(
                n_circular, settings.torsion_hidden, settings.torsion_bins, settings.fourier_order
            )
            self.features = TorsionFeatures(settings.fourier_order)
            context = 2 * settings.fourier_order * n_circular
            masks = alternating_halves(
                n_linear, settings.affine + settings.spline, torch.Generator().manual_seed(settings.mask_seed)
            )
            self.couplings = nn.ModuleList(
                Coupling(active, passive, context, settings.hidden, bins, settings.bound)
                for (active, passive), bins in zip(
                    masks, [0] * settings.affine + [settings.bins] * settings.spline, strict=True
                )
            )

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the network."""
        return self.torsions.conditioner.last_bias.dtype

    def fit(self, positions: torch.Tensor) -> None:
        """Set the whitening from training frames (n, N, D) in any labelling."""
        with torch.no_grad():
            self.whitening.fit(self.chart.encode(self.chart.canonical(positions)))

    # --- standard coordinates (t, r): what training works on -------------------------------------------------------

    def standardise(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Torsions t (n, m) and residuals r (n, k), float64, of frames (n, N, D) in any labelling."""
        result: tuple[torch.Tensor, torch.Tensor] = self.whitening(self.chart.encode(self.chart.canonical(positions)))
        return result

    def place(self, t: torch.Tensor, r: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Frames (n, N, D), log |dx/d(t, r)| (n,) and whether (t, r) is in the range of the map (n,), in float64."""
        y, inside = self.whitening.inverse(t.double(), r.double())
        positions, log_volume = self.chart.decode(y)
        return positions, log_volume - self.whitening.log_volume, inside & torch.isfinite(log_volume)

    def pull(self, t: torch.Tensor, r: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Latent torsions and residuals of standard coordinates, and log |dz/d(t, r)| (n,)."""
        z_t, total = self.torsions(t)
        context = self._context(t)
        for coupling in self.couplings:
            r, log_derivative = coupling(r, context)
            total = total + log_derivative
        return z_t, r, total

    def push(self, z_t: torch.Tensor, z_r: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Standard coordinates of latent ones, and log |d(t, r)/dz| (n,): the inverse of :meth:`pull`."""
        t, total = self.torsions.inverse(z_t)
        context = self._context(t)
        r = z_r
        for coupling in reversed(list(self.couplings)):
            assert isinstance(coupling, Coupling)
            r, log_derivative = coupling.inverse(r, context)
            total = total + log_derivative
        return t, r, total

    def _context(self, t: torch.Tensor) -> torch.Tensor:
        # Features of the angle itself, not of the folded one: what follows may differ at the ends of its interval.
        angles = t / self.whitening.multiplier.to(t.dtype)
        features: torch.Tensor = self.features(angles)
        return features

    def log_latent(self, z_r: torch.Tensor) -> torch.Tensor:
        """Log-density (n,) of the latent distribution: uniform on the torus, standard normal for residuals."""
        normal = -0.5 * z_r.square().sum(1) - 0.5 * z_r.shape[1] * math.log(2.0 * math.pi)
        return normal + self.torsions.log_latent

    def draw_latent(self, n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """``n`` latent torsions (uniform on [-pi, pi)) and residuals (standard normal)."""
        angles = torch.rand(n, self.whitening.n_circular, generator=generator, dtype=self.dtype)
        residuals = torch.randn(n, self.whitening.n_linear, generator=generator, dtype=self.dtype)
        return (2.0 * angles - 1.0) * math.pi, residuals

    # --- the contract ----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator) -> Draws:
        """See :class:`molgen.models.base.GenerativeModel`; ``log_q`` is -inf where the map's range is left."""
        return self.carry(*self.draw_latent(n, generator), generator)

    @torch.no_grad()
    def carry(self, z_t: torch.Tensor, z_r: torch.Tensor, generator: torch.Generator) -> Draws:
        """Frames of latent torsions (n, m) and residuals (n, k), with a labelling drawn by ``generator``.

        ``log_q`` is the flow's own, whatever the latent numbers were drawn from.
        """
        t, r, log_derivative = self.push(z_t, z_r)
        positions, log_volume, inside = self.place(t, r)
        log_q = (self.log_latent(z_r) - log_derivative).double() - log_volume - self.chart.log_order
        inside = inside & torch.isfinite(log_q)
        positions = self.chart.unfold(positions, generator)
        inside = inside & self.in_domain(positions)
        return Draws(positions, torch.where(torch.isfinite(log_q), log_q, -torch.inf), inside)

    @torch.no_grad()
    def log_prob(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.models.base.GenerativeModel`."""
        return self._log_density(positions)

    def exact_score(self, positions: torch.Tensor) -> torch.Tensor:
        """∇ log q (n, N, D) in 1/nm, float64, of frames (n, N, D), the volume element's part included.

        log q does not change under rigid motion, so that the rows have neither net force nor torque.
        """
        with torch.enable_grad():
            frames = positions.detach().double().requires_grad_(True)
            (gradient,) = torch.autograd.grad(self._log_density(frames).sum(), frames)
        return gradient

    def _log_density(self, positions: torch.Tensor) -> torch.Tensor:
        t, r = self.standardise(positions.double())
        _, log_volume, _ = self.place(t, r)
        _, z_r, log_derivative = self.pull(t.to(self.dtype), r.to(self.dtype))
        return (self.log_latent(z_r) + log_derivative).double() - log_volume - self.chart.log_order

    def in_domain(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.models.base.GenerativeModel`."""
        frames = positions.detach().double().numpy()
        return torch.as_tensor(self.chart.domain.contains(frames))

    @torch.no_grad()
    def to_latent(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.models.base.GenerativeModel`."""
        t, r = self.standardise(positions.double())
        z_t, z_r, _ = self.pull(t.to(self.dtype), r.to(self.dtype))
        return torch.cat([z_t, z_r], 1)

    @torch.no_grad()
    def from_latent(self, latent: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.models.base.GenerativeModel`."""
        return self.place_latent(latent)[0]

    @property
    def n_angles(self) -> int:
        """How many latent numbers, the first ones, are angles."""
        return self.whitening.n_circular

    def place_latent(self, latent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Frames (n, N, D) of latent numbers (n, d), log |dx/dz| (n,), and whether they are in the map's range (n,).

        In float64 and differentiable; the frames are canonical ones (see :mod:`molgen.coordinates.folding`).
        """
        z_t, z_r = torch.tensor_split(latent.to(self.dtype), (self.n_angles,), 1)
        t, r, log_derivative = self.push(z_t, z_r)
        positions, log_volume, inside = self.place(t, r)
        return positions, log_volume + log_derivative.double(), inside & torch.isfinite(log_derivative)

    def latent_log_prob(self, latent: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.models.base.GenerativeModel`."""
        return self.log_latent(latent[:, self.whitening.n_circular :]).double() - self.chart.log_order

    def with_options(self, options: DrawOptions) -> "SplineFlow":
        """See :class:`molgen.models.base.GenerativeModel`; a spline flow leaves nothing to choose."""
        if options.temperature_k is not None:
            if abs(options.temperature_k - self.temperature_k) > ROUNDING_K:
                raise only_at(self.temperature_k, options.temperature_k)
            options = replace(options, temperature_k=None)
        if chosen := options.chosen():
            raise UsageError(
                f"A spline flow draws in one way and has no {' or '.join(chosen)} to choose.", "Leave that setting out."
            )
        return self
