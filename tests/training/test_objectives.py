"""The path gradient: equal to that of the divergence in expectation, and zero on every sample at the optimum."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.systems.loading import load_system
from molgen.training import objectives
from molgen.training.labelled import DrawnFrames, LabelledFrames, label_frames
from molgen.training.objectives import PulledRows, frozen, negative_log_likelihood, relative_weights, total_loss

PATH = {"forward": 1.0}


def gradients(flow: SplineFlow, loss: torch.Tensor) -> torch.Tensor:
    found = torch.autograd.grad(loss, list(flow.parameters()), allow_unused=True)
    return torch.cat(
        [torch.zeros(p.numel()) if g is None else g.flatten() for g, p in zip(found, flow.parameters(), strict=True)]
    )


def own_target(flow: SplineFlow, n: int, seed: int) -> LabelledFrames:
    """Draws of the flow, labelled as if exp(-U) were its own density."""
    z_t, z_r = flow.draw_latent(n, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        t, r, _ = flow.push(z_t, z_r)
    with frozen(flow):
        t, r = t.requires_grad_(), r.requires_grad_()
        _, latent, log_derivative = flow.pull(t, r)
        potential = -(flow.log_latent(latent) + log_derivative)
        found = torch.autograd.grad(potential.sum(), [t, r], allow_unused=True)
    slope_t, slope_r = (torch.zeros_like(x) if s is None else s for x, s in zip((t, r), found, strict=True))
    potential = potential.detach().double()
    return LabelledFrames(t.detach(), r.detach(), slope_t, slope_r, potential, torch.zeros_like(potential))


@pytest.mark.parametrize("name", ["double-well", "muller-brown"])
def test_in_expectation_it_is_the_gradient_of_the_divergence(
    make_bench: Callable[..., Any], perturbed: Callable[..., None], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Expectations are sums over a grid: no random error, and beyond its ends p is below 1e-9."""
    monkeypatch.setattr(objectives, "MAX_SLOPE", 1e9)
    bench = make_bench(name)
    flow = bench.flow.double()
    perturbed(flow, 1, 0.1)
    ranges = {"double-well": [(-2.6, 2.6)], "muller-brown": [(-2.2, 1.7), (-1.1, 2.8)]}[name]
    axes = [np.linspace(low, high, 4001 if len(ranges) == 1 else 151) for low, high in ranges]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 1, len(axes))
    batch = label_frames(flow, grid, bench.energy)
    batch = batch.weighted(-batch.potential)
    path = gradients(flow, total_loss(flow, batch, PATH))
    weight = relative_weights(batch.log_weight)
    _, z, log_derivative = flow.pull(batch.t, batch.r)
    plain = gradients(flow, -(weight * (flow.log_latent(z) + log_derivative)).mean())
    assert plain.norm() > 0.05
    assert (path - plain).norm() < 5e-3 * plain.norm()


@pytest.mark.parametrize("name", ["double-well", "muller-brown", "alanine-dipeptide"])
def test_it_vanishes_on_every_sample_when_model_and_target_agree(perturbed: Callable[..., None], name: str) -> None:
    shape = SplineFlowSettings(hidden=8, bins=4, torsion_hidden=8, torsion_bins=6)
    flow = SplineFlow(load_system(name), shape, torch.Generator().manual_seed(1)).double()
    perturbed(flow, 2, 0.05)
    target = own_target(flow, 4, seed=3)
    for k in range(4):
        sample = target.rows(torch.tensor([k]))
        assert gradients(flow, total_loss(flow, sample, PATH)).abs().max() < 1e-8
        # The likelihood's gradient has mean zero there but does not vanish on a sample.
        assert gradients(flow, total_loss(flow, sample, PATH | {"likelihood": 1.0})).abs().max() > 1e-3
    perturbed(flow, 4, 0.05)
    assert gradients(flow, total_loss(flow, target, PATH)).abs().max() > 1e-4


def test_weights_have_mean_one_and_scale_out() -> None:
    log_weight = torch.tensor([0.0, 1.0, -1.0, -torch.inf])
    weight = relative_weights(log_weight)
    assert weight.mean() == pytest.approx(1.0)
    assert weight[3] == 0
    torch.testing.assert_close(weight, relative_weights(log_weight + 100.0))


def test_a_weight_of_two_counts_a_row_twice(make_bench: Callable[..., Any], perturbed: Callable[..., None]) -> None:
    bench = make_bench(n=20)
    perturbed(bench.flow, 5, 0.1)
    twice = bench.labelled.rows(torch.tensor([0, 0, 1]))
    weighted = bench.labelled.rows(torch.tensor([0, 1])).weighted(torch.tensor([2.0, 1.0]).log())
    a, b = (total_loss(bench.flow, batch, PATH | {"likelihood": 0.3}) for batch in (twice, weighted))
    torch.testing.assert_close(a, b)


def test_frozen_gives_the_gradients_back(make_bench: Callable[..., Any]) -> None:
    flow = make_bench(n=20).flow
    with pytest.raises(KeyError), frozen(flow):
        assert not any(p.requires_grad for p in flow.parameters())
        raise KeyError
    assert all(p.requires_grad for p in flow.parameters())


