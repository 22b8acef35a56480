"""Explore: hot dynamics finds the states, short runs at the target temperature follow from each.

The frames cover the states; how many fall into each is no estimate of a population.
"""

from dataclasses import dataclass

import numpy as np

from molgen.arrays import FloatArray
from molgen.coordinates.domain import Domain
from molgen.dynamics.propagator import Piece, Propagator
from molgen.errors import PartialError
from molgen.seeds import child_seed

_ATTEMPTS_PER_SEED, _SPARE_ATTEMPTS = 3, 10


@dataclass(frozen=True)
class HotSeeds:
    """Starting points (n, N, D) from hot dynamics, the attempts refused for their stereochemistry, steps spent."""

    positions: FloatArray
    rejected: int
    evaluations: int


def hot_chain(
    propagator: Propagator, start: FloatArray, domain: Domain, *, warm_up: Piece, interval: Piece, n: int, seed: int
) -> HotSeeds:
    """``n`` frames one ``interval`` apart of a hot trajectory from ``start`` (N, D) after ``warm_up``.

    A frame whose stereochemistry has changed is counted and thrown away, and the trajectory tries again from the
    one before it: otherwise all that follow would be wrong as well. ``PartialError`` if this happens too often.
    """
    kept: list[FloatArray] = []
    attempts = rejected = evaluations = 0
    current = start
    while len(kept) < n + 1:
        if attempts > _ATTEMPTS_PER_SEED * n + _SPARE_ATTEMPTS:
            raise PartialError(
                f"Hot dynamics lost the stereochemistry in {rejected} of {attempts} intervals.",
                "Lower the hot temperature (--set hot_temperature_k=500).",
            )
        piece = interval if kept else warm_up
        frame = propagator.run(current[None], piece, child_seed(seed, "hot", attempts))[0, -1]
        attempts += 1
        evaluations += piece.evaluations
        if domain.contains(frame[None])[0]:
            kept.append(frame)
            current = frame
        else:
            rejected += 1
    return HotSeeds(np.stack(kept[1:]), rejected, evaluations)
