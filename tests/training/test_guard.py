from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from molgen.weights import kish_ess


def test_a_model_that_covers_both_states_passes(make_bench: Callable[..., Any]) -> None:
    """Fixed seeds. Over 60 others, with 2,000 frames, the evidences scattered by at most 0.05 kT (draws) and 0.18 kT
    (frames), hence by 0.06 kT with 20,000: false-alarm rate below 1e-4.
    """
    bench = make_bench(n=20_000)
    report = bench.guard.check(bench.flow, draws=4096, seed=1)
    assert report.passed
    assert report.reasons == ()
    assert [state.name for state in report.states] == ["left", "right"]
    assert all(state.disagreement_kt < 0.4 for state in report.states)
    axis = np.linspace(-2.5, 2.5, 5001)
    boltzmann = np.exp(-bench.energy.reduced(axis[:, None, None], purpose="data"))
    for state, side in zip(report.states, (axis < 0, axis >= 0), strict=True):
        exact = np.log(boltzmann[side].sum() * (axis[1] - axis[0]))
        assert state.log_evidence == pytest.approx(exact, abs=0.25)
        assert state.log_evidence_frames == pytest.approx(exact, abs=0.3)


def test_a_model_that_lost_a_state_fails(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(n=2000, keep=lambda x: x[:, 0, 0] < 0)
    report = bench.guard.check(bench.flow, draws=4096, seed=1)
    assert not report.passed
    left, right = report.states
    assert left.passed
    assert not right.passed
    assert "right" in report.reasons[0]
    assert report.ess > 0.5  # the draws alone do not notice


def test_the_effective_sample_size_is_that_of_the_draws(make_bench: Callable[..., Any]) -> None:
    import torch

    bench = make_bench(n=200)
    report = bench.guard.check(bench.flow, draws=500, seed=9)
    draws = bench.flow.sample(500, torch.Generator().manual_seed(9))
    u = bench.energy.reduced(draws.positions.double().numpy(), purpose="data")
    assert report.ess == pytest.approx(kish_ess(-u - draws.log_q.numpy()))


def test_draws_with_neither_energy_nor_density_count_as_weight_zero(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(n=200)
    original, model = bench.flow.sample, bench.flow

    def holed(n: int, generator: Any) -> Any:
        draws = original(n, generator)
        draws.positions[: n // 2] = float("nan")
        draws.log_q[: n // 2] = -float("inf")
        return draws

    whole = bench.guard.check(model, draws=400, seed=2)
    model.sample = holed
    half = bench.guard.check(model, draws=400, seed=2)
    assert 0.0 < half.ess < 0.75 * whole.ess


def test_a_rare_state_that_nobody_declared_stops_nothing_and_a_lost_one_does(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(n=2000)
    rare = replace(bench.guard, negligible=0.4).check(bench.flow, draws=4096, seed=1)
    assert [state.negligible for state in rare.states] == [False, True]  # right holds 28 %
    assert not any(state.negligible for state in bench.guard.check(bench.flow, draws=4096, seed=1).states)
    lost = make_bench(n=2000, keep=lambda x: x[:, 0, 0] < 0)
    report = replace(lost.guard, negligible=0.4).check(lost.flow, draws=4096, seed=1)
    assert not report.passed  # without a draw in it, nothing is known of its share
    assert not any(state.negligible for state in report.states)
