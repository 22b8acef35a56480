"""The path gradient: equal to that of the divergence in expectation, and zero on every sample at the optimum."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.systems.loading import load_system
from molgen.training import objectives
from molgen.training.labelled import LabelledFrames, label_frames
from molgen.training.objectives import forward_path_loss, frozen, negative_log_likelihood, relative_weights


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
    path = gradients(flow, forward_path_loss(flow, batch, 0.0))
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
        assert gradients(flow, forward_path_loss(flow, sample, 0.0)).abs().max() < 1e-8
        # The likelihood's gradient has mean zero there but does not vanish on a sample.
        assert gradients(flow, forward_path_loss(flow, sample, 1.0)).abs().max() > 1e-3
    perturbed(flow, 4, 0.05)
    assert gradients(flow, forward_path_loss(flow, target, 0.0)).abs().max() > 1e-4


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
    a, b = (forward_path_loss(bench.flow, batch, 0.3) for batch in (twice, weighted))
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
