"""The least continuous flow there is, for tests of everything around one: an isotropic normal distribution of centred
frames, whose one number it learns. It may be told to lose draws, and estimates log q with noise if asked."""

import math
from typing import Annotated

import numpy as np
import pytest
import torch
from pydantic import Field
from torch import nn

from molgen.models import table as models
from molgen.models.base import DrawOptions, Draws
from molgen.settings import Settings
from molgen.systems.system import System
from molgen.training import table as trainings

NAME = "stand-in"


class NormalSettings(Settings):
    """``lose`` is the share of draws that stop being finite half-way."""

    steps: int = 4
    start: float = 1.0
    lose: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0


class Normal(nn.Module):
    """x = scale · width · z with z standard normal on the centred frames."""

    settings_class = NormalSettings
    measure = "cartesian-zero-com"
    piece = 50

    def __init__(self, system: System, settings: NormalSettings, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.shape = (system.n_particles, system.dim)
        self.options = DrawOptions()
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))
        self.log_width = nn.Parameter(torch.tensor(math.log(settings.start)))
        # An orthonormal basis of the centred frames.
        plane = torch.eye(system.n_particles, dtype=torch.float64) - 1.0 / system.n_particles
        self.register_buffer("basis", torch.linalg.eigh(plane).eigenvectors[:, 1:])

    scale: torch.Tensor
    basis: torch.Tensor

    @property
    def width(self) -> torch.Tensor:
        return self.scale * self.log_width.double().exp()

    def fit(self, positions: torch.Tensor) -> None:
        self.scale.copy_((positions - positions.mean(1, keepdim=True)).square().mean().sqrt())

    def standardise(self, positions: torch.Tensor) -> torch.Tensor:
        return (positions - positions.mean(1, keepdim=True)) / self.scale

    def loss(
        self, x: torch.Tensor, generator: torch.Generator, temperature_k: torch.Tensor | None = None
    ) -> torch.Tensor:
        noise = 1.0 + 0.1 * torch.randn(len(x), generator=generator)
        free = self.basis.shape[1] * self.shape[1]
        return noise * (0.5 * x.square().sum((1, 2)) * (-2 * self.log_width).exp() + free * self.log_width)

    def to_latent(self, positions: torch.Tensor) -> torch.Tensor:
        return torch.einsum("nad,ak->nkd", positions.double(), self.basis).flatten(1) / self.width

    def from_latent(self, latent: torch.Tensor) -> torch.Tensor:
        y = latent.reshape(len(latent), -1, self.shape[1]) * self.width
        return torch.einsum("nkd,ak->nad", y, self.basis)

    def latent_log_prob(self, latent: torch.Tensor) -> torch.Tensor:
        return -0.5 * latent.square().sum(1) - 0.5 * latent.shape[1] * math.log(2 * math.pi)

    @torch.no_grad()
    def log_prob(self, positions: torch.Tensor) -> torch.Tensor:
        z = self.to_latent(positions)
        return self.latent_log_prob(z) - z.shape[1] * self.width.log()

    def in_domain(self, positions: torch.Tensor) -> torch.Tensor:
        return torch.isfinite(positions).all(2).all(1)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator) -> Draws:
        free = self.basis.shape[1] * self.shape[1]
        positions = self.from_latent(torch.randn(n, free, generator=generator, dtype=torch.float64))
        log_q = self.log_prob(positions)
        lost = torch.rand(n, generator=generator) < self.settings.lose
        positions[lost], log_q[lost] = torch.nan, -torch.inf
        error = None
        if self.options.density != "exact":
            error = torch.full((n,), 0.3 / math.sqrt(self.options.probes), dtype=torch.float64)
            log_q = log_q + error * torch.randn(n, generator=generator, dtype=torch.float64)
        stopped = torch.where(lost, 0.5, torch.nan)
        return Draws(positions, log_q, self.in_domain(positions), error, stopped)

    def with_options(self, options: DrawOptions) -> "Normal":
        steps = self.settings.steps if options.steps is None else options.steps
        other = type(self)(_Shape(*self.shape), self.settings.model_copy(update={"steps": steps}))  # type: ignore[arg-type]
        other.load_state_dict(self.state_dict())
        other.options = options
        return other.requires_grad_(False)


class _Shape:
    def __init__(self, n_particles: int, dim: int) -> None:
        self.n_particles, self.dim = n_particles, dim


def register(monkeypatch: pytest.MonkeyPatch) -> str:
    """Enter the stand-in into the tables of models and trainings, under the name that comes back."""
    monkeypatch.setitem(models.MODELS, NAME, "tests.continuous:Normal")
    monkeypatch.setitem(trainings.TRAININGS, NAME, "molgen.training.matching:MatchingTraining")
    return NAME


def pair_frames(n: int, seed: int = 1, width: float = 2.0) -> np.ndarray:
    """Frames (n, 4, 2) of ``dw4`` around its lattice."""
    rng = np.random.default_rng(seed)
    square = 2.0 * np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    frames = square + 0.3 * width * rng.normal(size=(n, 4, 2))
    return np.asarray(frames - frames.mean(1, keepdims=True))
