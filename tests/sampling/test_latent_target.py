"""The path of densities: log-ratios are log weights of the model, slopes are derivatives."""

import math

import numpy as np
import torch

from molgen.bias.parsing import parse_bias
from molgen.energies.factory import open_energy
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.sampling import latent_target
from molgen.sampling.latent_target import LatentMap, LatentTarget
from molgen.systems.loading import load_system
from tests.annealed import AffineMap, NumpyEnergy, at, double_well, gaussian
from tests.molecules import frames_of


def _molecule() -> LatentTarget:
    system = load_system("alanine-dipeptide")
    flow = SplineFlow(system, SplineFlowSettings(hidden=8, torsion_hidden=8), torch.Generator().manual_seed(1))
    flow.fit(frames_of("alanine-dipeptide", 200))
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    bias = parse_bias("harmonic(phi, center=60deg, k=50 kJ/mol/rad^2)", system)
    return LatentTarget(flow.requires_grad_(False).double(), open_energy(system, platform="Reference"), bias)


def test_a_draw_has_the_log_weight_of_the_model_whatever_its_labels() -> None:
    target = _molecule()
    flow, bias = target.model, target.bias
    assert isinstance(flow, SplineFlow)
    assert isinstance(flow, LatentMap)
    assert bias is not None
    points = target.draw(60, torch.Generator().manual_seed(3))
    assert len(torch.unique(points.order, dim=0)) > 5
    alive = torch.isfinite(points.log_ratio)
    assert alive.sum() > 20
    u = torch.as_tensor(target.energy.reduced(points.positions.numpy(), purpose="sampling"))
    expected = -u - bias.reduced(points.positions) - flow.log_prob(points.positions)
    torch.testing.assert_close(points.log_ratio[alive], expected[alive], rtol=1e-9, atol=1e-5)
    assert (flow.in_domain(points.positions)[alive]).all()
    torch.testing.assert_close(points.energy[alive], u[alive])
    assert target.energy.counter.sampling == 120


def test_gradients_are_those_of_the_log_density_between_and_at_the_ends() -> None:
    target = _molecule()
    points = target.draw(6, torch.Generator().manual_seed(4))
    calm = torch.cat([points.z[:, :5], 0.1 * points.z[:, 5:]], 1)
    start = target.evaluate(calm, points.order)
    for t in (0.0, 0.4, 1.0):
        gradient = target.gradient(start, t)
        for column in (0, 2, 7, 40):
            shifted = []
            for sign in (1.0, -1.0):
                z = calm.clone()
                z[:, column] += sign * 1e-5
                shifted.append(target.evaluate(z, points.order).log_density(t))
            slope = (shifted[0] - shifted[1]) / 2e-5
            torch.testing.assert_close(gradient[:, column], slope, rtol=1e-3, atol=1e-2)


def test_the_ends_of_the_path_are_the_model_and_the_target() -> None:
    target = LatentTarget(AffineMap(2, 0.5, 1.5), NumpyEnergy(2, gaussian(-1.0, 0.5)))
    x = torch.tensor([[0.3, -0.8], [2.0, 1.0]], dtype=torch.float64)
    points = at(target, x)
    normal = torch.distributions.Normal(0.5, 1.5)
    jacobian = 2 * math.log(1.5)
    torch.testing.assert_close(points.log_density(0.0) - jacobian, normal.log_prob(x).sum(1))
    torch.testing.assert_close(points.log_density(1.0) - jacobian, -points.energy)


def test_density_is_nought_outside_the_domain_and_where_the_energy_is_not_finite() -> None:
    def potential(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        value, slope = double_well(1.0, 0.0)(x)
        return np.where(x[:, 0] > 1.0, np.inf, value), np.where(x > 1.0, 0.0, slope)

    target = LatentTarget(AffineMap(1, inside=lambda x: x[:, 0] > -1.0), NumpyEnergy(1, potential))
    points = at(target, torch.tensor([[-2.0], [0.5], [2.0]]))
    assert torch.isfinite(points.log_ratio).tolist() == [False, True, False]
    assert torch.isneginf(points.log_density(1e-9)[[0, 2]]).all()
    assert torch.isfinite(points.log_density(0.0)).all()
    assert torch.isfinite(target.gradient(points, 0.5)).all()


def test_pieces_do_not_change_what_is_found() -> None:
    target = LatentTarget(AffineMap(1), NumpyEnergy(1, double_well(1.0, 0.2)))
    whole = target.draw(7, torch.Generator().manual_seed(1))
    latent_target.ROWS, before = 3, latent_target.ROWS
    try:
        parts = target.draw(7, torch.Generator().manual_seed(1))
    finally:
        latent_target.ROWS = before
    assert torch.equal(whole.log_ratio, parts.log_ratio)
    assert torch.equal(whole.z, parts.z)
