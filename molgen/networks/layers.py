"""Rounds of messages: what is known of an edge becomes weights of a product, whose sums are mixed and gated."""

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from molgen.networks.products import ClosedFormProduct, Features, mix, mixed

if TYPE_CHECKING:
    from molgen.networks.equivariant import EquivariantSettings

AnyFeatures = tuple[torch.Tensor, ...]
"""Scalars (C0, n, N), then features of more components (C, n, components, N)."""


class MessageLayer(nn.Module):
    """One round of messages from features to features of ``components`` beside scalars.

    Here is what an edge says before features come in: ``hidden`` units of the ``edges`` numbers that are known of its
    length, of time, and of the ``classes`` of particles and of pairs.
    """

    components: ClassVar[tuple[int, ...]]

    # SiLU of so negative a number is exactly 0, and so is its derivative: a particle sends nothing to itself.
    _SILENT = -1e4

    def __init__(self, settings: "EquivariantSettings", edges: int, classes: tuple[int, int]) -> None:
        super().__init__()
        hidden = settings.hidden
        self.radial = nn.Linear(edges, hidden)
        self.clock = nn.Linear(settings.scalars, hidden, bias=False)
        self.sender, self.receiver = nn.Embedding(classes[0], hidden), nn.Embedding(classes[0], hidden)
        self.pair = nn.Embedding(classes[1], hidden)

    def forward(
        self, features: AnyFeatures, x: torch.Tensor, inverse: torch.Tensor, potential: torch.Tensor
    ) -> AnyFeatures:
        """New features of ``features``, at ``x`` (n, 3, N), with :meth:`potential` of the edges."""
        raise NotImplementedError

    def potential(
        self, edges: torch.Tensor, clock: torch.Tensor, kinds: torch.Tensor, pairs: torch.Tensor
    ) -> torch.Tensor:
        """The hidden units of the edges before their SiLU (hidden, n, N, N), from j to i."""
        known: torch.Tensor = self.sender(kinds)[:, None] + self.receiver(kinds)[None] + self.pair(pairs)
        silent = torch.eye(len(kinds), dtype=known.dtype, device=known.device)[..., None] * self._SILENT
        result = mix(self.radial, edges) + mix(self.clock, clock)[:, :, None, None]
        known = (known + silent).permute(2, 0, 1)
        return result + known[:, None]


class EquivariantLayer(MessageLayer):
    """Of scalars and vectors; ``vectors`` channels come in (0 in the first layer), ``settings.vectors`` go out."""

    components = (3,)

    def __init__(self, settings: "EquivariantSettings", edges: int, vectors: int, classes: tuple[int, int]) -> None:
        super().__init__(settings, edges, classes)
        c0, c1 = settings.scalars, settings.vectors
        self.product = ClosedFormProduct(c0, vectors, chiral=settings.chiral)
        self.weights = nn.Parameter(torch.randn(self.product.weights, settings.hidden) / math.sqrt(settings.hidden))
        self.mix_scalars = nn.Linear(self.product.scalars_out + c0, c0 + c1)
        self.out_scalars = nn.Linear(c0 + c1, c0 + c1)
        self.mix_vectors = nn.Linear(self.product.vectors_out, c1, bias=False)

    def forward(
        self, features: AnyFeatures, x: torch.Tensor, inverse: torch.Tensor, potential: torch.Tensor
    ) -> Features:
        """See :class:`MessageLayer`."""
        known = features[0], features[1]
        plain, reduced = self.edge_weights(nn.functional.silu(potential), inverse)
        scalars, vectors = self.product.sums(known, x, plain, reduced)
        before = mix(self.mix_scalars, torch.cat([scalars, known[0]]))
        return self.update(known, mix(self.out_scalars, nn.functional.silu(before)), mix(self.mix_vectors, vectors))

    def edge_weights(self, hidden: torch.Tensor, inverse: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(w1, w4) and (w3, w2, w5) / d of hidden units (hidden, n, N, N)."""
        # The mean number of messages grows with N; their sum should not.
        normalised = self.weights / math.sqrt(max(inverse.shape[-1] - 1, 1))
        plain, directed = torch.split(normalised, [self.product.plain, self.product.weights - self.product.plain])
        return mixed(plain, hidden), mixed(directed, hidden * inverse)

    def update(self, features: Features, changes: torch.Tensor, turned: torch.Tensor) -> Features:
        """Features plus scalars and gated vectors."""
        change, gate = torch.split(changes, [features[0].shape[0], turned.shape[0]])
        return features[0] + change, gated(features[1], gate, turned)


def gated(features: torch.Tensor, gate: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """``features``, 0 if there are none yet, plus ``change`` (C, n, components, N) by gates before their sigmoid."""
    change = torch.sigmoid(gate)[:, :, None] * change
    return change if len(features) == 0 else features + change
