"""Equivariant message passing: a vector for every particle that turns, moves and is renumbered with the particles."""

import math
from typing import Annotated

import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt
from torch import nn

from molgen.networks import forward_mode, jacobian
from molgen.networks.edges import EdgeFeatures
from molgen.networks.layers import AnyFeatures, EquivariantLayer, MessageLayer
from molgen.networks.products import mix
from molgen.networks.tensor_layer import TensorLayer
from molgen.settings import Settings

_FITTED = 4096
"""About how many frames tell which distances hardly vary."""


class EquivariantSettings(Settings):
    """Shape of the network: ``layers`` of ``scalars`` + ``vectors`` channels; edges see ``radial`` Gaussians of width
    and spacing ``reach`` / ``radial`` up to ``reach`` (in units of the particles' spread) through ``hidden`` units.

    ``fine`` numbers more for distances that hardly vary (:mod:`molgen.networks.edges`), once
    :meth:`EquivariantNetwork.fit` has seen frames.

    Distances are sqrt(d² + ``soften``²): the direction of one particle from another changes smoothly where they meet,
    and so does the output. ``chiral`` adds cross products, which tell a configuration from its mirror image.

    ``tensors`` channels of l = 2 between the layers see more of angles; the Jacobian, and with it every draw with an
    exact density, then costs many times more (:mod:`molgen.networks.forward_mode`).
    """

    layers: Annotated[int, Field(ge=1)] = 3
    scalars: PositiveInt = 32
    vectors: PositiveInt = 16
    tensors: NonNegativeInt = 0
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
        self.layers = nn.ModuleList(new_layers(settings, self.edges.count, classes))
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

    def features(
        self, positions: torch.Tensor, time: torch.Tensor, condition: torch.Tensor | None = None
    ) -> AnyFeatures:
        """Scalars (scalars, n, N), vectors (vectors, n, 3, N) and no tensors of the particles after the last layer."""
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
        if self.settings.tensors:
            return forward_mode.output_and_jacobian(self, positions, time, condition)
        return jacobian.output_and_jacobian(self, positions, time, condition)

    def rounds(self) -> list[MessageLayer]:
        """The layers, first to last."""
        return [layer for layer in self.layers if isinstance(layer, MessageLayer)]

    def geometry(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Centred, scaled positions x (n, 3, N), softened distances (n, N, N), 1 if i = j, their inverse, 0 there."""
        x = ((positions - positions.mean(1, keepdim=True)) / self.scale).transpose(1, 2).contiguous()
        square = (x[:, :, :, None] - x[:, :, None]).square().sum(1)
        # The diagonal is replaced before the root, whose derivative at 0 would be infinite.
        distance = (square + self.settings.soften**2 * (1.0 - self.same) + self.same).sqrt()
        return x, distance, (1.0 - self.same) / distance

    def fit(self, positions: torch.Tensor) -> None:
        """Set what edges know of narrow distances from some thousands of the frames (n, N, 3), at even distance."""
        if not self.settings.fine:
            return
        some = positions[:: max(1, len(positions) // _FITTED)].to(self.scale)
        alike = torch.stack([self.kinds[:, None].expand_as(self.pairs), self.kinds[None].expand_as(self.pairs)])
        named = torch.stack([alike.amin(0), alike.amax(0), self.pairs]).flatten(1)
        classes = torch.unique(named, dim=1, return_inverse=True)[1].view_as(self.pairs)
        self.edges.fit(self.geometry(some)[1], classes)

    def clock(self, time: torch.Tensor, condition: torch.Tensor | None) -> torch.Tensor:
        """What time and conditions say to all particles (scalars, n)."""
        known = time_features(time, self._TIME)
        embedded: torch.Tensor = self.time(known if condition is None else torch.cat([known, condition.to(time)], 1))
        return embedded.T

    def start(self, clock: torch.Tensor) -> AnyFeatures:
        """The features before the first layer: what kind each particle is, what time it is, and nothing directed."""
        scalars = self.embedding(self.kinds).T[:, None] + clock[:, :, None]
        _, n, particles = scalars.shape
        return (scalars, *(scalars.new_zeros(0, n, count, particles) for count in self.rounds()[0].components))

    def finish(self, vectors: torch.Tensor) -> torch.Tensor:
        """The output (n, N, 3) of the last vectors (vectors, n, 3, N)."""
        result = mix(self.readout, vectors)[0]
        return (result - result.mean(-1, keepdim=True)).transpose(1, 2)


def new_layers(settings: EquivariantSettings, edges: int, classes: tuple[int, int]) -> list[MessageLayer]:
    """The layers of a network, first to last: nothing directed comes into the first, no tensors out of the last."""
    known = [0 if k == 0 else settings.vectors for k in range(settings.layers)]
    if not settings.tensors:
        return [EquivariantLayer(settings, edges, vectors, classes) for vectors in known]
    return [
        TensorLayer(settings, edges, vectors, classes, final=k == settings.layers - 1)
        for k, vectors in enumerate(known)
    ]
