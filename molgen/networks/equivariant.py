"""Equivariant message passing: a vector for every particle that turns, moves and is renumbered with the particles."""

import math
from typing import Annotated

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import nn

from molgen.networks.edges import EdgeFeatures
from molgen.networks.jacobian import output_and_jacobian
from molgen.networks.products import ClosedFormProduct, Features, mix, mixed
from molgen.settings import Settings


class EquivariantSettings(Settings):
    """Shape of the network: ``layers`` of ``scalars`` + ``vectors`` channels; edges see ``radial`` Gaussians of width
    and spacing ``reach`` / ``radial`` up to ``reach`` (in units of the particles' spread) through ``hidden`` units.

    ``fine`` numbers more for distances that hardly vary (:mod:`molgen.networks.edges`), once
    :meth:`EquivariantNetwork.fit` has seen frames.

    Distances are sqrt(d² + ``soften``²): the direction of one particle from another changes smoothly where they meet,
    and so does the output. ``chiral`` adds cross products, which tell a configuration from its mirror image.
    """

    layers: Annotated[int, Field(ge=1)] = 3
    scalars: PositiveInt = 32
    vectors: PositiveInt = 16
    radial: PositiveInt = 24
    hidden: PositiveInt = 32
    reach: PositiveFloat = 6.0
    fine: NonNegativeInt = 4
    soften: PositiveFloat = 0.2
    chiral: bool = True


def time_features(time: torch.Tensor, count: int = 8) -> torch.Tensor:
    """cos and sin of pi k t, k = 0 … count - 1, of times (n,) in [0, 1]: (n, 2 count)."""
    angles = math.pi * time[:, None] * torch.arange(count, dtype=time.dtype, device=time.device)
    return torch.cat([angles.cos(), angles.sin()], 1)


