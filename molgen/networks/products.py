r"""Messages between particles: tensor products of features with the direction of an edge.

Features are scalars s (l = 0) and vectors v (l = 1). With r ↔ the unit vector from i to j and one weight w for every
edge and channel ("uvu" in e3nn's words), particle i receives the sum over j of

.. math:: w_1 s_j,\quad w_2\, v_j\cdot r,\quad \sqrt3\, w_3\, s_j r,\quad w_4 v_j,\quad \sqrt{3/2}\, w_5\, v_j\times r

which are the paths 0x0→0, 1x1→0, 0x1→1, 1x0→1 and 1x1→1 of e3nn with component normalisation (M. Geiger and T. Smidt,
arXiv:2207.09453). The cross product is what tells a molecule from its mirror image; without it (``chiral`` False) the
product is one of O(3), and particles in a plane stay there.

Everything is laid out with channels first and particles last: a linear map of channels is then one large matrix
product, and a sum over j a product of a few rows with a matrix of weights.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn

Features = tuple[torch.Tensor, torch.Tensor]
"""Scalars (C0, n, N) and vectors (C1, n, 3, N)."""


def mixed(matrix: torch.Tensor, channels: torch.Tensor) -> torch.Tensor:
    """The matrix (C', C) times channels (C, ...): (C', ...)."""
    return (matrix @ channels.flatten(1)).view(len(matrix), *channels.shape[1:])


def mix(linear: nn.Linear, channels: torch.Tensor) -> torch.Tensor:
    """A linear layer over the first axis (C, ...) instead of the last."""
    if linear.bias is None:
        return mixed(linear.weight, channels)
    flat = torch.addmm(linear.bias[:, None], linear.weight, channels.flatten(1))
    return flat.view(len(flat), *channels.shape[1:])


def cross(first: torch.Tensor, second: torch.Tensor, axis: int) -> torch.Tensor:
    """The cross product along ``axis``, broadcast over the others; a third of the time of torch's own."""
    a, b, c = first.unbind(axis)
    d, e, f = second.unbind(axis)
    return torch.stack([b * f - c * e, c * d - a * f, a * e - b * d], axis)


class EdgeProduct(Protocol):
    """A product over all pairs; :attr:`weights` numbers are needed for every edge."""

    weights: int
    scalars_out: int
    vectors_out: int

    def __call__(
        self, features: Features, positions: torch.Tensor, inverse: torch.Tensor, weights: torch.Tensor
    ) -> Features:
        """Sums over j, as :data:`Features`, of particles at ``positions`` (n, 3, N).

        ``inverse`` (n, N, N) is 1 / |x_j - x_i|, 0 where i = j; ``weights`` (weights, n, N, N) are indexed by j, then
        i, stand in the order w1, w4, w3, w2, w5, and their diagonal is not used.
        """
        ...


