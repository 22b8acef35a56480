"""Routes side by side: intervals that hold, and disagreement that is seen."""

import numpy as np
import pytest

from molgen.shooting.direct import BlockTimes, DirectPassages
from molgen.shooting.rate import REPEATS
from molgen.shooting.routes import FluxBlocks, Route, compare, compare_ratio, direct_route, flux_route


def route(name: str, logarithm: float, noise: np.ndarray, *, bound: bool = False) -> Route:
    repeats = np.exp(logarithm + np.stack([noise, noise]))
    return Route(name, np.exp([logarithm, logarithm]), repeats, {}, bound)


def noise(sigma: float, seed: int) -> np.ndarray:
    return sigma * np.random.default_rng(seed).standard_normal(REPEATS)


def test_a_spread_beyond_two_sigma_of_the_joint_covariance_is_flagged() -> None:
    first, apart, near = route("1", 0.0, noise(0.1, 1)), route("2", 0.4, noise(0.1, 2)), route("3", 0.2, noise(0.1, 3))
    found = {(item.first, item.second): item for item in compare([first, apart, near]) if item.quantity == "k_ab"}
    assert [found[pair].agree for pair in (("1", "2"), ("1", "3"), ("2", "3"))] == [False, True, True]
    assert found["1", "2"].sigma == pytest.approx(0.1 * np.sqrt(2.0), rel=0.1)
    # What two routes share does not move them apart.
    common = noise(0.1, 4)
    joint = compare([route("1", 0.0, common), route("2", 0.1, common + noise(0.02, 5))])[0]
    assert joint.sigma == pytest.approx(0.02, rel=0.1)
    assert not joint.agree


def test_a_bound_disagrees_only_with_what_lies_above_it() -> None:
    def judged(shift: float) -> bool:
        return compare([route("rate", 0.0, noise(0.1, 1)), route("bound", shift, noise(0.1, 2), bound=True)])[0].agree

    assert judged(1.0)
    assert judged(-0.1)
    assert not judged(-0.5)


def test_intervals_of_mean_times_hold_the_truth() -> None:
    """50 passages each way, 100 seeds: 95 intervals expected; 85 or fewer one time in 7,000 (at 95 %)."""
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        steps = np.concatenate([rng.exponential(1000.0, 50), rng.exponential(300.0, 50)]).round().astype(np.int64)
        passages = DirectPassages(np.tile(np.arange(10), 10), np.repeat([0, 1], 50), steps)
        times = BlockTimes.of(passages, np.tile(np.arange(50), 2), 0.5)
        found = direct_route(times, rng).estimates()["k_ab"]
        assert found is not None
        held += found.low < 1.0 / 500.0 < found.high
    assert held > 85


def test_the_flux_route_is_flux_times_share() -> None:
    rng = np.random.default_rng(1)
    parts = FluxBlocks.of(np.full(50, 4.0), np.full(50, 1.0), np.full(50, 10.0), np.arange(50) // 2)
    found = flux_route((parts, None), rng)
    assert found.best[0] == pytest.approx(0.1)
    assert np.isnan(found.best[1])
    assert found.estimates()["k_ba"] is None
    assert (found.facts["flux_ab"], found.facts["reaching_ab"]) == (0.4, 0.25)


def test_the_ratio_is_checked_by_passages_both_ways() -> None:
    passages = Route("p", np.array([2.0, 1.0]), np.exp([noise(0.1, 1), noise(0.1, 2)]) * [[2.0], [1.0]], {})
    q = 2.0 / 3.0 + 0.02 * np.random.default_rng(3).standard_normal(REPEATS)
    right = compare_ratio(passages, 2.0 / 3.0, q)
    wrong = compare_ratio(passages, 0.4, q - 2.0 / 3.0 + 0.4)
    assert right is not None
    assert wrong is not None
    assert (right.agree, wrong.agree) == (True, False)
    assert compare_ratio(Route("p", np.array([2.0, np.nan]), passages.repeats, {}), 0.5, q) is None