def test_likelihood_of_the_start_is_that_of_a_normal_distribution(make_bench: Callable[..., Any]) -> None:
    """An untrained flow is the identity on whitened coordinates, up to its float32 splines."""
    bench = make_bench("muller-brown", n=50)
    r = bench.labelled.r
    found = negative_log_likelihood(bench.flow, bench.labelled.t, r)
    torch.testing.assert_close(found, 0.5 * r.square().sum(1) + np.log(2 * np.pi), atol=1e-3, rtol=1e-4)


def test_a_row_has_one_path_gradient_for_both_divergences(perturbed: Callable[..., None]) -> None:
    """The reverse one as it is defined: the sample moves at fixed latent numbers, log q as seen by a frozen flow."""
    shape = SplineFlowSettings(hidden=8, bins=4, torsion_hidden=8, torsion_bins=6)
    flow = SplineFlow(load_system("alanine-dipeptide"), shape, torch.Generator().manual_seed(1)).double()
    perturbed(flow, 2, 0.05)
    target = own_target(flow, 3, seed=3)
    perturbed(flow, 4, 0.02)
    _, _, log_q = pulled(flow, target)
    z_t, z_r, _ = flow.pull(target.t, target.r)
    t, r, _ = flow.push(z_t.detach(), z_r.detach())
    with frozen(flow):
        _, z, log_derivative = flow.pull(t, r)
        moved = (t * target.slope_t).sum(1) + (r * target.slope_r).sum(1) + flow.log_latent(z) + log_derivative
    expected = gradients(flow, moved.mean())
    found = gradients(flow, total_loss(flow, DrawnFrames(**vars(target), log_q=log_q.double()), {"reverse": 1.0}))
    assert expected.norm() > 0.1
    assert (found - expected).norm() < 1e-6 * expected.norm()


def pulled(flow: SplineFlow, batch: LabelledFrames) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rows = PulledRows.of(flow, batch)
    return rows.z_t.detach(), rows.z_r.detach(), rows.log_q.detach()


def test_the_reverse_one_is_the_gradient_of_its_divergence(
    make_bench: Callable[..., Any], perturbed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Expectations are sums over a grid that holds all of q; the rows' own density is a constant on it."""
    monkeypatch.setattr(objectives, "MAX_SLOPE", 1e9)
    monkeypatch.setattr(objectives, "RATIO_CLIP", 1.0)
    bench = make_bench()
    flow = bench.flow.double()
    perturbed(flow, 1, 0.1)
    grid = np.linspace(-6.0, 6.0, 8001)[:, None, None]
    batch = label_frames(flow, grid, bench.energy)
    flat = DrawnFrames(**vars(batch), log_q=torch.zeros(len(batch), dtype=torch.float64))
    path = gradients(flow, total_loss(flow, flat, {"reverse": 1.0}))
    log_q = PulledRows.of(flow, batch).log_q
    density = log_q.exp()
    plain = gradients(flow, (density * (log_q + batch.potential)).sum() / density.detach().sum())
    assert plain.norm() > 0.05
    assert (path - plain).norm() < 5e-3 * plain.norm()


def test_the_reverse_one_asks_for_draws(make_bench: Callable[..., Any]) -> None:
    bench = make_bench(n=20)
    with pytest.raises(TypeError, match="draws of the flow"):
        total_loss(bench.flow, bench.labelled, {"reverse": 1.0})


def test_log_variance_is_half_the_gradient_of_the_variance_and_vanishes_at_the_target(
    make_bench: Callable[..., Any], perturbed: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objectives, "WINSORISED", 0.0)
    bench = make_bench("muller-brown", n=200)
    flow = bench.flow.double()
    perturbed(flow, 1, 0.1)
    batch = label_frames(flow, bench.positions, bench.energy)
    expected = gradients(flow, 0.5 * (PulledRows.of(flow, batch).log_q + batch.potential).var(correction=0))
    found = gradients(flow, total_loss(flow, batch, {"log_variance": 1.0}))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.norm()))
    target = own_target(flow, 20, seed=3)
    assert gradients(flow, total_loss(flow, target, {"log_variance": 1.0})).abs().max() < 1e-8


def test_rows_far_out_move_the_log_variance_no_further_than_the_next(make_bench: Callable[..., Any]) -> None:
    bench = make_bench("muller-brown", n=300)
    batch = bench.labelled
    worst = int((PulledRows.of(bench.flow, batch).log_q.detach() + batch.potential).argmax())
    found = []
    for energy in (1e3, 1e12, float("inf")):
        batch.potential[worst] = energy
        found.append(gradients(bench.flow, total_loss(bench.flow, batch, {"log_variance": 1.0})))
    assert found[0].norm() > 1e-2
    assert all(torch.equal(found[0], other) for other in found[1:])


def test_objectives_add_up(make_bench: Callable[..., Any], perturbed: Callable[..., None]) -> None:
    bench = make_bench(n=40)
    perturbed(bench.flow, 5, 0.1)
    batch = DrawnFrames(**vars(bench.labelled), log_q=PulledRows.of(bench.flow, bench.labelled).log_q.detach().double())
    weights = {"forward": 1.0, "likelihood": 0.3, "reverse": 0.5, "log_variance": 2.0}
    whole = gradients(bench.flow, total_loss(bench.flow, batch, weights))
    parts = sum(w * gradients(bench.flow, total_loss(bench.flow, batch, {name: 1.0})) for name, w in weights.items())
    torch.testing.assert_close(whole, parts, rtol=1e-3, atol=1e-4)
