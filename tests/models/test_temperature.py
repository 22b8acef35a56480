"""A model of several temperatures: what its network is told, what it draws, what it refuses."""

from typing import Any

import pytest
import torch

from molgen.errors import InputError
from molgen.models.base import DrawOptions
from molgen.models.flow_matching import FlowMatching, FlowMatchingSettings
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.models.temperature import TemperatureRange
from molgen.networks.equivariant import EquivariantSettings
from molgen.systems.loading import load_system
from tests.continuous import pair_frames

NETWORK = EquivariantSettings(layers=2, scalars=8, vectors=4, radial=8, hidden=8, soften=0.5)


def flow(temperatures: tuple[float, float] | None) -> FlowMatching:
    settings = FlowMatchingSettings(network=NETWORK, steps=3, temperatures=temperatures)
    generator = torch.Generator().manual_seed(2)
    model = FlowMatching(load_system("dw4"), settings, generator)
    model.fit(torch.as_tensor(pair_frames(100)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.requires_grad_(False)


def draw(model: Any, temperature_k: float | None = None) -> Any:
    chosen = model.with_options(DrawOptions(temperature_k=temperature_k))
    return chosen.sample(20, torch.Generator().manual_seed(3))


def test_the_condition_is_the_logarithm_on_a_scale_of_its_own() -> None:
    span = TemperatureRange(100.0, 400.0)
    condition = span.condition(torch.tensor([100.0, 200.0, 400.0]))
    assert condition.shape == (3, 1)
    assert torch.allclose(condition[:, 0], torch.tensor([-1.0, 0.0, 1.0]), atol=1e-6)
    assert 100.0 in span
    assert 99.0 not in span
    for low, high in ((0.0, 300.0), (300.0, 300.0), (310.0, 300.0)):
        with pytest.raises(ValueError, match="no range"):
            TemperatureRange(low, high)


def test_each_temperature_has_a_density_of_its_own() -> None:
    model = flow((100.0, 200.0))
    own, same, hot = draw(model), draw(model, model.temperature_k), draw(model, 180.0)
    assert torch.equal(own.positions, same.positions)
    assert (own.positions - hot.positions).abs().max() > 1e-3
    warm = model.with_options(DrawOptions(temperature_k=180.0))
    assert (warm.log_prob(hot.positions) - hot.log_q).abs().max() < 5e-4
    assert (model.log_prob(hot.positions) - hot.log_q).abs().max() > 1e-2
    assert model.temperature_k != 180.0  # the one it was taken from is as it was


def test_a_loss_looks_at_the_temperature_of_each_frame() -> None:
    model = flow((100.0, 200.0))
    x = model.standardise(torch.as_tensor(pair_frames(30))).float()
    losses = [
        model.loss(x, torch.Generator().manual_seed(1), torch.full((30,), t, dtype=torch.float64))
        for t in (100.0, 200.0)
    ]
    assert (losses[0] - losses[1]).abs().min() > 0.0


def test_temperatures_it_does_not_know_are_refused() -> None:
    with pytest.raises(InputError, match="250 K lies outside") as caught:
        draw(flow((100.0, 200.0)), 250.0)
    assert "from 100 to 200 K" in caught.value.hint
    with pytest.raises(InputError, match="alone and cannot draw at 150 K"):
        draw(flow(None), 150.0)
    spline = SplineFlow(load_system("double-well"), SplineFlowSettings())
    with pytest.raises(InputError, match="alone and cannot draw at 150 K"):
        draw(spline, 150.0)
    assert spline.with_options(DrawOptions(temperature_k=spline.temperature_k)) is spline
