"""A guided flow is a model of its own: its density is that of its draws, and weights to any target agree."""

import copy
import math

import pytest
import torch

from molgen.bias.parsing import parse_bias
from molgen.errors import InputError
from molgen.models.continuous import ContinuousFlow
from molgen.models.flow_matching import FlowMatching, FlowMatchingSettings
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.networks.equivariant import EquivariantSettings
from molgen.sampling.guidance import GuidanceSettings
from molgen.sampling.guided_flow import GuidedFlow, GuidedMixture, bias_record, guided_flow
from molgen.sampling.methods import METHODS, model_of_record
from molgen.systems.loading import load_system

SYSTEM = load_system("dw4")
SETTINGS = GuidanceSettings(refine=1)
LINE = "harmonic(rg, center=2.6 nm, k=3 kT/nm^2)"


@pytest.fixture(scope="module")
def flow() -> ContinuousFlow:
    """A small network moved away from the identity, in double precision."""
    network = EquivariantSettings(layers=1, scalars=8, vectors=4, radial=8, hidden=8)
    generator = torch.Generator().manual_seed(1)
    model = FlowMatching(SYSTEM, FlowMatchingSettings(network=network, steps=3), generator)
    model.fit(torch.as_tensor(SYSTEM.positions) + torch.randn(200, 4, 2, generator=generator, dtype=torch.float64))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.double().requires_grad_(False)


@pytest.fixture(scope="module")
def guided(flow: ContinuousFlow) -> GuidedFlow:
    return guided_flow(flow, parse_bias(LINE, SYSTEM), SETTINGS)


def rg(positions: torch.Tensor) -> torch.Tensor:
    return parse_bias(LINE, SYSTEM).terms[0].cv(positions)


def test_the_bias_pushes(flow: ContinuousFlow, guided: GuidedFlow) -> None:
    free, pushed = (model.sample(250, torch.Generator().manual_seed(2)).positions for model in (flow, guided))
    before, after = rg(free), rg(pushed)
    assert (after - 2.6).square().mean() < 0.9 * (before - 2.6).square().mean()
    assert pushed.mean(1).abs().max() < 1e-9


def test_its_density_is_that_of_its_draws(guided: GuidedFlow) -> None:
    draws = guided.sample(40, torch.Generator().manual_seed(3))
    assert torch.isfinite(draws.log_q).all()
    assert draws.in_domain.all()
    torch.testing.assert_close(guided.log_prob(draws.positions), draws.log_q, atol=1e-6, rtol=0)


def test_log_q_is_the_brute_force_jacobian_of_the_map(guided: GuidedFlow) -> None:
    frames = guided.sample(1, torch.Generator().manual_seed(4)).positions
    z, step = guided.to_latent(frames), 1e-5
    for row in range(1):
        steps = step * torch.eye(z.shape[1], dtype=z.dtype)
        ahead, behind = (guided.chart.to_subspace(guided.from_latent(z[row] + sign * steps)) for sign in (1, -1))
        volume = torch.linalg.slogdet((ahead - behind) / (2 * step)).logabsdet
        expected = guided.latent_log_prob(z[row : row + 1])[0] - volume
        assert abs(float(guided.log_prob(frames[row : row + 1])[0] - expected)) < 1e-5


def test_weights_agree_with_those_of_the_flow_alone(flow: ContinuousFlow, guided: GuidedFlow) -> None:
    """∫ p = 1 and ⟨rg⟩_p from guided draws weighted to the unguided density p: each within 4 standard errors."""
    # A shift keeps the weights even; a narrow window could not be weighted to what lies outside it.
    shifted = guided_flow(flow, parse_bias("linear(rg, slope=1.2 kT/nm)", SYSTEM), SETTINGS)
    draws = shifted.sample(800, torch.Generator().manual_seed(5))
    weight = torch.exp(flow.log_prob(draws.positions) - draws.log_q)
    error = float(weight.std()) / math.sqrt(len(weight))
    assert 0.005 < error < 0.1
    assert abs(float(weight.mean()) - 1.0) < 4 * error
    values = rg(draws.positions)
    mean = float((weight * values).sum() / weight.sum())
    spread = float((weight * (values - mean)).square().sum().sqrt() / weight.sum())
    alone = rg(flow.sample(800, torch.Generator().manual_seed(6)).positions)
    joint = math.hypot(spread, float(alone.std()) / math.sqrt(len(alone)))
    assert abs(mean - float(alone.mean())) < 4 * joint
    assert abs(float(values.mean() - alone.mean())) > 6 * joint  # forgotten weights would be seen


