r"""The Jacobian of an equivariant network by tangents whose structure is known.

The tangent of a message sum_j w(d_ij) f_j ⊗ r_ij has a direct part, from d_ij and r_ij, and a carried part, from the
features f_j. Weights are functions of one number an edge for given time and kinds, so their derivative w' is made
once an edge, and with r the unit vector from i to j

.. math::
    \partial_{x_j} w = w' r,\qquad \partial_{x_j} (w\, r^T) = \tfrac{w}{d} 1 + (w' - \tfrac{w}{d})\, r r^T,
    \qquad \partial_{x_i} = -\partial_{x_j}.

So a move of particle a has a direct part only on edges that end in a: it is mixed to the few channels after the message
before it is spread over directions. The carried part is one product of all tangents with a matrix of weights a channel.
Moving all particles together changes nothing: the last particle's columns are minus the sum of the others.

Letters: a the particle moved, along α; j sender and i receiver of an edge; D = (a, α) all moves, 3 (N - 1) of them.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from molgen.networks.layers import EquivariantLayer
from molgen.networks.products import Features, cross, mix, mixed

if TYPE_CHECKING:
    from molgen.networks.equivariant import EquivariantNetwork

_PIECE = 2**19
"""Numbers in the tangents of the vectors' messages of one piece of the batch; more do not fit into a cache."""


class _Edges(NamedTuple):
    """Geometry of the edges from j to i: r in two orders of axes, d r and 1 / d."""

    unit: torch.Tensor  # (n, Nj, 3, Ni)
    difference: torch.Tensor  # (n, 3, Nj, Ni)
    inverse: torch.Tensor  # (n, Nj, Ni)


class _Weights(NamedTuple):
    """Weights of a layer's edges as :meth:`EquivariantLayer.edge_weights` has them, and their derivatives by d."""

    plain: torch.Tensor
    reduced: torch.Tensor
    plain_slope: torch.Tensor
    curved: torch.Tensor  # w' - w / d of (w3, w2, w5)


class _Direct(NamedTuple):
    """Direct parts after mixing: of the scalars, and U, B, G of the vectors' U_k r_α + B δ_αk + (α × G)_k."""

    scalars: torch.Tensor  # (hidden, n, Nj, 3, Ni)
    along: torch.Tensor  # (C1, n, Nj, 3, Ni)
    same: torch.Tensor  # (C1, n, Nj, Ni)
    across: torch.Tensor | None  # (C1, n, Nj, 3, Ni)


class _Step(NamedTuple):
    """A layer's values, and tangents of its scalars."""

    changes: torch.Tensor  # of the scalars, and gates before their sigmoid (C0 + C1, n, N)
    turned: torch.Tensor  # mixed vectors (C1, n, 3, N)
    gate: torch.Tensor  # (C1, n, N)
    moved_before: torch.Tensor  # tangents behind the SiLU (hidden, n, D, N)
    moved_gate: torch.Tensor  # (C1, n, D, N)
    direct: _Direct


Tangents = tuple[torch.Tensor, torch.Tensor]
"""Tangents of the scalars (C0, n, D, N) and of the vectors (C1, n, D, 3, N)."""