class ClosedFormProduct(nn.Module):
    """The product in closed form, by matrix products over j alone.

    r = (x_j - x_i) / d separates into what belongs to j and what belongs to i, so that no tensor of edges times
    channels times three is ever made: sum_j w s_j r = sum_j (w/d) s_j x_j - x_i sum_j (w/d) s_j, and so for the others.
    Positions should be centred: the two terms cancel where they are large.
    """

    def __init__(self, scalars: int, vectors: int, *, chiral: bool = True) -> None:
        super().__init__()
        self.scalars, self.vectors, self.chiral = scalars, vectors, chiral
        self.plain = scalars + vectors
        self.weights = 2 * scalars + (3 if chiral else 2) * vectors
        self.scalars_out = scalars + vectors
        self.vectors_out = scalars + (2 if chiral else 1) * vectors

    def forward(
        self, features: Features, positions: torch.Tensor, inverse: torch.Tensor, weights: torch.Tensor
    ) -> Features:
        """See :class:`EdgeProduct`."""
        plain, directed = torch.split(weights, [self.plain, self.weights - self.plain])
        return self.sums(features, positions, plain * (inverse > 0).to(plain), directed * inverse)

    def parts(self, directed: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """w3, w2 and, if chiral, w5 of the weights of the paths in which r stands."""
        return torch.split(directed, [self.scalars, self.vectors, self.vectors][: 3 if self.chiral else 2])

    def sums(self, features: Features, positions: torch.Tensor, plain: torch.Tensor, reduced: torch.Tensor) -> Features:
        """The product with ``plain`` = (w1, w4) and ``reduced`` = (w3, w2, w5) / d, whose diagonals are zero."""
        s, v = features
        x = positions[None]
        w1, w4 = torch.split(plain, [self.scalars, self.vectors])
        w3, w2, *rest = self.parts(reduced)
        moved = torch.cat([s[:, :, None] * x, s[:, :, None]], 2) @ w3
        along = torch.cat([(v * x).sum(2, keepdim=True), v], 2) @ w2
        scalars = [(s[:, :, None] @ w1)[:, :, 0], along[:, :, 0] - (along[:, :, 1:] * x).sum(2)]
        vectors = [math.sqrt(3.0) * (moved[:, :, :3] - x * moved[:, :, 3:]), v @ w4]
        if self.chiral:
            turned = torch.cat([cross(v, x, 2), v], 2) @ rest[0]
            vectors.append(math.sqrt(1.5) * (turned[:, :, :3] - cross(turned[:, :, 3:], x, 2)))
        return torch.cat(scalars), torch.cat(vectors)


class E3nnMessages(nn.Module):
    """Sums of messages along ``paths`` (l of the feature, of the harmonic, of the message) by e3nn's general machinery.

    ``channels`` are the numbers of features of l = 0, 1, …; weights stand in the order of the paths, messages of each l
    in the order of their features and harmonics. Made in double precision; move it with ``.to(dtype)``.
    """

    def __init__(self, channels: tuple[int, ...], paths: list[tuple[int, int, int]]) -> None:
        super().__init__()
        from e3nn import o3

        made = sorted(paths, key=lambda path: (path[2], path[0], path[1]))
        self._widths = [2 * order + 1 for order in range(len(channels))]
        self._counts = [sum(channels[path[0]] for path in made if path[2] == order) for order in range(len(channels))]
        self._sphere = o3.Irreps([(1, (order, 1)) for order in range(len(channels))])
        with _double_precision():
            self._product: Any = o3.TensorProduct(
                o3.Irreps([(count, (order, 1)) for order, count in enumerate(channels)]),
                self._sphere,
                o3.Irreps([(channels[path[0]], (path[2], 1)) for path in made]),
                [(path[0], path[1], made.index(path), "uvu", True) for path in paths],
                shared_weights=False,
                internal_weights=False,
            )
        self.weights = int(self._product.weight_numel)

    def rows(
        self, features: tuple[torch.Tensor, ...], positions: torch.Tensor, weights: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """e3nn's layout, one row an edge: features of the sender, the edge's harmonics, weights."""
        from e3nn import o3

        j, i = _edges(positions.shape[-1])
        # (n, edges, C, 2l + 1) of each l; scalars have no axis of components.
        sent = [features[0].permute(1, 2, 0)[..., None], *(feature.permute(1, 3, 0, 2) for feature in features[1:])]
        senders = torch.cat([feature[:, j].flatten(-2) for feature in sent], -1).flatten(0, 1)
        vector = (positions[..., j] - positions[..., i]).transpose(1, 2).flatten(0, 1)
        harmonics = o3.spherical_harmonics(self._sphere, vector, normalize=True, normalization="component")
        return senders, harmonics, weights[:, :, j, i].flatten(1).T.contiguous()

    def gathered(self, rows: tuple[torch.Tensor, ...], particles: int) -> tuple[torch.Tensor, ...]:
        """e3nn's own tensor product of :meth:`rows`, and its sums over j: (C', n, N), (C', n, 3, N) and so on."""
        i = _edges(particles)[1]
        messages = self._product(*rows)
        messages = messages.view(-1, len(i), messages.shape[-1])
        summed = messages.new_zeros(len(messages), particles, messages.shape[-1]).index_add_(1, i, messages)
        sizes = [count * width for count, width in zip(self._counts, self._widths, strict=True)]
        scalars, *others = torch.split(summed, sizes, -1)
        parts = [
            part.view(*part.shape[:2], -1, width).permute(2, 0, 3, 1)
            for part, width in zip(others, self._widths[1:], strict=True)
        ]
        return (scalars.permute(2, 0, 1), *parts)


class E3nnProduct(E3nnMessages):
    """The same product by e3nn: the oracle of :class:`ClosedFormProduct`, many times slower."""

    def __init__(self, scalars: int, vectors: int, *, chiral: bool = True) -> None:
        paths = [(0, 0, 0), (1, 0, 1), (0, 1, 1), (1, 1, 0), (1, 1, 1)]
        super().__init__((scalars, vectors), paths[: 5 if chiral else 4])
        self.scalars_out, self.vectors_out = self._counts

    def forward(
        self, features: Features, positions: torch.Tensor, inverse: torch.Tensor, weights: torch.Tensor
    ) -> Features:
        """See :class:`EdgeProduct`."""
        scalars, vectors = self.gathered(self.rows(features, positions, weights), positions.shape[-1])
        return scalars, vectors


def _edges(particles: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Senders j and receivers i of all pairs of two particles."""
    j, i = torch.nonzero(~torch.eye(particles, dtype=torch.bool), as_tuple=True)
    return j, i


@contextmanager
def _double_precision() -> Iterator[None]:
    """e3nn computes its coupling coefficients once, in the default precision of that moment."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
