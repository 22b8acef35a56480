r"""Messages of second order: products of features with the direction of an edge that take or make tensors (l = 2).

A tensor is a symmetric traceless matrix :math:`M = \sum_m t_m E^m` in five orthonormal matrices, those of e3nn's basis
for l = 2. With :math:`[A]` the numbers t of the symmetric traceless part of a matrix A, particle i receives the sum
over j of

.. math::
    \tfrac{3}{\sqrt5} w_6 M_j r,\quad \sqrt{\tfrac32}\, w_7\, r^T M_j r,\quad
    w_8 t_j,\quad \sqrt3\, w_9 [v_j r^T],\quad \sqrt{\tfrac12}\, w_{10} [M_j K - K M_j],\quad
    \sqrt{\tfrac{15}{2}}\, w_{11} s_j [r r^T]

with K v = r × v, which are the paths 2x1→1, 2x2→0, 2x0→2, 1x1→2, 2x1→2 and 0x2→2 of e3nn with component normalisation
(as in :mod:`molgen.networks.products`, whose letters and layout these are). 2x1→2 is there only if ``chiral``.

Here too r = (x_j - x_i) / d is multiplied out, for r r^T into three terms, so that every path is a product of a few
rows with a matrix of weights, and no tensor of edges times channels times five is made.
"""

import math
from typing import Generic, NamedTuple, TypeVar

import torch
from torch import nn

from molgen.networks.products import ClosedFormProduct, E3nnMessages

TensorFeatures = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Scalars (C0, n, N), vectors (C1, n, 3, N) and tensors (C2, n, 5, N)."""

_HALF, _SIXTH = math.sqrt(0.5), math.sqrt(1.0 / 6.0)
_UNIT = [_HALF, _HALF, _SIXTH, _HALF, _HALF]
"""Elements of the matrices E: 1 / sqrt 2, and 1 / sqrt 6 on the diagonal of the third."""

T = TypeVar("T")


class ByPower(NamedTuple, Generic[T]):
    """What belongs to weights of edges as they are, divided by the distance once, and twice."""

    plain: T
    once: T
    twice: T


WeightsByPower = ByPower[torch.Tensor]
"""Weights (..., n, N, N)."""


def outer(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """[a b^T] (C, n, 5, N) of vectors a and b (C, n, 3, N), either of which may be broadcast over channels."""
    a, b, c = first.unbind(2)
    d, e, f = second.unbind(2)
    x, y, z = a * d, b * e, c * f
    return _scaled(torch.stack([a * f + c * d, a * e + b * d, (y - x) + (y - z), b * f + c * e, z - x], 2))


def rows(tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The elements xx, yy, zz, xy, xz, yz of M, each (C, n, N)."""
    xz, xy, middle, yz, rest = _scaled(tensors).unbind(2)
    return -middle - rest, middle + middle, rest - middle, xy, xz, yz


