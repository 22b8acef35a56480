"""The upper bound of the rate against the exact chain of looks."""

from typing import Any

import numpy as np

from molgen.committor.bound import NOISES, dirichlet_terms
from molgen.dynamics.passage_factory import open_passages
from molgen.observables.boundary import Boundary
from tests.wells import CORE, Looks, double_well

CHAIN = Looks(1e-2, 2, 2.5)
BOUNDARY = Boundary(double_well("overdamped", 10.0, 2, 2.5), "left", "right")


class Known:
    """A model that knows q on a grid."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def probability(self, positions: np.ndarray) -> np.ndarray:
        return np.interp(positions[:, 0, 0], CHAIN.x, self.values)


def bound(values: np.ndarray) -> tuple[float, float]:
    """The bound of ν with its standard error, from 4,000 points of the chain's own distribution."""
    outside = np.abs(CHAIN.x) <= CORE
    density = CHAIN.density[outside]
    x = np.random.default_rng(1).choice(CHAIN.x[outside], 4000, p=density / density.sum())
    model: Any = Known(values)
    terms = dirichlet_terms(model, open_passages(BOUNDARY.system, BOUNDARY, platform="numpy"), x.reshape(-1, 1, 1), 2)
    return float(density.sum() * terms.mean()), float(density.sum() * terms.std() / np.sqrt(len(terms)))


def test_the_exact_committor_gives_the_rate_itself_and_others_more() -> None:
    """To four standard errors (one in 15,000), which are below 3 %. A step and a straight line lie far above."""
    assert NOISES > 1
    truth = CHAIN.rates()[0]
    value, error = bound(CHAIN.forward)
    assert error < 0.03 * truth
    assert abs(value - truth) < 4 * error
    step, _ = bound(np.where(CHAIN.x > 0.0, 1.0, 0.0))
    line, _ = bound(np.clip(0.5 + CHAIN.x / (2 * CORE), 0.0, 1.0))
    # Wrong only near the edges, where it jumps: a gradient would not see it.
    jumps, _ = bound(np.where(np.abs(CHAIN.x) < CORE, 0.5, CHAIN.forward))
    assert min(step, line, jumps) > 1.1 * truth
