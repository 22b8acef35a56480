"""Several routes to one rate, side by side: what each gives, and whether they agree.

Every route has the same number of bootstrap repeats. Routes that share weights were drawn together, so that the
covariance of their repeats is the joint one; repeats of the others have nothing in common.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.shooting.direct import BlockTimes
from molgen.shooting.rate import REPEATS, Estimate, estimate

WAYS = ("k_ab", "k_ba")
MOST_SIGMAS = 2.0
"""Routes further apart than so many standard deviations of their difference are flagged."""


@dataclass(frozen=True, eq=False)
class Route:
    """One route: ``best`` (2,) are k_AB and k_BA, NaN for a way that it has not, with ``repeats`` (2, R).

    ``bound`` says that it is above the truth; ``facts`` are figures worth showing beside it.
    """

    name: str
    best: FloatArray
    repeats: FloatArray
    facts: dict[str, Any]
    bound: bool = False

    def estimates(self) -> dict[str, Estimate | None]:
        """k_AB and k_BA with their intervals."""
        rows = zip(WAYS, self.best, self.repeats, strict=True)
        return {way: estimate(float(value), other) if np.isfinite(value) else None for way, value, other in rows}


@dataclass(frozen=True)
class Comparison:
    """ln of ``first`` over ``second``, its standard deviation ``sigma``, and whether the two ``agree``."""

    quantity: str
    first: str
    second: str
    log_ratio: float
    sigma: float
    agree: bool


def direct_route(times: BlockTimes, generator: np.random.Generator) -> Route:
    """Rates from the mean times of direct passages, blocks drawn together for both ways."""
    drawn = _draws(len(times.time_ab), generator)
    best, repeats = [], []
    for count, time in ((times.count_ab, times.time_ab), (times.count_ba, times.time_ba)):
        best.append(_ratio(count.sum(), time.sum()))
        repeats.append(_ratio(drawn @ count, drawn @ time))
    facts = {"passages_ab": int(times.count_ab.sum()), "passages_ba": int(times.count_ba.sum())}
    return Route("direct passages", np.array(best, dtype=np.float64), np.stack(repeats), facts)


@dataclass(frozen=True, eq=False)
class FluxBlocks:
    """Sums over independent blocks (L,) of trajectories last in one state: first ``crossings``, how many of them reach
    the other state (the mean over their continuations), the ``time``."""

    crossings: FloatArray
    reached: FloatArray
    time: FloatArray

    @classmethod
    def of(cls, crossings: FloatArray, reached: FloatArray, time: FloatArray, block: IntArray) -> "FluxBlocks":
        """The sums of rows (n,) over the blocks ``block`` (n,), numbered from 0."""
        return cls(*(np.bincount(block, part).astype(np.float64) for part in (crossings, reached, time)))


def flux_route(blocks: tuple[FluxBlocks | None, FluxBlocks | None], generator: np.random.Generator) -> Route:
    """Rates from A and from B (None for a way that was not taken), independent of each other."""
    best, repeats = [], []
    facts: dict[str, Any] = {}
    for way, part in zip(("ab", "ba"), blocks, strict=True):
        if part is None:
            best.append(np.nan)
            repeats.append(np.full(REPEATS, np.nan))
            continue
        drawn = _draws(len(part.time), generator)
        best.append(_ratio(part.reached.sum(), part.time.sum()))
        repeats.append(_ratio(drawn @ part.reached, drawn @ part.time))
        facts[f"crossings_{way}"] = int(part.crossings.sum())
        facts[f"flux_{way}"] = float(part.crossings.sum() / part.time.sum())
        facts[f"reaching_{way}"] = float(_ratio(part.reached.sum(), part.crossings.sum()))
    return Route("interface flux", np.array(best, dtype=np.float64), np.stack(repeats), facts)


def compare(routes: list[Route]) -> list[Comparison]:
    """Every two routes and each way; a bound disagrees with a rate only if that lies above it."""
    found = []
    for index, first in enumerate(routes):
        for second in routes[index + 1 :]:
            for way, name in enumerate(WAYS):
                if np.isfinite(first.best[way]) and np.isfinite(second.best[way]):
                    one, two = (second, first) if first.bound else (first, second)
                    found.append(_compared(name, one, two, way))
    return found


def compare_ratio(passages: Route, q: float, q_repeats: FloatArray) -> Comparison | None:
    """k_AB/k_BA of independent passages against ⟨q⟩/⟨1 − q⟩; None without passages both ways."""
    if not np.isfinite(passages.best).all():
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.log(passages.best[0] / passages.best[1]) - np.log(q / (1.0 - q))
        spread = np.log(passages.repeats[0] / passages.repeats[1]) - np.log(q_repeats / (1.0 - q_repeats))
    return _judged("k_ab/k_ba", passages.name, "last in B over last in A", float(value), spread, above_only=False)


def _compared(quantity: str, first: Route, second: Route, way: int) -> Comparison:
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.log(first.repeats[way] / second.repeats[way])
    value = float(np.log(first.best[way] / second.best[way]))
    return _judged(quantity, first.name, second.name, value, spread, above_only=second.bound)


def _judged(
    quantity: str, first: str, second: str, value: float, spread: FloatArray, *, above_only: bool
) -> Comparison:
    sigma = float(spread[np.isfinite(spread)].std())
    size = value if above_only else abs(value)
    return Comparison(quantity, first, second, value, sigma, bool(size <= MOST_SIGMAS * sigma))


def _draws(blocks: int, generator: np.random.Generator) -> FloatArray:
    return generator.multinomial(blocks, np.full(blocks, 1.0 / blocks), size=REPEATS).astype(np.float64)


def _ratio(above: Any, below: Any) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.asarray(below) > 0.0, above / np.where(np.asarray(below) > 0.0, below, 1.0), np.nan)
