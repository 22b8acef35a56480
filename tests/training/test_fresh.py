from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from molgen.errors import PartialError
from molgen.training.fresh import FreshDraws
from molgen.training.settings import RefineSettings


def test_weights_are_those_of_the_flow_that_drew_them(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(n=500)
    fresh = FreshDraws(bench.flow, bench.energy, RefineSettings(draws=300, pieces=1, keep=2, clip=0.9))
    before = bench.energy.counter.training
    fresh.draw(seed=8)
    assert bench.energy.counter.training == before + 300
    (pool,) = fresh._rounds
    positions, _, _ = bench.flow.place(pool.t, pool.r)
    log_weight = -bench.energy.reduced(positions.numpy(), purpose="data") - bench.flow.log_prob(positions).numpy()
    limit = np.quantile(log_weight, 0.9)
    clipped = np.minimum(log_weight, limit)
    expected = clipped - np.log(np.exp(clipped).mean())
    np.testing.assert_allclose(pool.log_weight.numpy(), expected, atol=2e-3)
    assert pool.log_weight.exp().mean().item() == pytest.approx(1.0)
    assert (pool.log_weight == pool.log_weight.max()).sum() == 30


def test_the_oldest_round_is_dropped_and_seeds_alone_decide(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(n=100)
    settings = RefineSettings(draws=50, keep=2)
    fresh, other = FreshDraws(bench.flow, bench.energy, settings), FreshDraws(bench.flow, bench.energy, settings)
    for seed in (1, 2, 3):
        fresh.draw(seed)
    for seed in (2, 3):
        other.draw(seed)
    assert fresh.state().keys() == other.state().keys()
    assert all(torch.equal(value, other.state()[name]) for name, value in fresh.state().items())
    taken_up = FreshDraws(bench.flow, bench.energy, settings)
    taken_up.load(fresh.state())
    batches = [f.batch(20, torch.Generator().manual_seed(1)) for f in (fresh, taken_up)]
    assert all(torch.equal(a, b) for a, b in zip(vars(batches[0]).values(), vars(batches[1]).values(), strict=True))


def test_draws_without_energy_are_left_out_and_none_at_all_is_said(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(n=100)

    class Holes:
        counter = bench.energy.counter
        below = 0.0

        def reduced_and_gradient(self, positions: np.ndarray, *, purpose: Any) -> tuple[np.ndarray, np.ndarray]:
            u, gradient = bench.energy.reduced_and_gradient(positions, purpose=purpose)
            return np.where(positions[:, 0, 0] < self.below, np.inf, u), gradient

    energy: Any = Holes()
    fresh = FreshDraws(bench.flow, energy, RefineSettings(draws=60, pieces=1))
    fresh.draw(seed=1)
    positions, _, _ = bench.flow.place(fresh._rounds[0].t, fresh._rounds[0].r)
    assert 0 < len(positions) < 60
    assert bool((positions > 0).all())
    energy.below = np.inf
    fresh.draw(seed=2)  # an empty round among others is passed over
    assert len(fresh._rounds) == 1
    with pytest.raises(PartialError, match="finite energy"):
        FreshDraws(bench.flow, energy, RefineSettings(draws=60, pieces=1)).draw(seed=2)


def test_a_poor_model_is_asked_for_more_draws_and_a_good_one_is_not(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(n=100)
    for effective, pieces in ((1e-6, 1), (2.0, 3), (1e6, 4)):
        fresh = FreshDraws(bench.flow, bench.energy, RefineSettings(draws=100, pieces=4, effective=effective))
        before = bench.energy.counter.training
        fresh.draw(seed=5)
        assert bench.energy.counter.training - before >= 100 * min(pieces, 3)
        assert bench.energy.counter.training - before <= 100 * (4 if pieces > 1 else 1)
        assert fresh._rounds[0].log_weight.exp().mean().item() == pytest.approx(1.0)
