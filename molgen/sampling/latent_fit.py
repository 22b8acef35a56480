"""Fitting a :class:`LatentMixture` to weighted draws: expectation maximisation that keeps noise out.

Cross-entropy: among mixtures g the one that minimises KL(π‖g) for the target π maximises E_π[ln g], which weighted
draws estimate (P.-T. de Boer et al., Ann. Oper. Res. 134, 19 (2005), doi:10.1007/s10479-005-5724-z; with mixtures
O. Cappé et al., Stat. Comput. 18, 447 (2008), doi:10.1007/s11222-008-9059-x). A factor leaves the flow's own latent
only where the draws show that it does, beyond what draws of the latent itself would show once in about a thousand fits:
with 60 latent numbers, noise in each would cost more than the bias gains.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import i0e, i1e

from molgen.arrays import FloatArray, IntArray
from molgen.sampling.latent_mixture import Component, LatentMixture, log_terms
from molgen.weights import effective_count, normalised

CIRCLE_THRESHOLD = 12.0
"""n R̄² of a uniform angle is exponential with mean 1: above this once in 160,000."""
MEAN_THRESHOLD = 20.0
"""n m̄² of a standard normal number is χ²(1): above this once in 130,000."""
EDGE_MARGIN = 1.2
"""Factor beyond the edges of what noise gives by which a direction has to stand out."""
ENOUGH_FOR_VARIANCES = 10.0
"""Effective draws for each number below which their variances are left alone: one heavy draw would make one."""
FEW_NUMBERS = 4
"""Up to so many latent numbers are all looked at."""
SLICES = 16
MIN_EFFECTIVE = 20.0
"""Components of fewer effective draws are dropped."""
MIN_BELONGING = 1e-6
MAX_CONCENTRATION = 1e10
MIN_VARIANCE = 1e-6
ITERATIONS = 30
TOLERANCE = 1e-3
COUNTS = (1, 4, 12, 32)
"""Numbers of components that are tried; draws held out decide."""


@dataclass(frozen=True)
class WeightedLatent:
    """Draws: ``angles`` (n, m), ``numbers`` (n, k), ``log_weight`` (n,) to the target, and ``features`` (n, f).

    The features are what tells draws apart: the variables of the bias, scaled.
    """

    angles: FloatArray
    numbers: FloatArray
    log_weight: FloatArray
    features: FloatArray

    def take(self, rows: IntArray) -> "WeightedLatent":
        """Some of the draws."""
        return WeightedLatent(self.angles[rows], self.numbers[rows], self.log_weight[rows], self.features[rows])


def fit_mixture(draws: WeightedLatent, base_share: float, generator: np.random.Generator) -> LatentMixture:
    """The mixture of as many components as describe draws held out best, beside ``base_share`` of p itself."""
    circles, plane = touched(draws, generator)
    draws = replace(draws, angles=draws.angles[:, circles], numbers=draws.numbers @ plane.T)
    order = generator.permutation(len(draws.log_weight))
    half = len(order) // 2
    learn, test = draws.take(order[:half]), draws.take(order[half:])
    weight = normalised(test.log_weight)
    best, kept = -math.inf, 1
    for count in COUNTS:
        if count > 1 and effective_count(learn.log_weight) < MIN_EFFECTIVE * count:
            break
        components = expectation_maximisation(learn, count, generator)
        ratio = np.logaddexp.reduce(log_terms(components, test.angles, test.numbers), axis=1)
        score = float(weight @ np.logaddexp(math.log(base_share), math.log1p(-base_share) + ratio))
        if score > best:
            best, kept = score, count
    return LatentMixture(expectation_maximisation(draws, kept, generator), circles, plane)


def touched(draws: WeightedLatent, generator: np.random.Generator) -> tuple[IntArray, FloatArray]:
    """Angles (c,) and orthonormal directions of numbers (r, k) on which the weighted draws are not those of p.

    The draws are sliced by their features; an angle is kept if it is not uniform in one of the slices, a direction if
    the means of the slices vary along it more than noise would (sliced inverse regression: K.-C. Li, J. Am. Stat.
    Assoc. 86, 316 (1991)), or if the variance of all along it is too large or too small. Under p the means times √n are
    standard normal, so that the singular values of S slices of k numbers stay below √S + √k; variances stay between
    (1 ± √(k/n))² (V. Marchenko and L. Pastur, Math. USSR Sb. 1, 457 (1967)).
    """
    weight = normalised(draws.log_weight)
    size = draws.numbers.shape[1]
    group = weighted_groups(draws.features, weight, SLICES, generator)
    kept = np.zeros(draws.angles.shape[1], dtype=np.bool_)
    rows = []
    for index in range(SLICES):
        part = np.where(group == index, weight, 0.0)
        total = float(part.sum())
        if total <= 0.0 or total**2 / float(part @ part) < MIN_EFFECTIVE:
            continue
        part = part / total
        effective = 1.0 / float(part @ part)
        kept |= effective * np.abs(part @ np.exp(1j * draws.angles)) ** 2 > CIRCLE_THRESHOLD
        rows.append(math.sqrt(effective) * (part @ draws.numbers))
    circles = np.flatnonzero(kept).astype(np.int64)
    if size <= FEW_NUMBERS:
        return circles, np.eye(size)
    plane = np.zeros((0, size))
    if rows:
        _, singular, vectors = np.linalg.svd(np.stack(rows), full_matrices=False)
        plane = vectors[singular > EDGE_MARGIN * (math.sqrt(len(rows)) + math.sqrt(size))]
    stretched, _ = unlike_noise(draws.numbers - weight @ draws.numbers, weight)
    # A direction found both ways comes out twice, a little apart: what is mostly in the plane already is left out.
    left = stretched - (stretched @ plane.T) @ plane
    basis, singular, _ = np.linalg.svd(left.T, full_matrices=False)
    return circles, np.ascontiguousarray(np.concatenate([plane, basis[:, singular > 0.5].T]))


def unlike_noise(numbers: FloatArray, part: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Directions (l, k) and variances (l,) of centred ``numbers`` (n, k), weights ``part`` (n,), that no noise has."""
    size = numbers.shape[1]
    effective = 1.0 / float(part @ part)
    if size == 0 or effective < ENOUGH_FOR_VARIANCES * size:
        return np.zeros((0, size)), np.zeros(0)
    ratio, noise = math.sqrt(size / effective), 4.0 * math.sqrt(2.0 / effective)
    values, vectors = np.linalg.eigh((numbers * part[:, None]).T @ numbers)
    upper = max((1.0 + ratio) ** 2 * EDGE_MARGIN, 1.0 + noise)
    lower = min((1.0 - ratio) ** 2 / EDGE_MARGIN, 1.0 - noise)
    kept = np.flatnonzero((values > upper) | (values < lower))
    return np.ascontiguousarray(vectors[:, kept].T), np.maximum(values[kept], MIN_VARIANCE)