def test_it_is_read_back_from_its_record(flow: ContinuousFlow, guided: GuidedFlow) -> None:
    record = bias_record(guided.bias, guided.guidance)
    assert "guided" in METHODS
    again = model_of_record(flow, record, SYSTEM, "ensemble")
    assert isinstance(again, GuidedMixture)
    frames = torch.as_tensor(SYSTEM.positions)[None]
    assert torch.equal(again.guided.log_prob(frames), guided.log_prob(frames))
    with pytest.raises(InputError, match="not known here"):
        model_of_record(flow, record | {"method": "annealed"}, SYSTEM, "ensemble")


def test_a_mixture_with_the_plain_flow_bounds_the_weights(flow: ContinuousFlow, guided: GuidedFlow) -> None:
    """Weights to the plain density p are at most 1/share, ∫ p = 1 within 4 errors, and both kinds are drawn."""
    settings = SETTINGS.model_copy(update={"base_share": 0.4})
    narrow = guided_flow(flow, parse_bias("harmonic(rg, center=2.6 nm, k=40 kT/nm^2)", SYSTEM), settings)
    mixture = GuidedMixture(narrow)
    draws = mixture.sample(150, torch.Generator().manual_seed(7))
    assert torch.isfinite(draws.log_q).all()
    torch.testing.assert_close(mixture.log_prob(draws.positions[:40]), draws.log_q[:40], atol=1e-6, rtol=0)
    weight = torch.exp(flow.log_prob(draws.positions) - draws.log_q)
    assert weight.max() <= 1.0 / 0.4 + 1e-6
    assert abs(float(weight.mean()) - 1.0) < 4 * float(weight.std()) / math.sqrt(150)
    assert len(mixture.sample(0, torch.Generator().manual_seed(1)).log_q) == 0


def test_where_one_flow_cannot_be_inverted_the_other_stands_alone(flow: ContinuousFlow) -> None:
    """∫ p = 1 within 4 errors though the plain flow is taken to have no inverse beyond the median of rg."""
    settings = SETTINGS.model_copy(update={"base_share": 0.5})
    exact, lame = copy.deepcopy(flow), copy.deepcopy(flow)
    middle = float(rg(flow.sample(200, torch.Generator().manual_seed(8)).positions).median())

    def backwards(x: torch.Tensor) -> torch.Tensor:
        lost = rg(x * lame.scale) > middle
        return exact.backwards(x).masked_fill(lost[:, None, None], torch.nan)

    lame.backwards = backwards  # type: ignore[method-assign]
    mixture = GuidedMixture(guided_flow(lame, parse_bias("linear(rg, slope=-1 kT/nm)", SYSTEM), settings))
    draws = mixture.sample(300, torch.Generator().manual_seed(9))
    rejected, far = torch.isposinf(draws.log_q), rg(draws.positions) > middle
    # Of the plain flow's half about half is lost; its other flow's draws are kept on both sides.
    assert 50 < int(rejected.sum()) < 100
    assert not bool((rejected & ~far).any())
    assert bool((far & ~rejected).any())
    assert not bool(draws.in_domain[rejected].any())
    kept = ~rejected
    torch.testing.assert_close(mixture.log_prob(draws.positions[kept]), draws.log_q[kept], atol=1e-6, rtol=0)
    weight = torch.where(rejected, 0.0, torch.exp(exact.log_prob(draws.positions) - draws.log_q))
    assert float(weight.std()) / math.sqrt(300) < 0.1
    assert abs(float(weight.mean()) - 1.0) < 4 * float(weight.std()) / math.sqrt(300)


def test_a_copy_in_double_precision_leaves_the_model_alone(flow: ContinuousFlow) -> None:
    single = copy.deepcopy(flow).float()
    guided = guided_flow(single, parse_bias(LINE, SYSTEM), GuidanceSettings())
    precise = copy.deepcopy(guided).double()
    assert (guided.dtype, precise.dtype) == (torch.float32, torch.float64)
    frames = guided.sample(5, torch.Generator().manual_seed(1)).positions
    torch.testing.assert_close(guided.log_prob(frames), precise.log_prob(frames), atol=1e-3, rtol=0)


def test_a_spline_flow_cannot_be_guided() -> None:
    system = load_system("double-well")
    model = SplineFlow(system, SplineFlowSettings(hidden=8, spline=1))
    (name,) = (section.name for section in system.definition.cv)
    with pytest.raises(InputError, match="no velocity field") as caught:
        guided_flow(model, parse_bias(f"linear({name}, slope=1 kT)", system), GuidanceSettings())
    assert "--model flow-matching" in caught.value.hint
