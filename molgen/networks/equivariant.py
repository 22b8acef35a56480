"""Equivariant message passing: a vector for every particle that turns, moves and is renumbered with the particles."""

import math
from typing import Annotated

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import nn

from molgen.networks.products import ClosedFormProduct, Features
from molgen.settings import Settings


class EquivariantSettings(Settings):
    """Shape of the network: ``layers`` of ``scalars`` + ``vectors`` channels; edges see ``radial`` Gaussians of width
    and spacing ``reach`` / ``radial`` up to ``reach`` (in units of the particles' spread) through ``hidden`` units.

    ``chiral`` adds cross products, which tell a configuration from its mirror image.
    """

    layers: Annotated[int, Field(ge=1)] = 3
    scalars: PositiveInt = 32
    vectors: PositiveInt = 16
    radial: PositiveInt = 24
    hidden: PositiveInt = 32
    reach: PositiveFloat = 6.0
    chiral: bool = True


def time_features(time: torch.Tensor, count: int = 8) -> torch.Tensor:
    """cos and sin of pi k t, k = 0 … count - 1, of times (n,) in [0, 1]: (n, 2 count)."""
    angles = math.pi * time[:, None] * torch.arange(count, dtype=time.dtype, device=time.device)
    return torch.cat([angles.cos(), angles.sin()], 1)


class EquivariantNetwork(nn.Module):
    """Vectors (n, N, 3) of positions (n, N, 3), times (n,) and conditions (n, ``conditions``).

    ``kinds`` (N,) are classes of particles and ``pairs`` (N, N, symmetric) classes of pairs, both from 0. Rotations
    turn the output, translations leave it, and a permutation that keeps kinds and pairs permutes it. Without ``chiral``
    a reflection reflects it. The output has zero mean over the particles and starts at zero.
    """

    _TIME = 8

    def __init__(
        self,
        kinds: tuple[int, ...],
        pairs: tuple[tuple[int, ...], ...],
        settings: EquivariantSettings,
        conditions: int = 0,
    ) -> None:
        super().__init__()
        self.settings, self.conditions = settings, conditions
        self.register_buffer("kinds", torch.tensor(kinds, dtype=torch.long))
        self.register_buffer("pairs", torch.tensor(pairs, dtype=torch.long))
        self.register_buffer("scale", torch.ones(()))
        count, pair_count = max(kinds) + 1, max(max(row) for row in pairs) + 1
        time = 2 * self._TIME + conditions
        self.embedding = nn.Embedding(count, settings.scalars)
        self.time = nn.Sequential(
            nn.Linear(time, settings.scalars), nn.SiLU(), nn.Linear(settings.scalars, settings.scalars)
        )
        self.layers = nn.ModuleList(_Layer(settings, count, pair_count) for _ in range(settings.layers))
        self.readout = nn.Linear(settings.vectors, 1, bias=False)
        nn.init.zeros_(self.readout.weight)

    kinds: torch.Tensor
    pairs: torch.Tensor
    scale: torch.Tensor

    def forward(
        self, positions: torch.Tensor, time: torch.Tensor, condition: torch.Tensor | None = None
    ) -> torch.Tensor:
        """See the class; ``scale`` is the particles' spread, by which positions are divided."""
        x = (positions - positions.mean(1, keepdim=True)) / self.scale
        difference = x[:, None] - x[:, :, None]
        square = difference.square().sum(-1)
        apart = ~torch.eye(x.shape[1], dtype=torch.bool, device=x.device)
        # The diagonal is replaced before the root, whose derivative at 0 would be infinite.
        distance = torch.where(apart, square, torch.ones_like(square)).sqrt()
        inverse = torch.where(apart, 1.0 / distance, torch.zeros_like(distance))
        edges = self._radial(distance)
        known = time_features(time, self._TIME).to(x)
        clock = self.time(known if condition is None else torch.cat([known, condition.to(x)], 1))
        scalars = self.embedding(self.kinds)[None] + clock[:, None]
        features: Features = (scalars, x.new_zeros(*x.shape[:2], self.settings.vectors, 3))
        for layer in self.layers:
            features = layer(features, x, inverse, edges, clock, self.kinds, self.pairs)
        result: torch.Tensor = self.readout(features[1].transpose(-1, -2))[..., 0]
        return result - result.mean(1, keepdim=True)

    def with_jacobian(
        self, positions: torch.Tensor, time: torch.Tensor, condition: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The output v (n, N, 3) and its Jacobian dv/dx (n, 3N, 3N)."""
        n, particles = positions.shape[:2]
        basis = torch.eye(3 * particles, dtype=positions.dtype).reshape(-1, 1, particles, 3)

        def along(tangent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            result: tuple[torch.Tensor, torch.Tensor] = torch.func.jvp(
                lambda x: self(x, time, condition), (positions,), (tangent.expand(n, -1, -1),)
            )
            return result

        values, columns = torch.func.vmap(along)(basis)
        return values[0], columns.flatten(2).permute(1, 2, 0)

    def _radial(self, distance: torch.Tensor) -> torch.Tensor:
        """Gaussians of the distance (n, N, N, radial)."""
        width = self.settings.reach / self.settings.radial
        centres = width * torch.arange(self.settings.radial, dtype=distance.dtype, device=distance.device)
        return torch.exp(-0.5 * ((distance[..., None] - centres) / width).square())


class _Layer(nn.Module):
    """One round of messages: weights from distance, time and kinds; product; mixing; a gate; added to what was."""

    def __init__(self, settings: EquivariantSettings, kinds: int, pairs: int) -> None:
        super().__init__()
        c0, c1, hidden = settings.scalars, settings.vectors, settings.hidden
        self.product = ClosedFormProduct(c0, c1, chiral=settings.chiral)
        self.radial = nn.Linear(settings.radial, hidden)
        self.clock = nn.Linear(c0, hidden, bias=False)
        self.sender, self.receiver = nn.Embedding(kinds, hidden), nn.Embedding(kinds, hidden)
        self.pair = nn.Embedding(pairs, hidden)
        self.weights = nn.Parameter(torch.randn(self.product.weights, hidden) / math.sqrt(hidden))
        self.mix_scalars = nn.Sequential(nn.Linear(self.product.scalars_out + c0, c0 + c1), nn.SiLU())
        self.out_scalars = nn.Linear(c0 + c1, c0 + c1)
        self.mix_vectors = nn.Linear(self.product.vectors_out, c1, bias=False)

    def forward(
        self,
        features: Features,
        x: torch.Tensor,
        inverse: torch.Tensor,
        edges: torch.Tensor,
        clock: torch.Tensor,
        kinds: torch.Tensor,
        pairs: torch.Tensor,
    ) -> Features:
        n, particles = x.shape[:2]
        pair = self.receiver(kinds)[:, None] + self.sender(kinds)[None] + self.pair(pairs)
        hidden = nn.functional.silu(self.radial(edges) + self.clock(clock)[:, None, None] + pair[None])
        weights = (self.weights @ hidden.reshape(n, particles * particles, -1).transpose(1, 2)).reshape(
            n, -1, particles, particles
        )
        scalars, vectors = self.product(features, x, inverse, weights / math.sqrt(max(particles - 1, 1)))
        mixed = self.out_scalars(self.mix_scalars(torch.cat([scalars, features[0]], -1)))
        c0 = features[0].shape[-1]
        gate = torch.sigmoid(mixed[..., c0:])
        turned = self.mix_vectors(vectors.transpose(-1, -2)).transpose(-1, -2)
        return features[0] + mixed[..., :c0], features[1] + gate[..., None] * turned