def expectation_maximisation(
    draws: WeightedLatent, count: int, generator: np.random.Generator
) -> tuple[Component, ...]:
    """At most ``count`` components, starting from groups of draws with like features."""
    weight = normalised(draws.log_weight)
    rows = np.flatnonzero(weight > 0.0)
    draws, weight = draws.take(rows), weight[rows]
    group = weighted_groups(draws.features, weight, count, generator)
    components = _maximised(draws, weight, np.equal.outer(group, np.arange(count)).astype(np.float64))
    previous = -math.inf
    for _ in range(ITERATIONS):
        terms = log_terms(components, draws.angles, draws.numbers)
        total = np.logaddexp.reduce(terms, axis=1)
        score = float(weight @ total)
        if score < previous + TOLERANCE:
            break
        previous = score
        components = _maximised(draws, weight, np.exp(terms - total[:, None]))
    return components


def _maximised(draws: WeightedLatent, weight: FloatArray, belonging: FloatArray) -> tuple[Component, ...]:
    """The maximisation step: each column of ``belonging`` (n, K) gives a component, unless too few draws are in it."""
    items = []
    for column in belonging.T:
        # Components are local: most draws belong to others, and are not looked at.
        rows = np.flatnonzero(column > MIN_BELONGING)
        part = weight[rows] * column[rows]
        total = float(part.sum())
        if total > 0.0 and total**2 / float(part @ part) >= MIN_EFFECTIVE:
            items.append(_component(draws.take(rows), part / total, total))
    items = items or [_component(draws, weight, 1.0)]
    whole = sum(item.share for item in items)
    return tuple(replace(item, share=item.share / whole) for item in items)


