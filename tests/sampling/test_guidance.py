"""A guided field is a velocity field of its own: known densities, its Jacobian, its symmetries, its bounds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from molgen.bias.base import SumBias, VariableBias
from molgen.bias.linear import Linear
from molgen.bias.parsing import parse_bias
from molgen.sampling.guidance import GuidanceSettings, GuidedField
from molgen.systems import load_system
from tests.molecules import random_rotations

SCALE = 0.17


@dataclass(frozen=True)
class Growth:
    """v = rate · x."""

    rate: float

    def field(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return self.rate * x

    def field_with_jacobian(self, x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        size = x[0].numel()
        return self.rate * x, self.rate * torch.eye(size, dtype=x.dtype).expand(len(x), size, size)


@dataclass(frozen=True)
class Inertia:
    """½ Σ |x_i − x̄|²."""

    name: str = "inertia"
    unit: str = ""
    periodic: bool = False

    def __call__(self, positions: torch.Tensor) -> torch.Tensor:
        centred = positions - positions.mean(1, keepdim=True)
        return 0.5 * centred.square().sum((1, 2))


def spring(stiffness: float) -> VariableBias:
    """Harmonic in all coordinates: k/2 Σ |x_i − x̄|²."""
    return Linear(Inertia(), stiffness, "spring")  # type: ignore[arg-type]


def guided(terms: Sequence[VariableBias], rate_of_base: float = 0.0, **settings: float) -> GuidedField:
    return GuidedField(Growth(rate_of_base), terms, SCALE, GuidanceSettings(**settings))


def molecule() -> tuple[tuple[VariableBias, ...], torch.Tensor]:
    """A bias with springs and walls on torsions, and frames (4, N, 3) in standard coordinates."""
    system = load_system("alanine-dipeptide")
    text = "harmonic(phi, center=60deg, k=50 kJ/mol/rad^2) + flat-bottom(psi, center=0, width=20deg, k=4 kT/rad^2)"
    noise = torch.as_tensor(np.random.default_rng(1).normal(scale=0.01, size=(4, 22, 3)))
    x = (torch.as_tensor(system.positions) + noise) / SCALE
    return parse_bias(text, system).terms, x - x.mean(1, keepdim=True)


def test_a_gaussian_driven_by_a_spring_has_its_known_density() -> None:
    """dx/dt = (b − s(t) k scale²) x from a standard normal: x₁ is normal with the spread exp ∫ of that factor."""
    growth, stiffness, particles, dim = 0.4, 30.0, 4, 3
    field = guided((spring(stiffness),), growth, strength=0.7, start=0.2, limit=1e9)
    area, _ = quad(lambda t: float(field.schedule(torch.tensor(t, dtype=torch.float64))), 0.0, 1.0, points=[0.2, 0.6])
    spread = math.exp(growth - area * stiffness * SCALE**2)
    assert not 0.9 < spread / math.exp(growth) < 1.1
    start = torch.randn(5, particles, dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    start = start - start.mean(1, keepdim=True)
    freedom = dim * (particles - 1)
    log_q = -0.5 * start.square().sum((1, 2)) - 0.5 * freedom * math.log(2.0 * math.pi)
    x, log_volume, steps = start, torch.zeros(5, dtype=torch.float64), 20
    for index in range(steps):  # Runge–Kutta, with the trace of the Jacobian on the subspace of centred frames
        t, h = index / steps, 1.0 / steps
        slopes, divergences = [], []
        for shift, previous in ((0.0, None), (0.5, 0), (0.5, 1), (1.0, 2)):
            at = x if previous is None else x + shift * h * slopes[previous]
            velocity, jacobian = field.field_with_jacobian(at, torch.full((5,), t + shift * h, dtype=torch.float64))
            blocks = jacobian.reshape(5, particles, dim, particles, dim)
            mean = torch.einsum("nidjd->n", blocks) / particles  # along translations
            slopes.append(velocity)
            divergences.append(torch.einsum("nii->n", jacobian) - mean)
        weights = (1.0, 2.0, 2.0, 1.0)
        x = x + h / 6.0 * sum(w * k for w, k in zip(weights, slopes, strict=True))
        log_volume = log_volume + h / 6.0 * sum(w * k for w, k in zip(weights, divergences, strict=True))
    torch.testing.assert_close(x, spread * start, atol=1e-4, rtol=0)
    normal = -0.5 * (x / spread).square().sum((1, 2)) - freedom * (0.5 * math.log(2.0 * math.pi) + math.log(spread))
    torch.testing.assert_close(log_q - log_volume, normal, atol=1e-4, rtol=0)


def test_the_jacobian_is_that_of_the_velocity() -> None:
    terms, x = molecule()
    field = guided(terms, 0.3)
    t = torch.tensor([0.2, 0.5, 0.7, 0.95], dtype=torch.float64)
    velocity, jacobian = field.field_with_jacobian(x, t)
    torch.testing.assert_close(velocity, field.field(x, t), atol=1e-12, rtol=0)
    for row in range(4):
        alone = t[row : row + 1]
        expected = torch.autograd.functional.jacobian(lambda y, t=alone: field.field(y[None], t)[0], x[row])
        torch.testing.assert_close(jacobian[row], expected.reshape(66, 66), atol=1e-8, rtol=1e-8)
    # By finite differences too: autograd on both sides would share a fault.
    step, direction = 1e-5, torch.randn(x.shape, generator=torch.Generator().manual_seed(2), dtype=x.dtype)
    difference = (field.field(x + step * direction, t) - field.field(x - step * direction, t)) / (2 * step)
    product = torch.einsum("nij,nj->ni", jacobian, direction.flatten(1)).reshape(x.shape)
    torch.testing.assert_close(product, difference, atol=1e-4, rtol=1e-4)
    assert (jacobian[0] - 0.3 * torch.eye(66, dtype=x.dtype)).abs().max() == 0  # before the start
    assert (jacobian[1] - 0.3 * torch.eye(66, dtype=x.dtype)).abs().max() > 0.1


def test_the_drift_turns_with_the_frame_and_moves_no_centroid() -> None:
    terms, x = molecule()
    field, t = guided(terms), torch.full((4,), 0.7, dtype=torch.float64)
    drift = field.field(x, t)
    assert drift.abs().max() > 0.1
    assert drift.mean(1).abs().max() < 1e-12
    rotations = torch.as_tensor(random_rotations(4, np.random.default_rng(3)))
    turned = torch.einsum("nij,naj->nai", rotations, drift)
    torch.testing.assert_close(field.field(torch.einsum("nij,naj->nai", rotations, x), t), turned, atol=1e-10, rtol=0)


def test_the_drift_lowers_the_bias_and_is_bounded() -> None:
    terms, x = molecule()
    t = torch.tensor([0.7], dtype=torch.float64)
    bias = SumBias(terms)
    for limit in (0.05, 20.0):
        field = guided(terms, limit=limit)
        drift = field.field(x, t)
        assert drift.flatten(1).norm(dim=1).max() < limit
        assert (bias.reduced(SCALE * (x + 1e-4 * drift)) < bias.reduced(SCALE * x)).all()
    assert field.schedule(torch.tensor([0.0, 0.3, 1.0])).abs().max() == 0
    times = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    slope = field.schedule(times).diff() * 100_000
    assert slope.diff().abs().max() < 0.01  # continuously differentiable


def test_no_strength_is_no_guidance() -> None:
    terms, x = molecule()
    field, t = guided(terms, 0.3, strength=0.0), torch.full((4,), 0.7, dtype=torch.float64)
    torch.testing.assert_close(field.field(x, t), 0.3 * x, atol=0, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_it_keeps_the_precision_of_the_flow(dtype: torch.dtype) -> None:
    terms, x = molecule()
    velocity, jacobian = guided(terms).field_with_jacobian(x.to(dtype), torch.full((4,), 0.6, dtype=dtype))
    assert velocity.dtype == jacobian.dtype == dtype


def test_no_variable_relaxes_faster_than_its_rate() -> None:
    """A spring a thousand times stiffer drives the torsion hardly faster: ds/dt <= rate · |B'|/K for one term."""
    _, x = molecule()
    system, t = load_system("alanine-dipeptide"), torch.full((4,), 0.6, dtype=torch.float64)
    for stiffness in (1.0, 50.0, 50_000.0):
        (term,) = parse_bias(f"harmonic(phi, center=60deg, k={stiffness} kT/rad^2)", system).terms
        drift = guided((term,), rate=4.0, limit=1e9).field(x, t)
        speed = torch.func.jvp(lambda y, cv=term.cv: cv(SCALE * y), (x,), (drift,))[1]
        phi = term.cv(SCALE * x)
        furthest = 4.0 * torch.sin(phi - math.radians(60)).abs()
        assert (speed.abs() < furthest).all()
        if stiffness == 50_000.0:
            assert (speed.abs() > 0.9 * furthest).all()
