"""Annealed importance sampling with resampling: sequential Monte Carlo along the path of densities π_t.

Particles of the model (t = 0) are weighed from each density of the path to the next, resampled where few of them carry
the weight, and moved under the new density, until t is exactly 1. With incremental weights
w_i = e^{(t − t') ℓ_i} the product over the steps of Σ W_i w_i is an unbiased estimate of
Z = ∫ e^{−u − B} dx, the *evidence* of the population, and Z times its weighted averages are unbiased too (R. Neal,
Stat. Comput. 11, 125 (2001), doi:10.1023/A:1008923215028; P. Del Moral, A. Doucet and A. Jasra, J. R. Stat. Soc. B 68,
411 (2006), doi:10.1111/j.1467-9868.2006.00553.x). So populations are pooled with their evidences for weights.

The temperatures and the steps of the moves are found by a pilot population, of which nothing else is kept, and are
frozen then: weights of a population that adapts to itself have no such law.
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from pydantic import Field, PositiveInt

from molgen import weights
from molgen.arrays import FloatArray, IntArray
from molgen.errors import InputError
from molgen.sampling.latent_target import LatentTarget, Points
from molgen.sampling.moves import move
from molgen.sampling.resampling import systematic_resampling
from molgen.settings import Settings

MIN_POPULATIONS = 10
"""Intervals are made of whole populations; fewer do not show how far they scatter."""
FIRST_STEP = 0.3
"""Length h of the first leapfrog step that the pilot tries, where A makes the density as steep as a normal one."""
TUNING_RATE = 0.7
"""Change of ln(step) of the pilot for an acceptance that is off by 1."""


class AnnealingSettings(Settings):
    """``populations`` share the draws. The pilot has ``pilot`` particles and takes as many temperatures (at most
    ``max_levels``) as keep the conditional effective sample size of every step at ``conditional_ess`` of the particles.

    At each temperature particles are resampled if their effective number is below ``resample_below`` of them, and make
    ``moves`` moves of ``leapfrogs`` steps each; the pilot tunes the steps for ``acceptance`` in ``tuning`` moves.
    """

    populations: int = Field(default=16, ge=MIN_POPULATIONS)
    pilot: int = Field(default=300, ge=50)
    conditional_ess: float = Field(default=0.9, gt=0.0, lt=1.0)
    resample_below: float = Field(default=0.5, ge=0.0, le=1.0)
    moves: PositiveInt = 1
    leapfrogs: PositiveInt = 5
    acceptance: float = Field(default=0.8, gt=0.0, lt=1.0)
    tuning: PositiveInt = 3
    max_levels: PositiveInt = 300


@dataclass(frozen=True)
class Schedule:
    """What the pilot found: temperatures t_1 … t_K = 1, the matrices h·A (K, d, d) of the moves at each, the part of
    the pilot's last moves that was accepted, and what it spent."""

    temperatures: tuple[float, ...]
    steps: FloatArray
    acceptance: tuple[float, ...]
    evaluations: int

    def to_json(self) -> dict[str, Any]:
        """As plain data, without the matrices."""
        return {"temperatures": self.temperatures, "acceptance": self.acceptance, "evaluations": self.evaluations}

    @classmethod
    def from_json(cls, record: dict[str, Any], steps: FloatArray) -> Self:
        """Read :meth:`to_json`; ``steps`` (K, d, d)."""
        return cls(tuple(record["temperatures"]), steps, tuple(record["acceptance"]), int(record["evaluations"]))


@dataclass(frozen=True)
class History:
    """What happened to a population, one value a temperature.

    ``log_z`` is its evidence; ``ess`` the effective part of its particles after each reweighting, before any
    resampling; ``resampled`` where it was; ``acceptance`` of the moves. ``ancestors`` of its particles at the start
    have descendants at the end.
    """

    log_z: float
    ess: tuple[float, ...]
    resampled: tuple[bool, ...]
    acceptance: tuple[float, ...]
    ancestors: int
    evaluations: int

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        """Read the plain data of a history."""
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in record.items()}
        return cls(**values)


@dataclass(frozen=True)
class Population:
    """Particles at t = 1. ``log_weight`` (n,) is ln(Z·n·W_i): its mean weight is the evidence."""

    points: Points
    log_weight: FloatArray
    history: History


def find_schedule(target: LatentTarget, settings: AnnealingSettings, generator: torch.Generator) -> Schedule:
    """Temperatures and steps by a pilot population.

    ``InputError`` if it needs more than ``max_levels`` temperatures, or if no draw of the model has any weight.
    """
    before = target.energy.counter.sampling
    points = target.draw(settings.pilot, generator)
    log_share = np.full(len(points), -math.log(len(points)))
    t, step = 0.0, FIRST_STEP
    temperatures: list[float] = []
    steps: list[FloatArray] = []
    accepted: list[float] = []
    while t < 1.0:
        if len(temperatures) == settings.max_levels:
            raise InputError(
                f"After {settings.max_levels} temperatures the annealing has reached t = {t:.2g}, not 1.",
                "Train the model longer, or allow more with --set annealing.max_levels=...",
            )
        ahead = next_temperature(points.log_ratio.numpy(), log_share, t, settings.conditional_ess)
        log_share = log_share + (ahead - t) * points.log_ratio.numpy()
        t = ahead
        points, log_share, _ = _resampled(points, log_share, settings.resample_below, generator)
        shape = preconditioner(target, points, log_share, t)
        rate = math.nan
        for _ in range(settings.tuning):
            moved = move(target, points, t, step * shape, settings.leapfrogs, generator)
            points = moved.points
            rate = float(np.exp(log_share) @ moved.probability.numpy())
            step *= math.exp(TUNING_RATE * (rate - settings.acceptance))
        temperatures.append(t)
        steps.append((step * shape).numpy())
        accepted.append(rate)
    spent = target.energy.counter.sampling - before
    return Schedule(tuple(temperatures), np.stack(steps), tuple(accepted), spent)