@torch.no_grad()
def output_and_jacobian(
    network: "EquivariantNetwork", positions: torch.Tensor, time: torch.Tensor, condition: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The output v (n, N, 3) and dv/dx (n, 3N, 3N), rows (i, k), columns (a, α); the batch is cut in pieces."""
    particles = positions.shape[1]
    numbers = 9 * particles * particles * network.settings.vectors
    size = max(1, _PIECE // numbers)
    results = [
        _piece(network, positions[part], time[part], None if condition is None else condition[part])
        for part in (slice(k, k + size) for k in range(0, max(len(positions), 1), size))
    ]
    return torch.cat([v for v, _ in results]), torch.cat([jacobian for _, jacobian in results])


def _piece(
    network: "EquivariantNetwork", positions: torch.Tensor, time: torch.Tensor, condition: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    x, distance, inverse = network.geometry(positions)
    difference = x[:, :, :, None] - x[:, :, None]
    geometry = _Edges((difference * inverse[:, None]).transpose(1, 2).contiguous(), difference, inverse)
    edges, edge_slopes = network.edges.with_slopes(distance)
    clock = network.clock(time.to(x), condition)
    scalars, vectors = network.start(clock)
    features = scalars, vectors
    tangents: Tangents | None = None
    for layer in network.rounds():
        assert isinstance(layer, EquivariantLayer)
        potential = layer.potential(edges, clock, network.kinds, network.pairs)
        weights = _weights(layer, potential, edge_slopes, inverse)
        step = _step(layer, features, tangents, weights, geometry, x)
        if layer is network.layers[-1]:
            moved = _last(network.readout.weight, layer, tangents, step, weights, geometry)
        else:
            tangents = _next(layer, tangents, step, weights, geometry)
        features = layer.update(features, step.changes, step.turned)
    v = network.finish(features[1])
    moved /= network.scale  # (n, D, 3, N)
    moved -= moved.mean(-1, keepdim=True)
    n, particles = positions.shape[:2]
    columns = moved.view(n, particles - 1, 3, 3, particles)
    columns = torch.cat([columns, -columns.sum(1, keepdim=True)], 1)  # n, a, alpha, k, i
    return v, columns.permute(0, 4, 3, 1, 2).reshape(n, 3 * particles, 3 * particles)


def _weights(
    layer: EquivariantLayer, potential: torch.Tensor, edge_slopes: torch.Tensor, inverse: torch.Tensor
) -> _Weights:
    """Weights and slopes; potential (hidden, n, N, N), slopes of the edges' numbers by d (count, n, N, N)."""
    hidden, rate = silu_and_slope(potential)
    plain, reduced = layer.edge_weights(hidden, inverse)
    rate *= mixed(layer.radial.weight, edge_slopes)
    plain_slope, slope = layer.edge_weights(rate, torch.ones_like(inverse))
    return _Weights(plain, reduced, plain_slope, slope.sub_(reduced))


def silu_and_slope(potential: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """SiLU and its derivative."""
    share = torch.sigmoid(potential)
    value = potential * share
    return value, (1.0 - share).mul_(value).add_(share)


def _step(
    layer: EquivariantLayer,
    features: Features,
    tangents: Tangents | None,
    weights: _Weights,
    geometry: _Edges,
    x: torch.Tensor,
) -> _Step:
    """The layer's values and the tangents of its scalars; no tangents come in before the first layer."""
    scalars, vectors = layer.product.sums(features, x, weights.plain, weights.reduced)
    before, rate = silu_and_slope(mix(layer.mix_scalars, torch.cat([scalars, features[0]])))
    changes, turned = mix(layer.out_scalars, before), mix(layer.mix_vectors, vectors)
    direct = _direct(layer, features, weights, geometry)
    moved_before = _spread_scalars(direct)
    if tangents is not None:
        _carry_scalars(layer, tangents, weights, geometry, moved_before)
    moved_before *= rate[:, :, None]
    c0 = len(features[0])
    gate = torch.sigmoid(changes[c0:])
    moved_gate = mixed(layer.out_scalars.weight[c0:], moved_before).mul_((gate * (1.0 - gate))[:, :, None])
    return _Step(changes, turned, gate, moved_before, moved_gate, direct)


def _next(
    layer: EquivariantLayer, tangents: Tangents | None, step: _Step, weights: _Weights, geometry: _Edges
) -> Tangents:
    """Tangents of the features after a layer that another follows."""
    scalars = mixed(layer.out_scalars.weight[: -len(step.turned)], step.moved_before)
    vectors = _spread_vectors(step.direct, geometry.unit)
    if tangents is not None:
        _carry_vectors(layer, tangents, weights, geometry, vectors)
    vectors *= step.gate[:, :, None, None]
    vectors.addcmul_(step.moved_gate[:, :, :, None], step.turned[:, :, None])
    if tangents is not None:
        scalars += tangents[0]
        vectors += tangents[1]
    return scalars, vectors


def _last(
    readout: torch.Tensor,
    layer: EquivariantLayer,
    tangents: Tangents | None,
    step: _Step,
    weights: _Weights,
    geometry: _Edges,
) -> torch.Tensor:
    """Tangents of the network's vectors (n, D, 3, N): one channel is read out, so the sums over channels come first."""
    share = readout[0, :, None, None] * step.gate  # (C1, n, Ni)
    read = share[:, :, None, None]
    direct = step.direct
    across = None if direct.across is None else (direct.across * read).sum(0, keepdim=True)
    along, same = (direct.along * read).sum(0, keepdim=True), (direct.same * share[:, :, None]).sum(0, keepdim=True)
    moved = _spread_vectors(_Direct(direct.scalars, along, same, across), geometry.unit)[0]
    turned = readout[0, :, None, None, None] * step.turned
    moved += (step.moved_gate.permute(1, 3, 2, 0) @ turned.permute(1, 3, 0, 2)).permute(0, 2, 3, 1)
    if tangents is None:
        return moved
    moved += mixed(readout, tangents[1])[0]
    product = layer.product
    c0 = product.scalars
    parts = _parts(layer, mixed(layer.mix_vectors.weight.T, share))  # what the readout sees of each message
    reduced3, _, *reduced5 = product.parts(weights.reduced)
    scalars, vectors = (tangent.transpose(0, 1) for tangent in tangents)  # (n, C, D, ...)
    difference = geometry.difference.transpose(1, 2)
    matrix = ((reduced3 * (math.sqrt(3.0) * parts[0])[:, :, None]).transpose(0, 1)[:, :, :, None]) * difference[:, None]
    moved += (scalars.transpose(1, 2).flatten(2) @ matrix.flatten(3).flatten(1, 2)).view_as(moved)
    matrix = (weights.plain[c0:] * parts[1][:, :, None]).transpose(0, 1).flatten(1, 2)  # (n, C1 Nj, Ni)
    moved += (vectors.permute(0, 2, 3, 1, 4).flatten(3).flatten(1, 2) @ matrix).view_as(moved)
    if product.chiral:
        scaled = (reduced5[0] * (math.sqrt(1.5) * parts[2])[:, :, None]).transpose(0, 1)
        matrix = scaled[:, :, None, :, None] * _cross(geometry.difference)[:, None]  # (n, C1, 3, Nj, 3, Ni)
        carried = vectors.transpose(1, 2).flatten(2) @ matrix.flatten(4).flatten(1, 3)
        moved += carried.view_as(moved)
    return moved


def _parts(layer: EquivariantLayer, messages: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """What belongs to w3, w4 and, if chiral, w5 along the first axis of vectors' messages."""
    c0, c1 = layer.product.scalars, layer.product.vectors
    return torch.split(messages, [c0, c1, c1][: 3 if layer.product.chiral else 2])


def _direct(layer: EquivariantLayer, features: Features, weights: _Weights, geometry: _Edges) -> _Direct:
    """Direct parts of the tangents of the mixed messages for a move of the sender."""
    product, unit = layer.product, geometry.unit
    c0, c1 = product.scalars, product.vectors
    s, v = features[0][..., None], features[1].transpose(2, 3)[..., None]  # (C0, n, Nj, 1), (C1, n, Nj, 3, 1)
    curved3, curved2, *curved5 = product.parts(weights.curved)
    reduced3, reduced2, *reduced5 = product.parts(weights.reduced)
    slope1, slope4 = torch.split(weights.plain_slope, [c0, c1])
    m1, m2, _ = torch.split(layer.mix_scalars.weight, [c0, c1, c0], 1)
    m3, m4, *m5 = (part.T for part in _parts(layer, layer.mix_vectors.weight.T))
    m3 = m3 * math.sqrt(3.0)

    scalars = mixed(m1, slope1 * s)
    along = mixed(m3, curved3 * s)
    same = mixed(m3, reduced3 * s)
    if c1 == 0:
        return _Direct(scalars[:, :, :, None] * unit, along[:, :, :, None] * unit, same, None)
    scalars += mixed(m2, curved2 * (v * unit).sum(3))
    moved = torch.addcmul(mixed(m2, reduced2[:, :, :, None] * v), scalars[:, :, :, None], unit)
    rest = torch.addcmul(mixed(m4, slope4[:, :, :, None] * v), along[:, :, :, None], unit)
    if not product.chiral:
        return _Direct(moved, rest, same, None)
    matrix = m5[0] * math.sqrt(1.5)
    rest += mixed(matrix, curved5[0][:, :, :, None] * cross(v, unit[None], 3))
    return _Direct(moved, rest, same, mixed(matrix, reduced5[0][:, :, :, None] * v))


def _spread_scalars(direct: _Direct) -> torch.Tensor:
    """Moves of every particle but the last (hidden, n, D, N): of a sender, and minus all senders for the receiver."""
    all_senders = direct.scalars.sum(2)  # (hidden, n, 3, Ni)
    moved = direct.scalars[:, :, :-1].clone()
    count = moved.shape[2]
    moved.diagonal(dim1=2, dim2=4).sub_(all_senders[..., :count])
    return moved.flatten(2, 3)


def _spread_vectors(direct: _Direct, unit: torch.Tensor) -> torch.Tensor:
    """The same of the vectors (C1, n, D, 3, N)."""
    moved = direct.along[:, :, :, None] * unit[:, :, :, None]  # (C1, n, Nj, alpha, k, Ni)
    moved.diagonal(dim1=3, dim2=4).add_(direct.same[..., None])
    if direct.across is not None:
        for alpha in range(3):
            one, two = (alpha + 1) % 3, (alpha + 2) % 3
            moved[:, :, :, alpha, one] += direct.across[:, :, :, two]
            moved[:, :, :, alpha, two] -= direct.across[:, :, :, one]
    all_senders = moved.sum(2)
    moved = moved[:, :, :-1].contiguous()
    count = moved.shape[2]
    moved.diagonal(dim1=2, dim2=5).sub_(all_senders[..., :count])
    return moved.flatten(2, 3)


def _carry_scalars(
    layer: EquivariantLayer, tangents: Tangents, weights: _Weights, geometry: _Edges, moved: torch.Tensor
) -> None:
    """Add to ``moved`` (hidden, n, D, N) what the features' tangents carry."""
    product = layer.product
    c0, c1 = product.scalars, product.vectors
    m1, m2, own = torch.split(layer.mix_scalars.weight, [c0, c1, c0], 1)
    flat = moved.flatten(1)
    flat.addmm_(m1, (tangents[0] @ weights.plain[:c0]).flatten(1))
    flat.addmm_(own, tangents[0].flatten(1))
    matrix = product.parts(weights.reduced)[1][:, :, None] * geometry.difference  # (C1, n, 3, Nj, Ni)
    flat.addmm_(m2, (tangents[1].flatten(3) @ matrix.flatten(2, 3)).flatten(1))


def _carry_vectors(
    layer: EquivariantLayer, tangents: Tangents, weights: _Weights, geometry: _Edges, moved: torch.Tensor
) -> None:
    """Add to ``moved`` (C1, n, D, 3, N) what the features' tangents carry."""
    product, c0 = layer.product, layer.product.scalars
    reduced3, _, *reduced5 = product.parts(weights.reduced)
    m3, m4, *m5 = (part.T for part in _parts(layer, layer.mix_vectors.weight.T))
    flat = moved.flatten(1)
    matrix = reduced3[:, :, :, None] * geometry.difference.transpose(1, 2)  # (C0, n, Nj, 3, Ni)
    flat.addmm_(m3, (tangents[0] @ matrix.flatten(3)).flatten(1), alpha=math.sqrt(3.0))
    flat.addmm_(m4, (tangents[1].flatten(2, 3) @ weights.plain[c0:]).flatten(1))
    if product.chiral:
        matrix = reduced5[0][:, :, None, :, None] * _cross(geometry.difference)
        carried = tangents[1].flatten(3) @ matrix.flatten(4).flatten(2, 3)
        flat.addmm_(m5[0], carried.flatten(1), alpha=math.sqrt(1.5))


def _cross(difference: torch.Tensor) -> torch.Tensor:
    """The matrix K with v × y = v K for each y (n, 3, Nj, Ni): (n, 3, Nj, 3, Ni)."""
    n, _, senders, receivers = difference.shape
    matrix = difference.new_zeros(n, 3, senders, 3, receivers)
    for k in range(3):
        one, two = (k + 1) % 3, (k + 2) % 3
        matrix[:, k, :, one] = -difference[:, two]
        matrix[:, k, :, two] = difference[:, one]
    return matrix
