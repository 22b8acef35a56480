"""A number of a configuration that does not change when it is moved, turned or renumbered."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from molgen.networks.equivariant import EquivariantNetwork, EquivariantSettings

PIECE = 128
"""Configurations at a time: what the messages between all pairs of so many particles need stays in the cache."""


class InvariantNetwork(nn.Module):
    """A number (n,) for each of positions (n, N, 3): a function of the mean over the particles of what each has
    at the end.

    ``kinds`` and ``pairs`` are those of :class:`EquivariantNetwork`. A mirror image may get another number where the
    settings are ``chiral`` and there are three layers: cross products make pseudovectors in the second, and their
    products with directions pseudoscalars in the third. It starts at zero.
    """

    def __init__(
        self, kinds: tuple[int, ...], pairs: tuple[tuple[int, ...], ...], settings: EquivariantSettings
    ) -> None:
        super().__init__()
        self.body = EquivariantNetwork(kinds, pairs, settings)
        # Nobody reads the vectors of the last layer.
        self.body.readout.requires_grad_(False)
        self.head = nn.Sequential(nn.Linear(settings.scalars, settings.scalars), nn.SiLU())
        self.readout = nn.Linear(settings.scalars, 1)
        nn.init.zeros_(self.readout.weight)
        nn.init.zeros_(self.readout.bias)

    def fit(self, positions: torch.Tensor) -> None:
        """See :meth:`EquivariantNetwork.fit`."""
        self.body.fit(positions)

    def forward(self, positions: torch.Tensor) -> torch.Tensor:
        """See the class. Intermediate results are computed again in the backward pass: memory, not time, is short."""
        pieces = torch.split(positions, PIECE)
        if not torch.is_grad_enabled():
            return torch.cat([self._piece(piece) for piece in pieces])
        return torch.cat([checkpoint(self._piece, piece, use_reentrant=False) for piece in pieces])

    def _piece(self, positions: torch.Tensor) -> torch.Tensor:
        scalars = self.body.features(positions, positions.new_zeros(len(positions)))[0]
        each = self.head(scalars.mean(-1).T)
        result: torch.Tensor = self.readout(each)[:, 0]
        return result