def next_temperature(log_ratio: FloatArray, log_share: FloatArray, t: float, conditional_ess: float) -> float:
    """The largest t' in (t, 1] whose conditional effective sample size is at least the part ``conditional_ess``.

    With normalised weights W of the particles that have any density, and w = e^{(t' − t) ℓ}, it is
    (Σ W w)² / Σ W w² (Y. Zhou, A. M. Johansen and J. Aston, J. Comput. Graph. Stat. 25, 701 (2016),
    doi:10.1080/10618600.2015.1060885). ``InputError`` without such particles.
    """
    alive = np.isfinite(log_ratio) & np.isfinite(log_share)
    if not np.any(alive):
        raise InputError("No draw of the model has a finite energy inside the domain.", "Train the model longer.")
    ratio, share = log_ratio[alive], log_share[alive] - weights.log_sum_exp(log_share[alive])

    def effective(step: float) -> float:
        first = weights.log_sum_exp(share + step * ratio)
        return math.exp(2.0 * first - weights.log_sum_exp(share + 2.0 * step * ratio))

    if effective(1.0 - t) >= conditional_ess:
        return 1.0
    high = 1.0 - t
    while effective(high) < conditional_ess:
        low, high = 0.5 * high, high
        if effective(low) >= conditional_ess:
            break
        high = low
    for _ in range(12):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(middle) >= conditional_ess else (low, middle)
    return t + low


def run_population(
    target: LatentTarget, settings: AnnealingSettings, schedule: Schedule, n: int, generator: torch.Generator
) -> Population:
    """``n`` particles from the model to t = 1 along ``schedule``."""
    before = target.energy.counter.sampling
    points = target.draw(n, generator)
    log_share, log_z, t = np.full(n, -math.log(n)), 0.0, 0.0
    ancestor = np.arange(n)
    ess, resampled, acceptance = [], [], []
    for ahead, steps in zip(schedule.temperatures, schedule.steps, strict=True):
        log_share = log_share + (ahead - t) * points.log_ratio.numpy()
        t = ahead
        gained = weights.log_sum_exp(log_share)
        log_z += gained
        if not math.isfinite(gained):
            break
        log_share = log_share - gained
        ess.append(weights.kish_ess(log_share))
        points, log_share, rows = _resampled(points, log_share, settings.resample_below, generator)
        resampled.append(rows is not None)
        ancestor = ancestor if rows is None else ancestor[rows]
        rates = []
        for _ in range(settings.moves):
            moved = move(target, points, t, torch.as_tensor(steps), settings.leapfrogs, generator)
            points = moved.points
            rates.append(float(np.exp(log_share) @ moved.probability.numpy()))
        acceptance.append(float(np.mean(rates)))
    alive = np.isfinite(log_share)
    history = History(
        log_z=log_z,
        ess=tuple(ess),
        resampled=tuple(resampled),
        acceptance=tuple(acceptance),
        ancestors=len(np.unique(ancestor[alive])),
        evaluations=target.energy.counter.sampling - before,
    )
    return Population(points, log_share + log_z + math.log(n), history)


def _resampled(
    points: Points, log_share: FloatArray, below: float, generator: torch.Generator
) -> tuple[Points, FloatArray, IntArray | None]:
    """Particles with equal shares where their effective number is below a part of them, and the rows they came from."""
    log_share = log_share - weights.log_sum_exp(log_share)
    n = len(points)
    if not weights.kish_ess(log_share) < below:
        return points, log_share, None
    start = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator).item()))
    rows = systematic_resampling(weights.normalised(log_share), n, start)
    return points.take(torch.as_tensor(rows)), np.full(n, -math.log(n), dtype=np.float64), rows


def preconditioner(target: LatentTarget, points: Points, log_share: FloatArray, t: float) -> torch.Tensor:
    """A (d, d) with A Aᵀ the inverse of F = E[G Gᵀ], G = ∇ ln π_t: steps are long where the density is level.

    F is the mean curvature of −ln π_t, estimated with the weights of the particles and shrunk towards the identity,
    the model's own, by as many particles of its kind as there are latent numbers. Gradients beyond three times the
    median length count as that long, since a few particles in a clash would set all of F.
    """
    share = torch.as_tensor(weights.normalised(log_share))
    gradient = target.gradient(points, t)
    n, d = gradient.shape
    length = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
    longest = 3.0 * length[share > 0.0].median()
    gradient = gradient * (longest / torch.maximum(length, longest)).nan_to_num(1.0)
    fisher = (gradient * (n * share)[:, None]).T @ gradient
    fisher = (fisher + d * torch.eye(d, dtype=torch.float64)) / (n + d)
    lower = torch.linalg.cholesky(fisher)
    shape: torch.Tensor = torch.linalg.inv(lower).T.contiguous()
    return shape
