"""The Jacobian of any equivariant network by forward-mode differentiation: every move of every particle but one.

Correct to rounding like :mod:`molgen.networks.jacobian`, for networks whose tangents have no closed form there, and
many times dearer: all edges' weights move in every direction, where only those of one particle's edges really do.
"""

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from molgen.networks.equivariant import EquivariantNetwork

_PIECE = 2**23
"""Numbers in the tangents of the weights of edges that are made at a time: tens of megabytes."""


@torch.no_grad()
def output_and_jacobian(
    network: "EquivariantNetwork", positions: torch.Tensor, time: torch.Tensor, condition: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The output v (n, N, 3) and dv/dx (n, 3N, 3N), rows (i, k), columns (a, α); in pieces of batch and directions.

    Moving all particles together changes nothing: the last particle's columns are minus the sum of the others.
    """
    n, particles, _ = positions.shape
    basis = torch.eye(3 * particles, dtype=positions.dtype, device=positions.device)
    moves = basis.view(-1, 1, particles, 3)[: 3 * (particles - 1)]
    settings = network.settings
    numbers = particles**2 * (2 * settings.scalars + 3 * settings.vectors + 6 * settings.tensors + settings.hidden)
    at_once = max(1, _PIECE // numbers)  # pairs of a configuration and a direction
    size, chunk = max(1, at_once // max(len(moves), 1)), min(at_once, max(len(moves), 1))
    columns = [
        _columns(network, moves, chunk, positions[part], time[part], None if condition is None else condition[part])
        for part in (slice(k, k + size) for k in range(0, max(n, 1), size))
    ]
    moved = torch.cat(columns, 1).view(particles - 1, 3, n, particles, 3)
    moved = torch.cat([moved, -moved.sum(0, keepdim=True)])
    return network(positions, time, condition), moved.permute(2, 3, 4, 0, 1).reshape(n, 3 * particles, 3 * particles)


def _columns(
    network: "EquivariantNetwork",
    moves: torch.Tensor,
    chunk: int,
    positions: torch.Tensor,
    time: torch.Tensor,
    condition: torch.Tensor | None,
) -> torch.Tensor:
    """Derivatives (D, n, N, 3) of the output along moves (D, 1, N, 3), ``chunk`` of them at a time."""

    def along(move: torch.Tensor) -> torch.Tensor:
        return torch.func.jvp(lambda x: network(x, time, condition), (positions,), (move.expand_as(positions),))[1]

    columns: torch.Tensor = torch.func.vmap(along, chunk_size=chunk)(moves)
    return columns
