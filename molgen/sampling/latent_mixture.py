r"""A distribution of latent numbers: a mixture in a few directions, the flow's own latent distribution in all others.

.. math:: g(z)/p(z) = \sum_k \pi_k \prod_j \frac{\mathrm{vM}(a_j; \mu_{kj}, \kappa_{kj})}{1/2\pi}
          \; \frac{N(Py; m_k, 1 + \sum_l (\lambda_{kl} - 1) v_{kl} v_{kl}^T)}{N(Py; 0, 1)}

with z = (a, y): angles on [−π, π), uniform under the flow's own latent p, and numbers y, standard normal under p. Only
the angles ``circles`` and the projection Py of the numbers on a few orthonormal directions ↔ ``plane`` are touched.
Symbols ↔ variables: π ↔ ``share``, μ ↔ ``angle``, κ ↔ ``concentration`` (0 is uniform), m ↔ ``mean``, v ↔ ``direction``
(orthonormal, in the plane), λ ↔ ``variance``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.special import i0e

from molgen.arrays import FloatArray, IntArray


@dataclass(frozen=True)
class Component:
    """One product: ``angle`` and ``concentration`` (c,), ``mean`` (r,), ``direction`` (l, r), ``variance`` (l,)."""

    share: float
    angle: FloatArray
    concentration: FloatArray
    mean: FloatArray
    direction: FloatArray
    variance: FloatArray

    def log_ratio(self, angles: FloatArray, numbers: FloatArray) -> FloatArray:
        """ln of the product over p (n,) at touched ``angles`` (n, c) and projected ``numbers`` (n, r)."""
        total = np.zeros(len(angles))
        for j in np.flatnonzero(self.concentration > 0.0):
            kappa = self.concentration[j]
            # κ(cos δ − 1) as −2κ sin²(δ/2): precise for large κ, where ln I₀ is κ + ln i0e.
            half = np.sin(0.5 * (angles[:, j] - self.angle[j]))
            total += -2.0 * kappa * half**2 - math.log(i0e(kappa))
        shift = numbers @ self.mean - 0.5 * float(self.mean @ self.mean)
        along = (numbers - self.mean) @ self.direction.T
        stretch = -0.5 * (along**2) @ (1.0 / self.variance - 1.0) - 0.5 * float(np.sum(np.log(self.variance)))
        return np.asarray(total + shift + stretch, dtype=np.float64)

    def draw(self, n: int, generator: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """``n`` touched angles (n, c) and projected numbers (n, r)."""
        angles = generator.uniform(-math.pi, math.pi, (n, len(self.angle)))
        for j in np.flatnonzero(self.concentration > 0.0):
            angles[:, j] = generator.vonmises(self.angle[j], self.concentration[j], n)
        numbers = generator.normal(size=(n, len(self.mean)))
        along = numbers @ self.direction.T
        numbers += self.mean + (along * (np.sqrt(self.variance) - 1.0)) @ self.direction
        return angles, numbers


@dataclass(frozen=True)
class LatentMixture:
    """The mixture of ``components``, whose shares add up to 1, on the angles ``circles`` (c,) and ``plane`` (r, k)."""

    components: tuple[Component, ...]
    circles: IntArray
    plane: FloatArray

    def log_ratio(self, angles: FloatArray, numbers: FloatArray) -> FloatArray:
        """ln g/p (n,) at all angles (n, m) and numbers (n, k)."""
        terms = log_terms(self.components, angles[:, self.circles], numbers @ self.plane.T)
        return np.asarray(np.logaddexp.reduce(terms, axis=1), dtype=np.float64)

    def move(self, angles: FloatArray, numbers: FloatArray, generator: np.random.Generator) -> None:
        """Turn draws of p, all angles (n, m) and numbers (n, k), into draws of g, in place."""
        shares = np.array([item.share for item in self.components])
        which = generator.choice(len(shares), size=len(angles), p=shares / shares.sum())
        for k, item in enumerate(self.components):
            rows = np.flatnonzero(which == k)
            turned, projected = item.draw(len(rows), generator)
            # Rounding may give π itself, which the circle counts as −π.
            turned = np.where(turned >= math.pi, turned - 2.0 * math.pi, turned)
            angles[np.ix_(rows, self.circles)] = turned
            numbers[rows] += (projected - numbers[rows] @ self.plane.T) @ self.plane

    def to_json(self) -> dict[str, Any]:
        """All numbers as plain data."""
        items = [
            {name: getattr(item, name).tolist() for name in _ARRAYS} | {"share": item.share} for item in self.components
        ]
        return {"circles": self.circles.tolist(), "plane": self.plane.tolist(), "components": items}

    @classmethod
    def from_json(cls, record: Mapping[str, Any], n_angles: int, n_numbers: int) -> Self:
        """Read :meth:`to_json`; ``ValueError`` or ``KeyError`` for anything else."""
        circles = np.asarray(record["circles"], dtype=np.int64)
        plane = np.asarray(record["plane"], dtype=np.float64).reshape(-1, n_numbers)
        if np.any((circles < 0) | (circles >= n_angles)):
            raise ValueError("the latent mixture has other angles")
        items = tuple(_from_json(item, len(circles), len(plane)) for item in record["components"])
        if not items:
            raise ValueError("the latent mixture has no components")
        return cls(items, circles, plane)


def log_terms(components: Sequence[Component], angles: FloatArray, numbers: FloatArray) -> FloatArray:
    """ln π_k + ln of each product over p (n, K), at touched ``angles`` (n, c) and projected ``numbers`` (n, r)."""
    columns = [math.log(item.share) + item.log_ratio(angles, numbers) for item in components]
    return np.stack(columns, axis=1)


_ARRAYS = ("angle", "concentration", "mean", "direction", "variance")


def _from_json(record: Mapping[str, Any], n_circles: int, n_directions: int) -> Component:
    angle, concentration, mean, direction, variance = (np.asarray(record[name], dtype=np.float64) for name in _ARRAYS)
    direction = direction.reshape(len(variance), n_directions)
    shapes = (angle.shape, concentration.shape, mean.shape, variance.shape)
    if shapes != ((n_circles,), (n_circles,), (n_directions,), (len(direction),)):
        raise ValueError("a component of the latent mixture has another shape")
    if not record["share"] > 0.0 or np.any(variance <= 0.0) or np.any(concentration < 0.0):
        raise ValueError("a component of the latent mixture is none")
    return Component(float(record["share"]), angle, concentration, mean, direction, variance)
