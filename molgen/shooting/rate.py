r"""Rates between two states from pairs of shots of Boltzmann-weighted points.

A pair (v, −v) whose legs end in different states is a transition path through its point, of either direction. Of
the time that a long trajectory spends, each transition path of duration τ has the share τ, so that

    ν = ½ ⟨1_TP/τ⟩_π,    k_AB = ν/⟨1 − q⟩_π,    k_BA = ν/⟨q⟩_π,

with ν the number of transitions from A to B in a unit of time, π the Boltzmann distribution, q the committor (0 in A,
1 in B); the ½ because A → B and B → A are both counted. It holds for any dynamics that time reversal leaves as it is
(G. Hummer, J. Chem. Phys. 120 (2004) 516, doi:10.1063/1.1630572), and needs no model of q.

States are looked at every δ. A path of n such intervals has n − 1 looks between the states, at any of which the point
may be, so that τ = (n − 1) δ makes the sum exact: the two legs together less δ.

Where points x₀ are chosen with the density π p, a path comes up as often as the sum of p over its looks says. With that
sum ν = ½ ⟨1_TP/(δ Σ p(x_t))⟩_πp counts each path evenly, whichever of its looks the point was; 1_TP/(p(x₀) τ) has the
same mean and scatters far more, since a path that lingers where p is small is seldom met and then counts much.
"""

import math
from dataclasses import dataclass

import numpy as np

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.errors import InputError
from molgen.observables.boundary import A, B
from molgen.shooting.points import BlockShares
from molgen.shooting.shots import Shots

REPEATS = 2000
"""Bootstrap samples of every route, so that routes can be compared sample by sample."""
MAX_UNDECIDED = 0.01
"""Share of pairs that may be undecided (or crashed) and left out."""


@dataclass(frozen=True, eq=False)
class Passings:
    """What each point (P,) has: ``passing`` the mean of 1_TP/τ over its pairs, ``reaching`` the share of its shots that
    reached B. ``paths`` is the number of transition paths, ``path_time`` their mean τ."""

    passing: FloatArray
    reaching: FloatArray
    known: BoolArray
    paths: int
    path_time: float


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Rates:
    """ν, k_AB and k_BA in transitions a unit of time, and ⟨q⟩, the share of time that was last in B."""

    nu: Estimate
    k_ab: Estimate
    k_ba: Estimate
    mean_q: Estimate


def passings(shots: Shots, points: int, timestep: float, check_every: int, along: FloatArray | None = None) -> Passings:
    """The transition paths among ``shots`` of ``points`` points.

    ``along`` (pairs,), in the order of the pairs' numbers, is Σ p(x_t)/p(x₀) over the looks of each pair's path, p the
    ``selection`` of points; unless given, p counts as the same at all looks. ``InputError`` if more than one pair in a
    hundred is not decided.
    """
    order = np.lexsort((-shots.sign, shots.pair))
    outcome, steps = shots.outcome[order].reshape(-1, 2), shots.steps[order].reshape(-1, 2).sum(axis=1)
    where = shots.configuration[order].reshape(-1, 2)[:, 0]
    decided = np.asarray(np.isin(outcome, (A, B)).all(axis=1))
    lost = int(np.sum(~decided))
    if lost > MAX_UNDECIDED * len(decided):
        raise InputError(
            f"{lost} of {len(decided)} pairs of shots have not reached a state on both sides.",
            "Run the shooting again with a longer --limit, which takes them on.",
        )
    outcome, steps, where = outcome[decided], steps[decided], where[decided]
    path = outcome[:, 0] != outcome[:, 1]
    time = (steps - check_every) * timestep
    counted = time if along is None else along[decided] * (check_every * timestep)
    pairs = np.bincount(where, minlength=points)
    rate = np.bincount(where, np.where(path, 1.0 / counted, 0.0), minlength=points)
    reached = np.bincount(where, (outcome == B).mean(axis=1), minlength=points)
    known = pairs > 0
    least = np.maximum(pairs, 1)
    mean_time = float(time[path].mean()) if path.any() else math.nan
    return Passings(rate / least, reached / least, known, int(path.sum()), mean_time)


