r"""Messages between particles: tensor products of features with the direction of an edge.

Features are scalars s (l = 0) and vectors v (l = 1). With r ↔ the unit vector from i to j and one weight w for every
edge and channel ("uvu" in e3nn's words), particle i receives the sum over j of

.. math:: w_1 s_j,\quad w_2\, v_j\cdot r,\quad \sqrt3\, w_3\, s_j r,\quad w_4 v_j,\quad \sqrt{3/2}\, w_5\, v_j\times r

which are the paths 0x0→0, 1x1→0, 0x1→1, 1x0→1 and 1x1→1 of e3nn with component normalisation (M. Geiger and T. Smidt,
arXiv:2207.09453). The cross product is what tells a molecule from its mirror image; without it (``chiral`` False) the
product is one of O(3), and particles in a plane stay there.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn

Features = tuple[torch.Tensor, torch.Tensor]
"""Scalars (n, N, C0) and vectors (n, N, C1, 3)."""


class EdgeProduct(Protocol):
    """A product over all pairs; :attr:`weights` numbers are needed for every edge."""

    weights: int
    scalars_out: int
    vectors_out: int

    def __call__(
        self, features: Features, positions: torch.Tensor, inverse: torch.Tensor, weights: torch.Tensor
    ) -> Features:
        """Sums over j (n, N, ...) for features at ``positions`` (n, N, 3).

        ``inverse`` (n, N, N) is 1 / |x_j - x_i|, 0 where i = j; ``weights`` (n, weights, N, N) are indexed by i, then
        j, and their diagonal is not used.
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
        self.weights = 2 * scalars + (3 if chiral else 2) * vectors
        self.scalars_out = scalars + vectors
        self.vectors_out = scalars + (2 if chiral else 1) * vectors

    def forward(
        self, features: Features, positions: torch.Tensor, inverse: torch.Tensor, weights: torch.Tensor
    ) -> Features:
        """See :class:`EdgeProduct`."""
        s, v = features[0].transpose(1, 2), features[1].transpose(1, 2)  # (n, C, N), (n, C, N, 3)
        x = positions[:, None]
        weights = weights * (inverse > 0)[:, None].to(weights)
        c0, c1 = self.scalars, self.vectors
        plain, reduced = torch.split(weights, [c0 + c1, self.weights - c0 - c1], 1)
        w1, w4 = torch.split(plain, [c0, c1], 1)
        parts = [c0, c1, c1] if self.chiral else [c0, c1]
        w3, w2, *rest = torch.split(reduced * inverse[:, None], parts, 1)
        moved = w3 @ torch.cat([s[..., None] * x, s[..., None]], -1)
        along = w2 @ torch.cat([(v * x).sum(-1, keepdim=True), v], -1)
        scalars = [(w1 @ s[..., None])[..., 0], along[..., 0] - (along[..., 1:] * x).sum(-1)]
        vectors = [math.sqrt(3.0) * (moved[..., :3] - x * moved[..., 3:]), w4 @ v]
        if self.chiral:
            place = x.expand_as(v)
            turned = rest[0] @ torch.cat([torch.linalg.cross(v, place), v], -1)
            vectors.append(math.sqrt(1.5) * (turned[..., :3] - torch.linalg.cross(turned[..., 3:], place)))
        return torch.cat(scalars, 1).transpose(1, 2), torch.cat(vectors, 1).transpose(1, 2)


class E3nnProduct(nn.Module):
    """The same product by e3nn's general machinery: the oracle of :class:`ClosedFormProduct`, several times slower.

    Made in double precision; move it with ``.to(dtype)``.
    """

    def __init__(self, scalars: int, vectors: int, *, chiral: bool = True) -> None:
        super().__init__()
        from e3nn import o3

        self.scalars, self.vectors = scalars, vectors
        blocks = [(scalars, "0e"), (vectors, "0e"), (scalars, "1e"), (vectors, "1e")]
        paths = [(0, 0, 0), (1, 0, 3), (0, 1, 2), (1, 1, 1)]
        if chiral:
            blocks.append((vectors, "1e"))
            paths.append((1, 1, 4))
        self.scalars_out = scalars + vectors
        self.vectors_out = scalars + (2 if chiral else 1) * vectors
        self._sphere = o3.Irreps("0e + 1e")
        with _double_precision():
            self._product: Any = o3.TensorProduct(
                o3.Irreps(f"{scalars}x0e + {vectors}x1e"),
                self._sphere,
                o3.Irreps([(count, kind) for count, kind in blocks]),
                [(*path, "uvu", True) for path in paths],
                shared_weights=False,
                internal_weights=False,
            )
        self.weights = int(self._product.weight_numel)

    def forward(
        self, features: Features, positions: torch.Tensor, inverse: torch.Tensor, weights: torch.Tensor
    ) -> Features:
        """See :class:`EdgeProduct`; the weights stand in the order of :class:`ClosedFormProduct`."""
        from e3nn import o3

        n, particles = positions.shape[:2]
        i, j = torch.nonzero(~torch.eye(particles, dtype=torch.bool), as_tuple=True)
        # Squeezed into e3nn's layout: one row an edge, vectors flattened channel by channel.
        rows = torch.cat([features[0][:, j], features[1][:, j].flatten(-2)], -1).flatten(0, 1)
        edges = (positions[:, j] - positions[:, i]).flatten(0, 1)
        harmonics = o3.spherical_harmonics(self._sphere, edges, normalize=True, normalization="component")
        edge_weights = weights[:, :, i, j].transpose(1, 2).flatten(0, 1)
        messages = self._product(rows, harmonics, edge_weights).unflatten(0, (n, len(i)))
        summed = messages.new_zeros(n, particles, messages.shape[-1]).index_add_(1, i, messages)
        scalars, vectors = torch.split(summed, [self.scalars_out, 3 * self.vectors_out], -1)
        return scalars, vectors.reshape(n, particles, self.vectors_out, 3)


@contextmanager
def _double_precision() -> Iterator[None]:
    """e3nn computes its coupling coefficients once, in the default precision of that moment."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
