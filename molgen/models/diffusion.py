r"""Diffusion: a denoiser, preconditioned as in EDM, whose probability flow carries noise to frames.

A frame x with noise of size σ (in units of the frames' spread), y = x + σz, is seen by the network as
u = y / sqrt(1 + σ²) = cos θ x + sin θ z, θ = arctan σ. With the preconditioning of T. Karras et al., arXiv:2206.00364
(σ_data = 1), the denoiser is :math:`D(y; σ) = cos²θ\,y + \sin θ\,F(u, θ)` and the network learns
:math:`F = \sin θ\,x - \cos θ\,z`. The probability-flow equation then is simply :math:`du/dθ = -F(u, θ)`, and the
score of the noised frames :math:`(D - y) / σ²`.
"""

import math
from itertools import pairwise
from typing import ClassVar

import torch
from pydantic import PositiveFloat, PositiveInt

from molgen.models.continuous import ContinuousFlow, ContinuousSettings
from molgen.models.schedule import noise_angle, noise_angle_rate


class DiffusionSettings(ContinuousSettings):
    """Noise from ``most_noise`` down to ``least_noise`` (in units of the frames' spread).

    Training draws ln σ from a normal of ``noise_mean`` and ``noise_spread``.
    """

    most_noise: PositiveFloat = 40.0
    least_noise: PositiveFloat = 0.003
    noise_mean: float = -1.2
    noise_spread: PositiveFloat = 1.6
    steps: PositiveInt = 20


class Diffusion(ContinuousFlow):
    """See the module."""

    settings: DiffusionSettings
    settings_class: ClassVar[type[ContinuousSettings]] = DiffusionSettings

    def field(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """du/dt = -F(u, θ) dθ/dt."""
        return -self.network_vectors(x, self._clock(self._angle(t))) * self._rate(t)

    def field_with_jacobian(self, x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See :class:`molgen.models.continuous.ContinuousFlow`."""
        vectors, jacobian = self.network_with_jacobian(x, self._clock(self._angle(t)))
        return -vectors * self._rate(t), -jacobian * self._rate(t)

    def loss(
        self, x: torch.Tensor, generator: torch.Generator, temperature_k: torch.Tensor | None = None
    ) -> torch.Tensor:
        r"""Mean square error of F, :math:`|F(u, θ) - (\sin θ\,x - \cos θ\,z)|^2` / ((N - 1) D) (n,)."""
        options = self.settings
        z = self.noise(len(x), generator).to(x)
        normal = torch.randn(len(x), generator=generator, dtype=x.dtype)
        sigma = (options.noise_mean + options.noise_spread * normal).exp()
        angle = torch.atan(sigma.clamp(options.least_noise, options.most_noise))
        c, s = angle.cos()[:, None, None], angle.sin()[:, None, None]
        error = self.network_vectors(c * x + s * z, self._clock(angle), temperature_k) - (s * x - c * z)
        return error.square().sum((1, 2)) / self.chart.dimension

    @torch.no_grad()
    def score(self, positions: torch.Tensor, noise: float) -> torch.Tensor:
        """Gradient (n, N, D) in 1/nm of the log-density of frames with noise of ``noise`` nm, at ``positions``."""
        y = self.standardise(positions)
        sigma = noise / float(self.scale)
        angle = torch.full((len(y),), math.atan(sigma), dtype=torch.float64)
        c, s = math.cos(math.atan(sigma)), math.sin(math.atan(sigma))
        denoised = c * c * y + s * self.network_vectors(c * y, self._clock(angle))
        return (denoised - y) / (sigma * sigma) / self.scale

    @torch.no_grad()
    def stochastic(self, n: int, generator: torch.Generator, steps: int = 300) -> torch.Tensor:
        """``n`` frames (n, N, D) by the reverse stochastic equation: no density, and so no weight.

        Ancestral steps from σ to σ' < σ: y' = y + (σ² - σ'²) score + σ' sqrt(1 - σ'²/σ²) z.
        """
        times = torch.linspace(0.0, 1.0, steps + 1, dtype=torch.float64)
        levels = noise_angle(times, self.settings.most_noise, self.settings.least_noise).tan().tolist()
        y = self.noise(n, generator) * math.sqrt(1.0 + levels[0] ** 2) * self.scale
        for sigma, less in pairwise(levels):
            y = y + self.scale**2 * (sigma**2 - less**2) * self.score(y, sigma * float(self.scale))
            y = y + self.scale * less * math.sqrt(1.0 - (less / sigma) ** 2) * self.noise(n, generator)
        return self.chart.relabel(y)

    def _angle(self, t: torch.Tensor) -> torch.Tensor:
        return noise_angle(t, self.settings.most_noise, self.settings.least_noise)

    def _rate(self, t: torch.Tensor) -> torch.Tensor:
        return noise_angle_rate(t, self.settings.most_noise, self.settings.least_noise)[:, None, None]

    def _clock(self, angle: torch.Tensor) -> torch.Tensor:
        """The time that the network is told: ln σ, from 0 at most noise to 1 at least."""
        most, least = math.log(self.settings.most_noise), math.log(self.settings.least_noise)
        return (most - angle.tan().log()) / (most - least)
