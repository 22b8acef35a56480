"""A Gaussian model under known biases: the evidence, the density and plain expectations come out whatever the bias."""

import math

import numpy as np
import pytest
import torch

from molgen.bias.base import SumBias
from molgen.bias.parsing import parse_bias
from molgen.errors import InputError, PartialError
from molgen.models.base import Draws
from molgen.models.spline_flow import SplineFlow, SplineFlowSettings
from molgen.reweighting.audit import check_jacobian
from molgen.sampling.latent_adaptation import adapt_latent, next_strength
from molgen.sampling.latent_proposal import LatentProposal, LatentSettings, latent_record
from molgen.sampling.methods import model_of_record
from molgen.systems.loading import load_system

SYSTEM = load_system("double-well")
SETTINGS = LatentSettings(pilot=2000)


@pytest.fixture(scope="module")
def flow() -> SplineFlow:
    """An untrained flow in one dimension: a standard normal up to the whitening of these frames."""
    model = SplineFlow(SYSTEM, SplineFlowSettings(hidden=8, spline=1), torch.Generator().manual_seed(1))
    frames = np.random.default_rng(1).normal(size=4000)
    model.fit(torch.as_tensor((frames - frames.mean()) / frames.std()).reshape(-1, 1, 1))
    return model.requires_grad_(False)


def spring(center: float, k: float) -> SumBias:
    return parse_bias(f"harmonic(x, center={center}, k={k} kT)", SYSTEM)


def evidence(center: float, k: float) -> float:
    """ln ∫ N(x; 0, 1) e^{−k (x − c)²/2} dx."""
    return -0.5 * math.log(1.0 + k) - 0.5 * k * center**2 / (1.0 + k)


@pytest.mark.parametrize(("center", "k"), [(0.5, 1.0), (2.0, 10.0), (4.5, 40.0), (-6.0, 200.0)])
def test_weak_and_strong_biases_give_their_exact_evidence(flow: SplineFlow, center: float, k: float) -> None:
    """E_q[e^{−B} q_base/q] = Z within 4.5 errors; at 6 sigma plain draws would never be near."""
    bias = spring(center, k)
    adapted = adapt_latent(flow, bias, SETTINGS, seed=3)
    assert adapted.efficiency > 0.6
    drawn = adapted.proposal.draw(4000, torch.Generator().manual_seed(5))
    weight = np.exp(-bias.reduced(drawn.draws.positions).numpy() - drawn.log_ratio - evidence(center, k))
    assert abs(weight.mean() - 1.0) < 4.5 * weight.std() / math.sqrt(4000)
    # The plain model's own expectations too: the defensive share bounds the weights.
    plain = np.exp(-drawn.log_ratio)
    assert plain.max() <= 1.0 / SETTINGS.base_share + 1e-9
    x = drawn.draws.positions[:, 0, 0].numpy()
    for value, exact in ((plain, 1.0), (plain * x, 0.0), (plain * x**2, 1.0)):
        assert abs(value.mean() - exact) < 4.5 * value.std() / math.sqrt(4000)


def test_density_of_draws_and_of_frames_agree(flow: SplineFlow) -> None:
    proposal = adapt_latent(flow, spring(3.0, 20.0), SETTINGS, seed=1).proposal
    draws = proposal.sample(500, torch.Generator().manual_seed(2))
    torch.testing.assert_close(proposal.log_prob(draws.positions), draws.log_q, atol=1e-8, rtol=0)
    assert draws.in_domain.all()
    check = check_jacobian(proposal, draws.positions[:4].numpy(), draws.log_q[:4].numpy())
    assert check.performed
    assert check.passed
    # ∫ q = 1 on a grid.
    x = torch.linspace(-8.0, 8.0, 20_001, dtype=torch.float64)
    total = torch.trapezoid(proposal.log_prob(x.reshape(-1, 1, 1)).exp(), x)
    assert float(total) == pytest.approx(1.0, abs=1e-6)


def test_it_is_read_back_from_its_record(flow: SplineFlow) -> None:
    bias = spring(2.0, 10.0)
    proposal = adapt_latent(flow, bias, SETTINGS, seed=1).proposal
    record = latent_record(bias.text, proposal, SETTINGS)
    again = model_of_record(flow, record, SYSTEM, "ensemble")
    frames = torch.linspace(-3.0, 3.0, 9, dtype=torch.float64).reshape(-1, 1, 1)
    assert torch.equal(again.log_prob(frames), proposal.log_prob(frames))
    for broken in (
        {"base_share": 0.0},
        {"mixture": {"circles": [3], "plane": [], "components": []}},
        {"mixture": None},
    ):
        with pytest.raises(InputError, match="no readable latent distribution"):
            model_of_record(flow, record | broken, SYSTEM, "ensemble")


