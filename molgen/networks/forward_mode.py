r"""The Jacobian of a network with tensors by forward-mode differentiation: every move of every particle but one.

Correct to rounding like :mod:`molgen.networks.jacobian`, for layers whose tangents have no closed form there, and many
times dearer: all edges' weights move in every direction, where only those of one particle's edges really do. Here too
weights are functions of one number an edge for given time and kinds. In their place stand tangents to them,

.. math:: w(d_0) + w'(d_0)\, (d - d_0),

with the same value and derivative, so that what makes weights is differentiated once and not once a direction.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from molgen.networks.jacobian import silu_and_slope
from molgen.networks.products import mixed
from molgen.networks.tensor_layer import TensorLayer
from molgen.networks.tensors import ByPower, WeightsByPower

if TYPE_CHECKING:
    from molgen.networks.equivariant import EquivariantNetwork

_PIECE = 2**24
"""Numbers in the tangents of the weights of edges that are made at a time; a hundred or two of megabytes in all."""


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
    weights = max(layer.product.weights for layer in network.rounds() if isinstance(layer, TensorLayer))
    at_once = max(1, _PIECE // (weights * particles**2))  # pairs of a configuration and a direction
    size, chunk = max(1, at_once // len(moves)), min(at_once, len(moves))
    pieces = [
        _piece(network, moves, chunk, positions[part], time[part], None if condition is None else condition[part])
        for part in (slice(k, k + size) for k in range(0, max(n, 1), size))
    ]
    moved = torch.cat([columns for _, columns in pieces], 1).view(particles - 1, 3, n, particles, 3)
    moved = torch.cat([moved, -moved.sum(0, keepdim=True)])
    v = torch.cat([v for v, _ in pieces])
    return v, moved.permute(2, 3, 4, 0, 1).reshape(n, 3 * particles, 3 * particles)


def _piece(
    network: "EquivariantNetwork",
    moves: torch.Tensor,
    chunk: int,
    positions: torch.Tensor,
    time: torch.Tensor,
    condition: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The output, and its derivatives (D, n, N, 3) along moves (D, 1, N, 3), ``chunk`` of them at a time."""
    field = _with_tangent_weights(network, positions, time, condition)

    def along(move: torch.Tensor) -> torch.Tensor:
        moved: torch.Tensor = torch.func.jvp(field, (positions,), (move.expand_as(positions),))[1]
        return moved

    columns: torch.Tensor = torch.func.vmap(along, chunk_size=chunk)(moves)
    return field(positions), columns


def _with_tangent_weights(
    network: "EquivariantNetwork", positions: torch.Tensor, time: torch.Tensor, condition: torch.Tensor | None
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The network as a function of positions that is right, with its first derivatives, at ``positions`` alone."""
    x, distance, inverse = network.geometry(positions)
    edges, edge_slopes = network.edges.with_slopes(distance)
    clock = network.clock(time.to(x), condition)
    prepared = []
    for layer in network.rounds():
        assert isinstance(layer, TensorLayer)
        hidden, rate = silu_and_slope(layer.potential(edges, clock, network.kinds, network.pairs))
        rate *= mixed(layer.radial.weight, edge_slopes)
        values, changes = layer.edge_weights(hidden, inverse), layer.edge_weights(rate, inverse)
        # (w / d^k)' = w' / d^k - k w / d^(k + 1)
        once, twice = changes.once - values.once * inverse, changes.twice - 2.0 * values.twice * inverse
        prepared.append((layer, values, ByPower(changes.plain, once, twice)))

    def field(at: torch.Tensor) -> torch.Tensor:
        y, moved, _ = network.geometry(at)
        features = network.start(clock)
        for layer, values, slopes in prepared:
            features = layer.messages(features, y, _near(values, slopes, moved - distance))
        return network.finish(features[1])

    return field


def _near(values: WeightsByPower, slopes: WeightsByPower, change: torch.Tensor) -> WeightsByPower:
    """Weights at distances changed by ``change``, to first order."""
    plain, once, twice = (value + slope * change for value, slope in zip(values, slopes, strict=True))
    return ByPower(plain, once, twice)