def _component(draws: WeightedLatent, part: FloatArray, share: float) -> Component:
    """The product that fits draws with weights ``part`` (n,), which add up to 1."""
    effective = 1.0 / float(part @ part)
    vector = part @ np.exp(1j * draws.angles)
    angle = np.angle(vector)
    spread = part @ (2.0 * np.sin(0.5 * (draws.angles - angle)) ** 2)
    turned = effective * np.abs(vector) ** 2 > CIRCLE_THRESHOLD
    concentration = np.where(turned, [concentration_of(value) for value in spread], 0.0)
    mean = part @ draws.numbers
    mean = np.where(effective * mean**2 > MEAN_THRESHOLD, mean, 0.0)
    direction, variance = unlike_noise(draws.numbers - mean, part)
    return Component(share, angle, concentration, mean, direction, variance)


def concentration_of(spread: float) -> float:
    """κ of the von Mises distribution whose 1 − I₁(κ)/I₀(κ) is ``spread``, by bisection in ln κ."""
    low, high = math.log(1e-6), math.log(MAX_CONCENTRATION)
    for _ in range(60):
        middle = 0.5 * (low + high)
        kappa = math.exp(middle)
        # 1 − I₁/I₀ ≈ 1/(2κ) where the difference would drown in rounding.
        value = 0.5 / kappa if kappa > 1e5 else 1.0 - i1e(kappa) / i0e(kappa)
        low, high = (middle, high) if value > spread else (low, middle)
    return math.exp(0.5 * (low + high))


def weighted_groups(
    features: FloatArray, weight: FloatArray, count: int, generator: np.random.Generator, rounds: int = 20
) -> IntArray:
    """Group (n,) of each draw by weighted k-means, seeded far apart (k-means++)."""
    centres = features[[generator.choice(len(weight), p=weight)]]
    for _ in range(count - 1):
        nearest = np.min(_squares(features, centres), axis=1) * weight
        total = float(nearest.sum())
        if total <= 0.0:
            break
        centres = np.concatenate([centres, features[[generator.choice(len(weight), p=nearest / total)]]])
    group = np.zeros(len(weight), dtype=np.int64)
    for _ in range(rounds):
        group = np.argmin(_squares(features, centres), axis=1).astype(np.int64)
        masses = np.bincount(group, weights=weight, minlength=len(centres))
        sums = np.stack([np.bincount(group, weights=weight * f, minlength=len(centres)) for f in features.T], axis=1)
        moved = np.where(masses[:, None] > 0.0, sums / np.maximum(masses, 1e-300)[:, None], centres)
        if np.allclose(moved, centres):
            break
        centres = moved
    return group


def _squares(features: FloatArray, centres: FloatArray) -> FloatArray:
    """Squared distances (n, K), rounding aside."""
    products = features @ centres.T
    squares = np.sum(features**2, axis=1)[:, None] - 2.0 * products + np.sum(centres**2, axis=1)
    return np.asarray(np.maximum(squares, 0.0), dtype=np.float64)
