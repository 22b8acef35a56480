"""A round of messages of scalars, vectors and tensors (l = 2)."""

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from molgen.networks.layers import AnyFeatures, MessageLayer, gated
from molgen.networks.products import mix, mixed
from molgen.networks.tensors import ByPower, ClosedFormTensorProduct, TensorFeatures, WeightsByPower

if TYPE_CHECKING:
    from molgen.networks.equivariant import EquivariantSettings


class TensorLayer(MessageLayer):
    """As :class:`molgen.networks.layers.EquivariantLayer`; no tensors come in where no ``vectors`` do, and none go out
    of the ``final`` layer, where nobody would read them.
    """

    components = (3, 5)

    def __init__(
        self, settings: "EquivariantSettings", edges: int, vectors: int, classes: tuple[int, int], *, final: bool
    ) -> None:
        super().__init__(settings, edges, classes)
        c0, c1, c2 = settings.scalars, settings.vectors, 0 if final else settings.tensors
        known = settings.tensors if vectors else 0
        self.product = ClosedFormTensorProduct(c0, vectors, known, chiral=settings.chiral, final=final)
        self.weights = nn.Parameter(torch.randn(self.product.weights, settings.hidden) / math.sqrt(settings.hidden))
        self.mix_scalars = nn.Linear(self.product.scalars_out + c0, c0 + c1 + c2)
        self.out_scalars = nn.Linear(c0 + c1 + c2, c0 + c1 + c2)
        self.mix_vectors = nn.Linear(self.product.vectors_out, c1, bias=False)
        self.mix_tensors = None if final else nn.Linear(self.product.tensors_out, c2, bias=False)

    def forward(
        self, features: AnyFeatures, x: torch.Tensor, inverse: torch.Tensor, potential: torch.Tensor
    ) -> TensorFeatures:
        """See :class:`MessageLayer`."""
        return self.messages(features, x, self.edge_weights(nn.functional.silu(potential), inverse))

    def messages(self, features: AnyFeatures, x: torch.Tensor, weights: WeightsByPower) -> TensorFeatures:
        """New features for known weights of the edges."""
        scalars, vectors, tensors = features
        sums = self.product.sums((scalars, vectors, tensors), x, weights)
        hidden = nn.functional.silu(mix(self.mix_scalars, torch.cat([sums[0], scalars])))
        turned = mix(self.mix_vectors, sums[1])
        made = sums[2] if self.mix_tensors is None else mix(self.mix_tensors, sums[2])
        change, gate1, gate2 = torch.split(mix(self.out_scalars, hidden), [len(scalars), len(turned), len(made)])
        if self.mix_tensors is not None:
            made = gated(tensors, gate2, made)
        return scalars + change, gated(vectors, gate1, turned), made

    def edge_weights(self, hidden: torch.Tensor, inverse: torch.Tensor) -> WeightsByPower:
        """The product's weights of hidden units (hidden, n, N, N), divided by the distances."""
        # The mean number of messages grows with N; their sum should not.
        normalised = self.weights / math.sqrt(max(inverse.shape[-1] - 1, 1))
        normalised = normalised * normalised.new_tensor(self.product.factors)[:, None]
        plain, once, twice = torch.split(normalised, list(self.product.counts))
        by_distance = hidden * inverse
        return ByPower(mixed(plain, hidden), mixed(once, by_distance), mixed(twice, by_distance * inverse))
