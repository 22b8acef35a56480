import math

import numpy as np
import pytest
import torch

from molgen.errors import InputError
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.systems.loading import load_system
from molgen.trajectories.reading import read_frames
from tests.molecules import alanine, frames_of


@pytest.fixture(scope="module")
def flow() -> SplineFlow:
    """Small, fitted on frames with free torsions; its parameters are those of the start."""
    settings = SplineFlowSettings(hidden=16, torsion_hidden=8, torsion_bins=6)
    made = SplineFlow(alanine(), settings, torch.Generator().manual_seed(1))
    made.whitening.fit(made.chart.encode(made.chart.canonical(frames_of("alanine-dipeptide", 300))))
    return made.requires_grad_(False)


def test_a_new_flow_is_the_identity_on_standard_coordinates(flow: SplineFlow) -> None:
    t, r = (part.float() for part in flow.standardise(frames_of("alanine-dipeptide", 20)))
    z_t, z_r, log_derivative = flow.pull(t, r)
    assert (z_t - t).abs().max() < 1e-5
    assert (z_r - r).abs().max() < 1e-5
    assert log_derivative.abs().max() < 1e-4


def test_place_undoes_standardise_with_the_volume_of_chart_and_whitening(flow: SplineFlow) -> None:
    frames = flow.chart.canonical(frames_of("alanine-dipeptide", 20))
    t, r = flow.standardise(frames)
    placed, log_volume, inside = flow.place(t, r)
    assert inside.all()
    again = flow.standardise(placed)
    assert (again[0] - t).cos().min() > 1 - 1e-12
    assert (again[1] - r).abs().max() < 1e-6
    _, chart_volume = flow.chart.decode(flow.chart.encode(frames))
    assert (log_volume - (chart_volume - flow.whitening.log_volume)).abs().max() < 1e-8


def test_latent_draws_follow_the_latent_density(flow: SplineFlow) -> None:
    """Means of 20,000 draws within five standard errors; one seed in about 20,000 fails."""
    z_t, z_r = flow.draw_latent(20_000, torch.Generator().manual_seed(2))
    assert z_t.min() >= -math.pi
    assert z_t.max() <= math.pi
    assert z_t.cos().mean(0).abs().max() < 5 * math.sqrt(0.5 / 20_000)
    assert z_r.mean(0).abs().max() < 5 / math.sqrt(20_000)
    assert (z_r.square().mean(0) - 1).abs().max() < 5 * math.sqrt(2 / 20_000)
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(z_r).sum(1) - 5 * math.log(2 * math.pi)
    assert (flow.log_latent(z_r) - expected).abs().max() < 1e-3


def test_coordinates_without_range_have_no_weight_and_are_kept(flow: SplineFlow) -> None:
    """Latent numbers far out make a bond negative: the draw is outside, its log q is -inf, nothing is dropped."""
    bond = flow.whitening.linear.tolist().index(0)
    wide = SplineFlow(alanine(), flow.settings, torch.Generator().manual_seed(1)).requires_grad_(False)
    wide.load_state_dict(flow.state_dict())
    wide.whitening.scale[bond] = 1.0
    drawn = wide.sample(200, torch.Generator().manual_seed(4))
    assert len(drawn.positions) == 200
    lost = torch.isneginf(drawn.log_q)
    assert 10 < lost.sum() < 190
    assert not drawn.in_domain[lost].any()
    assert not torch.isnan(drawn.log_q).any()


@pytest.mark.parametrize("name", ["double-well", "muller-brown"])
def test_an_analytic_system_has_no_torsion(name: str) -> None:
    flow = SplineFlow(load_system(name), SplineFlowSettings(hidden=8), torch.Generator().manual_seed(1))
    assert flow.whitening.n_circular == 0
    assert flow.measure == "external"
    drawn = flow.sample(5, torch.Generator().manual_seed(1))
    expected = torch.distributions.Normal(0.0, 1.0).log_prob(drawn.positions[:, 0]).sum(1)
    assert (drawn.log_q - expected).abs().max() < 1e-5
    assert np.isfinite(drawn.log_q.numpy()).all()


@pytest.mark.parametrize(
    "settings", [{"affine": 0, "spline": 0}, {"affine": 2, "spline": 0}, {"affine": 0, "spline": 1}, {"bins": 1}]
)
def test_any_number_of_layers_works(settings: dict[str, int]) -> None:
    flow = SplineFlow(load_system("muller-brown"), SplineFlowSettings(hidden=8, **settings))
    drawn = flow.sample(5, torch.Generator().manual_seed(1))
    assert (flow.log_prob(drawn.positions) - drawn.log_q).abs().max() < 1e-5


@pytest.mark.parametrize("name", ["bins", "torsion_bins"])
@pytest.mark.parametrize("value", [0, 501])
def test_bins_without_room_are_refused(name: str, value: int) -> None:
    with pytest.raises(InputError, match=name):
        SplineFlowSettings.parse({name: value}, source="test")


def test_the_exact_score_is_the_slope_of_log_q() -> None:
    """Against central differences of log q, and without net force and torque, as forces are."""
    system = load_system("alanine-dipeptide")
    reference = read_frames([system.reference_path], system).positions[:400]  # type: ignore[list-item]
    frames = torch.as_tensor(reference.astype(np.float64))
    flow = SplineFlow(system, SplineFlowSettings(hidden=16, spline=1), torch.Generator().manual_seed(1))
    flow.whitening.fit(flow.chart.encode(flow.chart.canonical(frames)))
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    flow = flow.double()
    score = flow.exact_score(frames[:2])
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        direction = torch.randn(frames[:2].shape, generator=generator, dtype=torch.float64)
        step = 1e-6
        ahead, behind = (flow.log_prob(frames[:2] + sign * step * direction) for sign in (1, -1))
        slope = (score * direction).sum((1, 2))
        torch.testing.assert_close(slope, (ahead - behind) / (2 * step), rtol=1e-4, atol=1e-2)
    assert score.sum(1).abs().max() < 1e-6 * score.abs().max()
    torque = torch.linalg.cross(frames[:2], score).sum(1)
    assert torque.abs().max() < 1e-6 * score.abs().max()
