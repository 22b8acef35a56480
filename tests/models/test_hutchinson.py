"""Noisy log-densities: right on average, with errors that say how far off they are, exact where there is no noise."""

import pytest
import torch

from molgen.errors import UsageError
from molgen.models.base import DrawOptions
from molgen.models.hutchinson import noisy_change
from molgen.models.runge_kutta import TABLEAUX
from molgen.models.table import model_class
from molgen.systems.loading import load_system

GRID = [k / 20 for k in range(21)]


def linear(matrix: torch.Tensor) -> object:
    return lambda x, t: x @ matrix.T


def test_a_field_without_mixed_derivatives_has_no_noise() -> None:
    """dx/dt = diag(a) x: ln |dx/dz| is the sum of a, whatever the signs."""
    rates = torch.tensor([0.3, -0.7, 0.2], dtype=torch.float64)
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    generator = torch.Generator().manual_seed(2)
    x, change, error = noisy_change(linear(torch.diag(rates)), z, GRID, TABLEAUX["rk4"], 2, generator)  # type: ignore[arg-type]
    assert (x - z * rates.exp()).abs().max() < 1e-6
    assert (change - rates.sum()).abs().max() < 1e-12
    assert error.max() < 1e-12


def test_estimates_scatter_about_the_trace_as_their_errors_say() -> None:
    """20,000 rows, 8 signs each: the mean is within 4 of its standard errors (false-alarm rate 6e-5)."""
    matrix = torch.tensor([[0.2, 0.9, 0.0], [0.4, -0.5, 0.3], [0.0, 0.8, 0.1]], dtype=torch.float64)
    z = torch.zeros(20_000, 3, dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)
    _, change, error = noisy_change(linear(matrix), z, [0.0, 1.0], TABLEAUX["rk4"], 8, generator)  # type: ignore[arg-type]
    scatter = change.std()
    assert abs(float(change.mean() - matrix.trace())) < 4.0 * float(scatter) / 20_000**0.5
    assert float(error.square().mean().sqrt()) == pytest.approx(float(scatter), rel=0.05)


@pytest.mark.parametrize("name", ["flow-matching", "diffusion"])
def test_a_models_noisy_density_is_near_its_exact_one(name: str) -> None:
    kind = model_class(name)
    network = {"layers": 1, "scalars": 8, "vectors": 4, "radial": 8, "hidden": 8}
    settings = kind.settings_class.parse({"network": network, "steps": 4}, source="test")
    flow = kind(load_system("dw4"), settings, torch.Generator().manual_seed(1))
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    flow = flow.double()
    noisy = flow.with_options(DrawOptions(density="hutchinson", probes=8))
    draws = noisy.sample(12, torch.Generator().manual_seed(4))
    assert draws.log_q_error is not None
    exact = flow.sample(12, torch.Generator().manual_seed(4))
    assert (draws.positions - exact.positions).abs().max() < 1e-9
    z = (draws.log_q - exact.log_q) / draws.log_q_error
    assert 0.0 < draws.log_q_error.max() < 2.0
    # Of 12 estimates with 7 degrees of freedom each, one in 100,000 is 12 errors off by chance.
    assert z.abs().max() < 12.0
    assert torch.isfinite(draws.log_q).all()


def test_one_probe_is_refused() -> None:
    flow = model_class("flow-matching")(load_system("dw4"), model_class("flow-matching").settings_class())
    with pytest.raises(UsageError, match="One probe"):
        flow.with_options(DrawOptions(density="hutchinson", probes=1))
    assert flow.with_options(DrawOptions()) is flow