def along_region(shots: Shots, selection: FloatArray, inside: float, outside: float, check_every: int) -> FloatArray:
    """Σ p(x_t)/p(x₀) (pairs,) over the looks of each pair's path, as :func:`passings` takes it.

    p is ``inside`` in the region whose looks ``shots`` counted, ``outside`` elsewhere; ``selection`` (P,) of the points
    is one of the two.
    """
    assert shots.looks is not None
    order = np.lexsort((-shots.sign, shots.pair))
    start = selection[shots.configuration[order].reshape(-1, 2)[:, 0]]
    # The point itself is a look of its path; neither leg counts it.
    looks = shots.steps[order].reshape(-1, 2).sum(axis=1) / check_every - 1.0
    there = shots.looks[order].reshape(-1, 2).sum(axis=1) + np.isclose(start, inside)
    return np.asarray((outside * (looks - there) + inside * there) / start)


@dataclass(frozen=True, eq=False)
class ShotRates:
    """ν, k_AB, k_BA, ⟨q⟩ and, where asked for, an upper bound of ν: ``best`` (5,) and bootstrap ``repeats`` (5, R)."""

    best: FloatArray
    repeats: FloatArray

    def summary(self) -> Rates:
        """The values with intervals: quantiles of the logarithm's normal approximation."""
        return Rates(*(estimate(value, others) for value, others in zip(self.best[:4], self.repeats[:4], strict=True)))


def estimate(value: float, repeats: FloatArray) -> Estimate:
    """``value`` with the interval that its bootstrap ``repeats`` (R,) give by the logarithm's normal approximation."""
    usable = repeats[np.isfinite(repeats) & (repeats > 0.0)]
    spread = math.exp(1.96 * float(np.log(usable).std())) if len(usable) else math.inf
    return Estimate(float(value), float(value / spread), float(value * spread))


def rates(found: Passings, selection: FloatArray, shares: BlockShares, generator: np.random.Generator) -> Rates:
    """The rates, with intervals; see :func:`shot_rates`."""
    return shot_rates(found, selection, shares, generator).summary()


def shot_rates(
    found: Passings,
    selection: FloatArray,
    shares: BlockShares,
    generator: np.random.Generator,
    dirichlet: FloatArray | None = None,
) -> ShotRates:
    """The rates and a bootstrap over blocks of the source: points and populations together.

    ``selection`` (P,) is that of :class:`molgen.shooting.points.ShootingPoints`; ``dirichlet`` (P,) what each point
    adds to the upper bound (:mod:`molgen.committor.bound`), which has the same weights and so is drawn with them.
    ``InputError`` without a transition path, or with a state that no frame of the source is in.
    """
    for name, share in (("A", shares.a), ("B", shares.b)):
        if not share.sum() > 0.0:
            raise InputError(
                f"No frame that the points were taken from lies in {name}, so that its population is not known.",
                "Shoot from frames at equilibrium that visit both states.",
            )
    if not found.paths:
        raise InputError("No pair of shots is a transition path.", "Shoot from more points.")
    weight = np.where(found.known, 1.0 / selection, 0.0)
    bound = np.full(len(weight), math.nan) if dirichlet is None else dirichlet
    times = np.ones((1, len(shares.a)))
    best = _values(times, found, weight, shares, bound)[:, 0]
    drawn = generator.multinomial(len(shares.a), np.full(len(shares.a), 1.0 / len(shares.a)), size=REPEATS)
    return ShotRates(best, _values(drawn.astype(np.float64), found, weight, shares, bound))


def _values(
    times: FloatArray, found: Passings, weight: FloatArray, shares: BlockShares, bound: FloatArray
) -> FloatArray:
    """ν, k_AB, k_BA, ⟨q⟩ and the bound of ν (5, R) with each block counted ``times`` (R, L)."""
    blocks = times.shape[1]

    def total(values: FloatArray) -> FloatArray:
        return np.asarray(times @ np.bincount(shares.point, weight * values, minlength=blocks))

    with np.errstate(invalid="ignore", divide="ignore"):
        everything = times @ (shares.a + shares.b + shares.outside)
        outside = times @ shares.outside / everything
        points = total(np.ones_like(weight))
        nu = 0.5 * outside * total(found.passing) / points
        q = times @ shares.b / everything + outside * total(found.reaching) / points
        return np.stack([nu, nu / (1.0 - q), nu / q, q, outside * total(bound) / points])


def check_points(blocks: IntArray) -> None:
    """``InputError`` unless points come from two blocks or more."""
    if len(np.unique(blocks)) < 2:
        raise InputError("All points come from one stretch of dynamics.", "Shoot from more frames, further apart.")