def applied(tensors: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """M a (C, n, 3, N)."""
    xx, yy, zz, xy, xz, yz = rows(tensors)
    a, b, c = vectors.unbind(2)
    return torch.stack([xx * a + xy * b + xz * c, xy * a + yy * b + yz * c, xz * a + yz * b + zz * c], 2)


def turned(tensors: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Half of [K M - M K] (C, n, 5, N) with K b = a × b: how M changes when it is turned about a."""
    xx, yy, zz, xy, xz, yz = rows(tensors)
    a, b, c = vectors.unbind(2)
    # The symmetric part of K M.
    x, y, z = b * xz - c * xy, c * xy - a * yz, a * yz - b * xz
    found = [
        b * (zz - xx) - c * yz + a * xy,
        b * yz + c * (xx - yy) - a * xz,
        y + y + y,
        c * xz + a * (yy - zz) - b * xy,
    ]
    return _scaled(torch.stack([*found, z - x], 2))


def _scaled(components: torch.Tensor) -> torch.Tensor:
    """Components (C, n, 5, N) times the elements of E. One product: forward mode is slow at products with numbers."""
    return components * components.new_tensor(_UNIT)[:, None]


class TensorsRead(nn.Module):
    """2x1→1 and 2x2→0: what ``tensors`` channels say to vectors and scalars, as many of each."""

    def __init__(self, tensors: int) -> None:
        super().__init__()
        self.factors = ByPower[list[float]]([], [3.0 / math.sqrt(5.0)] * tensors, [math.sqrt(1.5)] * tensors)

    def sums(
        self, tensors: torch.Tensor, positions: torch.Tensor, once: torch.Tensor, twice: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Scalars (C2, n, N) and vectors (C2, n, 3, N) by w6 / d and w7 / d² with their factors (:attr:`factors`)."""
        x = positions[None]
        sent = applied(tensors, x)
        found = torch.cat([sent, tensors], 2) @ once
        vectors = found[:, :, :3] - applied(found[:, :, 3:], x)
        found = torch.cat([(sent * x).sum(2, keepdim=True), sent, tensors], 2) @ twice
        across = torch.sub(applied(found[:, :, 4:], x), found[:, :, 1:4], alpha=2)
        return found[:, :, 0] + (across * x).sum(2), vectors


class TensorsMade(nn.Module):
    """0x2→2, 1x1→2, 2x0→2 and (if ``chiral``) 2x1→2: tensors of all features, in this order."""

    def __init__(self, scalars: int, vectors: int, tensors: int, *, chiral: bool = True) -> None:
        super().__init__()
        self.chiral = chiral
        self.split = [vectors, tensors][: 2 if chiral else 1]
        once = [math.sqrt(3.0)] * vectors + [math.sqrt(2.0)] * (sum(self.split) - vectors)
        self.counts = ByPower(tensors, sum(self.split), scalars)
        # ``turned`` gives half of K M - M K.
        self.factors = ByPower[list[float]]([1.0] * tensors, once, [math.sqrt(7.5)] * scalars)
        self.tensors_out = sum(self.counts)

    def sums(self, features: TensorFeatures, positions: torch.Tensor, weights: WeightsByPower) -> torch.Tensor:
        """Tensors (tensors_out, n, 5, N) by w8, (w9, w10) / d and w11 / d² with their factors (:attr:`factors`)."""
        s, v, t = features
        x = positions[None]
        square = outer(x, x)
        found = (s[:, :, None] * torch.cat([square, x, torch.ones_like(x[:, :, :1])], 2)) @ weights.twice
        made = [torch.sub(found[:, :, :5] + found[:, :, 8:] * square, outer(found[:, :, 5:8], x), alpha=2)]
        w9, *w10 = torch.split(weights.once, self.split)
        found = torch.cat([outer(v, x), v], 2) @ w9
        made += [found[:, :, :5] - outer(found[:, :, 5:], x), t @ weights.plain]
        if self.chiral:
            found = torch.cat([turned(t, x), t], 2) @ w10[0]
            made.append(turned(found[:, :, 5:], x) - found[:, :, :5])
        return torch.cat(made)


class ClosedFormTensorProduct(nn.Module):
    """All paths up to l = 2 that are used: those of :class:`ClosedFormProduct` and the module's.

    :attr:`counts` weights are needed of each power of the distance, in the order plain (w1, w4, w8), once (w3, w2, w5,
    w6, w9, w10), twice (w7, w11); :attr:`factors` are their numbers in the equations.
    With ``final`` no tensors are made, for a layer that nothing follows.
    """

    def __init__(self, scalars: int, vectors: int, tensors: int, *, chiral: bool = True, final: bool = False) -> None:
        super().__init__()
        self.lower = ClosedFormProduct(scalars, vectors, chiral=chiral)
        self.read = TensorsRead(tensors)
        self.made = None if final else TensorsMade(scalars, vectors, tensors, chiral=chiral)
        made = ByPower(0, 0, 0) if self.made is None else self.made.counts
        own = ByPower[list[float]]([], [], []) if self.made is None else self.made.factors
        directed = self.lower.weights - self.lower.plain
        self._plain, self._once = [self.lower.plain, made.plain], [directed, tensors, made.once]
        self._twice = [tensors, made.twice]
        self.counts = ByPower(sum(self._plain), sum(self._once), sum(self._twice))
        self.weights = sum(self.counts)
        read = self.read.factors
        self.factors = [1.0] * self.lower.plain + own.plain + [1.0] * directed + read.once + own.once
        self.factors += read.twice + own.twice
        self.scalars_out, self.vectors_out = self.lower.scalars_out + tensors, self.lower.vectors_out + tensors
        self.tensors_out = sum(made)

    def forward(
        self, features: TensorFeatures, positions: torch.Tensor, inverse: torch.Tensor, weights: torch.Tensor
    ) -> TensorFeatures:
        """As :class:`molgen.networks.products.EdgeProduct`; ``weights`` (weights, n, N, N) stand one power after
        another."""
        factors = weights.new_tensor(self.factors)[:, None, None, None]
        plain, once, twice = torch.split(weights * factors, list(self.counts))
        plain = plain * (inverse > 0).to(plain)
        return self.sums(features, positions, WeightsByPower(plain, once * inverse, twice * inverse.square()))

    def sums(self, features: TensorFeatures, positions: torch.Tensor, weights: WeightsByPower) -> TensorFeatures:
        """The product with weights times :attr:`factors` that are divided by the distances already.

        They vanish on the diagonal.
        """
        low, plain = torch.split(weights.plain, self._plain)
        directed, read_once, once = torch.split(weights.once, self._once)
        read_twice, twice = torch.split(weights.twice, self._twice)
        scalars, vectors = self.lower.sums(features[:2], positions, low, directed)
        more_scalars, more_vectors = self.read.sums(features[2], positions, read_once, read_twice)
        tensors = features[2][:0]
        if self.made is not None:
            tensors = self.made.sums(features, positions, WeightsByPower(plain, once, twice))
        return torch.cat([scalars, more_scalars]), torch.cat([vectors, more_vectors]), tensors


class E3nnTensorProduct(E3nnMessages):
    """The same product by e3nn: the oracle of :class:`ClosedFormTensorProduct`."""

    def __init__(self, scalars: int, vectors: int, tensors: int, *, chiral: bool = True) -> None:
        plain = [(0, 0, 0), (1, 0, 1), (2, 0, 2)]
        once = [(0, 1, 1), (1, 1, 0), (1, 1, 1), (2, 1, 1), (1, 1, 2), (2, 1, 2)]
        twice = [(2, 2, 0), (0, 2, 2)]
        turning = {(1, 1, 1), (2, 1, 2)}
        paths = [path for path in plain + once + twice if chiral or path not in turning]
        super().__init__((scalars, vectors, tensors), paths)

    def forward(
        self, features: TensorFeatures, positions: torch.Tensor, inverse: torch.Tensor, weights: torch.Tensor
    ) -> TensorFeatures:
        """As :class:`molgen.networks.products.EdgeProduct`."""
        scalars, vectors, tensors = self.gathered(self.rows(features, positions, weights), positions.shape[-1])
        return scalars, vectors, tensors