class EquivariantNetwork(nn.Module):
    """Vectors (n, N, 3) of positions (n, N, 3), times (n,) and conditions (n, ``conditions``).

    ``kinds`` (N,) are classes of particles and ``pairs`` (N, N, symmetric) classes of pairs, both from 0. Rotations
    turn the output, translations leave it, and a permutation that keeps kinds and pairs permutes it. Without ``chiral``
    a reflection reflects it. The output has zero mean over the particles and starts at zero. Positions are divided by
    the buffer ``scale``, the particles' spread.
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
        self.register_buffer("same", torch.eye(len(kinds)), persistent=False)
        classes = (max(kinds) + 1, max(max(row) for row in pairs) + 1)
        self.edges = EdgeFeatures(len(kinds), settings.radial, settings.reach, settings.fine)
        self.embedding = nn.Embedding(classes[0], settings.scalars)
        self.time = nn.Sequential(
            nn.Linear(2 * self._TIME + conditions, settings.scalars),
            nn.SiLU(),
            nn.Linear(settings.scalars, settings.scalars),
        )
        self.layers = nn.ModuleList(
            EquivariantLayer(settings, self.edges.count, 0 if k == 0 else settings.vectors, classes)
            for k in range(settings.layers)
        )
        self.readout = nn.Linear(settings.vectors, 1, bias=False)
        nn.init.zeros_(self.readout.weight)

    kinds: torch.Tensor
    pairs: torch.Tensor
    scale: torch.Tensor
    same: torch.Tensor

    def forward(
        self, positions: torch.Tensor, time: torch.Tensor, condition: torch.Tensor | None = None
    ) -> torch.Tensor:
        """See the class."""
        return self.finish(self.features(positions, time, condition)[1])

    def features(self, positions: torch.Tensor, time: torch.Tensor, condition: torch.Tensor | None = None) -> Features:
        """Scalars (scalars, n, N) and vectors (vectors, n, 3, N) of the particles after the last layer."""
        x, distance, inverse = self.geometry(positions)
        edges, clock = self.edges(distance), self.clock(time.to(x), condition)
        features = self.start(clock)
        for layer in self.rounds():
            features = layer(features, x, inverse, layer.potential(edges, clock, self.kinds, self.pairs))
        return features

    def with_jacobian(
        self, positions: torch.Tensor, time: torch.Tensor, condition: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The output v (n, N, 3) and its Jacobian dv/dx (n, 3N, 3N); no gradients of parameters flow through them."""
        return output_and_jacobian(self, positions, time, condition)

    def rounds(self) -> list["EquivariantLayer"]:
        """The layers, first to last."""
        return [layer for layer in self.layers if isinstance(layer, EquivariantLayer)]

    def geometry(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Centred, scaled positions x (n, 3, N), softened distances (n, N, N), 1 if i = j, their inverse, 0 there."""
        x = ((positions - positions.mean(1, keepdim=True)) / self.scale).transpose(1, 2).contiguous()
        square = (x[:, :, :, None] - x[:, :, None]).square().sum(1)
        # The diagonal is replaced before the root, whose derivative at 0 would be infinite.
        distance = (square + self.settings.soften**2 * (1.0 - self.same) + self.same).sqrt()
        return x, distance, (1.0 - self.same) / distance

    def fit(self, positions: torch.Tensor) -> None:
        """Set what edges know of narrow distances from frames (n, N, 3)."""
        alike = torch.stack([self.kinds[:, None].expand_as(self.pairs), self.kinds[None].expand_as(self.pairs)])
        named = torch.stack([alike.amin(0), alike.amax(0), self.pairs]).flatten(1)
        classes = torch.unique(named, dim=1, return_inverse=True)[1].view_as(self.pairs)
        self.edges.fit(self.geometry(positions.to(self.scale))[1], classes)

    def clock(self, time: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        """What time and conditions say to all particles (scalars, n)."""
        known = time_features(time, self._TIME)
        embedded: torch.Tensor = self.time(known if condition is None else torch.cat([known, condition.to(time)], 1))
        return embedded.T

    def start(self, clock: torch.Tensor) -> Features:
        """The features before the first layer: what kind each particle is, what time it is, and no vector at all."""
        scalars = self.embedding(self.kinds).T[:, None] + clock[:, :, None]
        return scalars, scalars.new_zeros(0, scalars.shape[1], 3, scalars.shape[2])

    def finish(self, vectors: torch.Tensor) -> torch.Tensor:
        """The output (n, N, 3) of the last vectors (vectors, n, 3, N)."""
        result = mix(self.readout, vectors)[0]
        return (result - result.mean(-1, keepdim=True)).transpose(1, 2)


class EquivariantLayer(nn.Module):
    """One round of messages: weights from distance, time and kinds; product; mixing; a gate; added to what was.

    ``edges`` numbers are known of an edge's length; ``vectors`` channels come in (0 in the first layer) and
    ``settings.vectors`` go out.
    """

    # SiLU of so negative a number is exactly 0, and so is its derivative: a particle sends nothing to itself.
    _SILENT = -1e4

    def __init__(self, settings: EquivariantSettings, edges: int, vectors: int, classes: tuple[int, int]) -> None:
        super().__init__()
        c0, c1, hidden = settings.scalars, settings.vectors, settings.hidden
        self.product = ClosedFormProduct(c0, vectors, chiral=settings.chiral)
        self.radial = nn.Linear(edges, hidden)
        self.clock = nn.Linear(c0, hidden, bias=False)
        self.sender, self.receiver = nn.Embedding(classes[0], hidden), nn.Embedding(classes[0], hidden)
        self.pair = nn.Embedding(classes[1], hidden)
        self.weights = nn.Parameter(torch.randn(self.product.weights, hidden) / math.sqrt(hidden))
        self.mix_scalars = nn.Linear(self.product.scalars_out + c0, c0 + c1)
        self.out_scalars = nn.Linear(c0 + c1, c0 + c1)
        self.mix_vectors = nn.Linear(self.product.vectors_out, c1, bias=False)

    def forward(self, features: Features, x: torch.Tensor, inverse: torch.Tensor, potential: torch.Tensor) -> Features:
        """New features of ``features``, at ``x`` (n, 3, N), with :meth:`potential` of the edges."""
        plain, reduced = self.edge_weights(nn.functional.silu(potential), inverse)
        scalars, vectors = self.product.sums(features, x, plain, reduced)
        before = mix(self.mix_scalars, torch.cat([scalars, features[0]]))
        return self.update(features, mix(self.out_scalars, nn.functional.silu(before)), mix(self.mix_vectors, vectors))

    def potential(
        self, edges: torch.Tensor, clock: torch.Tensor, kinds: torch.Tensor, pairs: torch.Tensor
    ) -> torch.Tensor:
        """The hidden units of the edges before their SiLU (hidden, n, N, N), from j to i."""
        known: torch.Tensor = self.sender(kinds)[:, None] + self.receiver(kinds)[None] + self.pair(pairs)
        silent = torch.eye(len(kinds), dtype=known.dtype, device=known.device)[..., None] * self._SILENT
        result = mix(self.radial, edges) + mix(self.clock, clock)[:, :, None, None]
        known = (known + silent).permute(2, 0, 1)
        return result + known[:, None]

    def edge_weights(self, hidden: torch.Tensor, inverse: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(w1, w4) and (w3, w2, w5) / d of hidden units (hidden, n, N, N)."""
        # The mean number of messages grows with N; their sum should not.
        normalised = self.weights / math.sqrt(max(inverse.shape[-1] - 1, 1))
        plain, directed = torch.split(normalised, [self.product.plain, self.product.weights - self.product.plain])
        return mixed(plain, hidden), mixed(directed, hidden * inverse)

    def update(self, features: Features, changes: torch.Tensor, turned: torch.Tensor) -> Features:
        """Features plus scalars and gated vectors."""
        change, gate = torch.split(changes, [features[0].shape[0], turned.shape[0]])
        gated = torch.sigmoid(gate)[:, :, None] * turned
        return features[0] + change, gated if len(features[1]) == 0 else features[1] + gated
