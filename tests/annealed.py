"""The least models and energies there are for annealing: latent numbers scaled and shifted, potentials in numpy."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import torch

from molgen.energies.counter import EvaluationCounter, Purpose
from molgen.sampling.latent_target import LatentTarget, Points

Potential = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class AffineMap:
    """x = shift + scale·z for a particle in ``dim`` dimensions, of which the first ``n_angles`` are angles as they are.

    The domain is where ``inside`` says so.
    """

    dim: int
    shift: float = 0.0
    scale: float = 1.0
    n_angles: int = 0
    inside: Callable[[torch.Tensor], torch.Tensor] = field(default=lambda x: torch.ones(len(x), dtype=torch.bool))
    measure: str = "external"

    @property
    def chart(self) -> SimpleNamespace:
        return SimpleNamespace(unfold=lambda positions, generator: positions)

    def draw_latent(self, n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        angles = torch.rand(n, self.n_angles, generator=generator, dtype=torch.float64)
        rest = torch.randn(n, self.dim - self.n_angles, generator=generator, dtype=torch.float64)
        return (2.0 * angles - 1.0) * math.pi, rest

    def place_latent(self, latent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        angles, rest = torch.tensor_split(latent, (self.n_angles,), 1)
        x = torch.cat([angles, self.shift + self.scale * rest], 1)
        log_volume = torch.full((len(x),), rest.shape[1] * math.log(self.scale), dtype=torch.float64)
        return x[:, None, :], log_volume, torch.ones(len(x), dtype=torch.bool)

    def latent_log_prob(self, latent: torch.Tensor) -> torch.Tensor:
        rest = latent[:, self.n_angles :]
        normal = -0.5 * rest.square().sum(1) - 0.5 * rest.shape[1] * math.log(2 * math.pi)
        return normal - self.n_angles * math.log(2 * math.pi)

    def in_domain(self, positions: torch.Tensor) -> torch.Tensor:
        return self.inside(positions[:, 0])


class NumpyEnergy:
    """u and its gradient of one particle at x (n, D)."""

    n_particles = 1
    temperature_k = 300.0
    platform = "numpy"

    def __init__(self, dim: int, potential: Potential) -> None:
        self.dim, self._potential = dim, potential
        self.counter = EvaluationCounter()

    def reduced(self, positions: np.ndarray, *, purpose: Purpose) -> np.ndarray:
        return self.reduced_and_gradient(positions, purpose=purpose)[0]

    def reduced_and_gradient(self, positions: np.ndarray, *, purpose: Purpose) -> tuple[np.ndarray, np.ndarray]:
        self.counter.add(purpose, len(positions))
        value, slope = self._potential(positions[:, 0])
        return value, slope[:, None, :]


def gaussian(mean: float, width: float) -> Potential:
    """u = Σ (x − mean)² / (2 width²)."""

    def potential(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return 0.5 * (((x - mean) / width) ** 2).sum(1), (x - mean) / width**2

    return potential


def double_well(barrier: float, tilt: float) -> Potential:
    """u = barrier·(x² − 1)² + tilt·x."""

    def potential(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        well = x * x - 1.0
        return (barrier * well**2 + tilt * x).sum(1), 4.0 * barrier * x * well + tilt

    return potential


def von_mises(concentration: float) -> Potential:
    """u = −κ Σ cos x."""

    def potential(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return -concentration * np.cos(x).sum(1), concentration * np.sin(x)

    return potential


def at(target: LatentTarget, x: torch.Tensor) -> Points:
    """Particles of an :class:`AffineMap` at x (n, D)."""
    assert isinstance(target.model, AffineMap)
    model = target.model
    angles, rest = torch.tensor_split(x.double(), (model.n_angles,), 1)
    order = torch.zeros(len(x), 1, dtype=torch.long)
    return target.evaluate(torch.cat([angles, (rest - model.shift) / model.scale], 1), order)