def test_the_same_seed_gives_the_same(flow: SplineFlow) -> None:
    first, second, other = (adapt_latent(flow, spring(3.0, 20.0), SETTINGS, seed=seed).proposal for seed in (1, 1, 2))
    assert first.mixture is not None
    assert second.mixture is not None
    assert other.mixture is not None
    assert first.mixture.to_json() == second.mixture.to_json() != other.mixture.to_json()


def test_a_bias_out_of_reach_is_said(flow: SplineFlow) -> None:
    with pytest.raises(PartialError, match="draws nothing near"):
        adapt_latent(flow, spring(30.0, 500.0), SETTINGS.model_copy(update={"stages": 2}), seed=1)


def test_a_torsion_of_a_molecule_with_folded_groups() -> None:
    """Draws go to the window, their density is that of their frames in any labelling, and one number is touched."""
    molecule = load_system("alanine-dipeptide")
    flow = SplineFlow(molecule, SplineFlowSettings(hidden=8, spline=1), torch.Generator().manual_seed(2))
    rng = np.random.default_rng(3)
    noise = rng.normal(scale=0.003, size=(1000, *molecule.positions.shape))
    y = flow.chart.encode(flow.chart.canonical(torch.as_tensor(molecule.positions + noise)))
    y[:, flow.chart.circular] = torch.as_tensor(rng.uniform(-math.pi, math.pi, (1000, len(flow.chart.circular))))
    flow.fit(flow.chart.decode(y)[0])
    bias = parse_bias("harmonic(phi, center=60deg, k=50 kJ/mol/rad^2)", molecule)
    proposal = adapt_latent(flow, bias, LatentSettings(pilot=1500), seed=1).proposal
    assert proposal.mixture is not None
    assert len(proposal.mixture.circles) == 1
    assert len(proposal.mixture.plane) == 0
    draws = proposal.sample(400, torch.Generator().manual_seed(4))
    phi = bias.terms[0].cv(draws.positions)
    # 0.9 of the draws are pushed, within 26 degrees of the centre in two of three cases; the rest lie anywhere.
    assert float(((phi - math.pi / 3).abs() < 0.7).double().mean()) > 0.85
    stored = draws.positions.numpy().astype(np.float32)
    again = proposal.log_prob(torch.as_tensor(stored))
    inside = draws.in_domain
    assert int(inside.sum()) > 100
    torch.testing.assert_close(again[inside], draws.log_q[inside], atol=0.02, rtol=0)
    # One methyl's hydrogens in cyclic order: another labelling of the same frame.
    order = list(range(molecule.n_particles))
    order[10 + 1 : 10 + 4] = [12, 13, 11]
    turned = draws.positions[:, order]
    torch.testing.assert_close(proposal.log_prob(turned)[inside], draws.log_q[inside], atol=1e-6, rtol=0)


def test_the_bias_is_turned_on_as_far_as_draws_reach() -> None:
    height = np.random.default_rng(2).exponential(size=5000) * 40.0
    none = np.zeros(5000)
    assert next_strength(0.001 * height, none, 0.0, 0.1) == 1.0
    weak, strong = next_strength(height, none, 0.0, 0.4), next_strength(height, none, 0.0, 0.1)
    assert 0.0 < weak < strong < 1.0
    assert next_strength(height, none, strong, 0.9) == pytest.approx(strong, abs=1e-6)
    # Draws outside the domain say nothing of it.
    together = np.concatenate([height, np.full(5000, np.inf)])
    assert next_strength(together, np.zeros(10_000), 0.0, 0.1) == strong


def test_draws_outside_the_range_of_the_flow_are_rejected(flow: SplineFlow, monkeypatch: pytest.MonkeyPatch) -> None:
    """They count with log q = +inf and outside the domain, as in a continuous flow."""
    proposal = LatentProposal(flow, None, 0.1)

    def carry(z_t: torch.Tensor, z_r: torch.Tensor, generator: torch.Generator) -> Draws:
        log_q = torch.zeros(len(z_r), dtype=torch.float64)
        log_q[::2] = -torch.inf
        return Draws(z_r[:, :, None].double(), log_q, torch.ones(len(z_r), dtype=torch.bool))

    monkeypatch.setattr(proposal.base, "carry", carry)
    drawn = proposal.draw(10, torch.Generator().manual_seed(1))
    assert torch.isposinf(drawn.draws.log_q[::2]).all()
    assert not drawn.draws.in_domain[::2].any()
    assert torch.isfinite(drawn.draws.log_q[1::2]).all()
