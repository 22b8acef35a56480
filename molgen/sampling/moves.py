"""Moves that leave π_t as it is: Hamiltonian Monte Carlo in latent numbers, every move accepted or rejected.

Momenta p are drawn from a standard normal distribution and (z, p) follows L leapfrog steps

    p ← p + ½ h Aᵀ G(z),   z ← z + h A p,   p ← p + ½ h Aᵀ G(z)

with the length h of a step and a matrix A, the same for all particles: what a step in every direction amounts to. Every
third of a step shears space, so that the map keeps volumes, and it goes back along itself when p changes sign, for
*any* function G of z. With the acceptance min(1, e^{−ΔH}),
H = −ln π_t + |p|²/2, detailed balance therefore holds exactly, whatever the length of the steps (S. Duane et al., Phys.
Lett. B 195, 216 (1987), doi:10.1016/0370-2693(87)91197-X). That G = ∇ ln π_t makes moves likely to be accepted is all
that depends on it: splines whose slope jumps, an energy that is not finite somewhere on the way, or a gradient that is
cut (below) cost efficiency and nothing else. One step is the Metropolis-adjusted Langevin algorithm. Wrapping angles is
again a map of the torus onto itself.
"""

import math
from dataclasses import dataclass

import torch

from molgen.sampling.latent_target import LatentTarget, Points

JITTER = 0.2
"""Steps of a particle are longer or shorter by up to this part, drawn anew in each move: no orbit is closed."""
MAX_SLOPE = 20.0
"""Longest gradient that drives a move, in units of √d: a clash would throw a particle out of all proportion."""


@dataclass(frozen=True)
class Moved:
    """Particles after a move, which of them moved (n,), and the probability that each had of being accepted (n,)."""

    points: Points
    accepted: torch.Tensor
    probability: torch.Tensor


def move(
    target: LatentTarget, points: Points, t: float, steps: torch.Tensor, leapfrogs: int, generator: torch.Generator
) -> Moved:
    """One move of every particle under π_t; ``steps`` (d, d) is h·A, ``ValueError`` for another shape."""
    if steps.shape != (points.z.shape[1],) * 2:
        raise ValueError(f"steps have shape {tuple(steps.shape)} for {points.z.shape[1]} latent numbers")
    momentum = torch.randn(points.z.shape, generator=generator, dtype=torch.float64)
    jitter = 1.0 + JITTER * (2.0 * torch.rand(len(points), 1, generator=generator, dtype=torch.float64) - 1.0)
    chance = torch.rand(len(points), generator=generator, dtype=torch.float64)
    ended, final = leapfrog(target, points, momentum, t, steps, jitter, leapfrogs)
    gain = ended.log_density(t) - points.log_density(t)
    gain = gain + 0.5 * (momentum.square().sum(1) - final.square().sum(1))
    # A particle without density stays: it is no part of the population that the move is to leave as it is.
    alive = torch.isfinite(points.log_density(t))
    probability = torch.where(alive & ~torch.isnan(gain), gain.clamp(max=0.0).exp(), 0.0)
    accepted = chance < probability
    return Moved(points.replaced(ended, accepted), accepted, probability)


def leapfrog(
    target: LatentTarget,
    points: Points,
    momentum: torch.Tensor,
    t: float,
    steps: torch.Tensor,
    stretch: torch.Tensor,
    leapfrogs: int,
) -> tuple[Points, torch.Tensor]:
    """``leapfrogs`` steps from ``points`` with ``momentum`` (n, d): where they end, and the momenta there.

    ``steps`` (d, d) is h·A, made longer for each particle by ``stretch`` (n, 1). One evaluation of the energy a step
    and particle.
    """
    p = momentum + 0.5 * stretch * (_drive(target, points, t) @ steps)
    for step in range(leapfrogs):
        z = points.z + stretch * (p @ steps.T)
        points = target.evaluate(target.wrapped(z), points.order)
        p = p + (0.5 if step == leapfrogs - 1 else 1.0) * stretch * (_drive(target, points, t) @ steps)
    return points, p


def _drive(target: LatentTarget, points: Points, t: float) -> torch.Tensor:
    gradient = target.gradient(points, t)
    longest = MAX_SLOPE * math.sqrt(gradient.shape[1])
    length = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    cut: torch.Tensor = gradient * (longest / length.clamp(min=longest))
    return cut
