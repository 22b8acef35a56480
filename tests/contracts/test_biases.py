"""Laws that every bias in the table obeys, on a variable of each kind."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from molgen.bias.base import SumBias, VariableBias
from molgen.bias.parsing import parse_bias
from molgen.bias.table import BIASES
from molgen.systems import load_system
from molgen.systems.definition import CVSection
from molgen.systems.system import MolecularSystem
from molgen.units import thermal_energy

VARIABLES = {
    "t": {"torsion": [4, 6, 8, 14]},
    "a": {"angle": [6, 8, 14]},
    "d": {"distance": [5, 17]},
    "r": {"rmsd": {"atoms": [1, 4, 6, 8, 10, 14, 16, 18]}},
    "rg": {"radius_of_gyration": "all"},
}
EXAMPLES = {
    "harmonic": [
        "harmonic(t, center=60deg, k=50 kJ/mol/rad^2)",
        "harmonic(a, center=1.9 rad, k=2 kT/deg^2)",
        "harmonic(d, center=4 angstrom, k=10 kcal/mol/angstrom^2)",
        "harmonic(r, center=0.05 nm, k=900 kJ/mol/nm^2)",
    ],
    "linear": ["linear(d, slope=-5 kT/nm)", "linear(a, slope=0.1 kcal/mol/deg)", "linear(rg, slope=12 kJ/mol/nm)"],
    "flat-bottom": [
        "flat-bottom(t, center=170deg, width=20deg, k=80 kJ/mol/rad^2)",
        "flat-bottom(d, center=0.3nm, width=0.02 nm, k=500 kT/nm^2, ramp=0.1 nm)",
        "flat-bottom(rg, center=0.1 nm, width=1 angstrom, k=500 kT/nm^2)",
    ],
    "grid": [
        "grid(t, values=0; -1.5; -4; -6.25; -5; -2; 1; 3; 2; 0.5 kT)",
        "grid(d, low=2 angstrom, high=0.7 nm, values=0; 2.5; 6; 7; 4; 3 kJ/mol)",
        "grid(rg, low=0.05 nm, high=0.8 nm, values=3; 1; 0; 0.5; 2 kT)",
    ],
}
LINES = [line for lines in EXAMPLES.values() for line in lines]


def molecule() -> MolecularSystem:
    """Alanine dipeptide with a variable of each kind."""
    system = load_system("alanine-dipeptide-obc1")
    assert isinstance(system, MolecularSystem)
    sections = tuple(CVSection.parse({"name": name, **kind}, source="test") for name, kind in VARIABLES.items())
    return replace(system, definition=system.definition.model_copy(update={"cv": sections}))


SYSTEM = molecule()


@pytest.fixture(scope="module", params=LINES)
def bias(request: pytest.FixtureRequest) -> SumBias:
    return parse_bias(request.param, SYSTEM)


@pytest.fixture(scope="module")
def term(bias: SumBias) -> VariableBias:
    return bias.terms[0]


@pytest.fixture(scope="module")
def frames() -> torch.Tensor:
    noise = np.random.default_rng(3).normal(scale=0.02, size=(5, SYSTEM.n_particles, 3))
    return torch.from_numpy(SYSTEM.positions + noise)


def grid(term: VariableBias) -> torch.Tensor:
    """Values of the variable all over its range."""
    low = -math.pi if term.cv.periodic else 0.0
    return torch.linspace(low, math.pi, 20_001, dtype=torch.float64)


def test_every_kind_has_an_example() -> None:
    assert set(EXAMPLES) == set(BIASES)
    for kind, lines in EXAMPLES.items():
        assert all(line.startswith(f"{kind}(") for line in lines)


def test_it_is_one_finite_number_a_frame_in_double_precision(bias: SumBias, frames: torch.Tensor) -> None:
    values = bias.reduced(frames)
    assert values.shape == (5,)
    assert values.dtype == torch.float64
    assert torch.isfinite(values).all()
    assert bias.reduced(frames.float()).dtype == torch.float64
    assert bias.reduced(frames[:0]).shape == (0,)
    torch.testing.assert_close(bias.reduced(frames[1:2]), values[1:2], atol=1e-12, rtol=0)


def test_it_does_something(bias: SumBias, frames: torch.Tensor) -> None:
    assert bias.reduced(frames).abs().max() > 0.01


def test_derivatives_are_those_of_finite_differences(bias: SumBias, frames: torch.Tensor) -> None:
    few = frames[:2].clone().requires_grad_(True)
    assert torch.autograd.gradcheck(bias.reduced, (few,), eps=1e-6, atol=1e-5, rtol=1e-5)
    atoms = [4, 5, 6, 8, 14, 17]

    def of_some(some: torch.Tensor) -> torch.Tensor:
        return bias.reduced(frames[:1].index_copy(1, torch.tensor(atoms), some))

    some = frames[:1, atoms].clone().requires_grad_(True)
    assert torch.autograd.gradgradcheck(of_some, (some,), atol=1e-3, rtol=1e-4)


def test_rigid_motion_changes_nothing(bias: SumBias, frames: torch.Tensor) -> None:
    rotation = torch.from_numpy(np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0])
    rotation = rotation * torch.linalg.det(rotation)
    moved = frames @ rotation.T + torch.tensor([3.0, -1.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close(bias.reduced(moved), bias.reduced(frames), atol=1e-8, rtol=1e-10)


def test_a_periodic_variable_gives_a_smooth_circle(term: VariableBias) -> None:
    if not term.cv.periodic:
        pytest.skip("the variable has ends")
    values = grid(term)[::100]
    torch.testing.assert_close(term.profile(values), term.profile(values + 2.0 * math.pi), atol=1e-11, rtol=0)
    # Opposite to the centre the force does not jump from one side to the other; of a symmetric bias it is 0 there.
    center = getattr(term, "center", 0.0)
    opposite = torch.tensor([math.pi, -math.pi], dtype=torch.float64) + center
    around = term.profile(torch.cat([opposite - 2e-4, opposite - 1e-4, opposite, opposite + 1e-4, opposite + 2e-4]))
    steps = around.reshape(5, 2).diff(dim=0)
    assert (steps[0] - steps[3]).abs().max() < 1e-6 * max(term.curvature_bound, 1.0)
    if hasattr(term, "center"):
        assert steps.abs().max() < 1e-6


def test_slope_and_curvature_are_continuous_and_within_their_bounds(term: VariableBias) -> None:
    s = grid(term).requires_grad_(True)
    (slope,) = torch.autograd.grad(term.profile(s).sum(), s, create_graph=True)
    curvature = torch.autograd.grad(slope.sum(), s)[0] if slope.requires_grad else torch.zeros_like(s)
    assert slope.abs().max() <= term.slope_bound + 1e-9
    assert curvature.abs().max() <= term.curvature_bound + 1e-9
    if math.isfinite(term.slope_bound):
        assert slope.abs().max() > 0.5 * term.slope_bound
    # Neighbours on the grid differ by little: no corner in B, no jump in its slope or curvature.
    scale = max(term.curvature_bound, 1e-3)
    assert slope.diff().abs().max() <= 1.01 * term.curvature_bound * float(s.detach().diff()[0]) + 1e-9
    assert curvature.diff().abs().max() < 0.02 * scale


def test_the_line_it_writes_is_read_as_the_same_bias(bias: SumBias) -> None:
    again = parse_bias(bias.text, SYSTEM)
    assert again == bias
    assert again.text == bias.text
    assert parse_bias(bias.text.replace(" ", ""), SYSTEM) == bias


def test_a_sum_is_the_sum_of_its_terms(frames: torch.Tensor) -> None:
    joined = parse_bias(" + ".join(LINES), SYSTEM)
    alone = sum(parse_bias(line, SYSTEM).reduced(frames) for line in LINES)
    torch.testing.assert_close(joined.reduced(frames), alone, atol=1e-10, rtol=1e-12)
    assert parse_bias(joined.text, SYSTEM) == joined


def test_it_is_in_kt_of_the_system(frames: torch.Tensor) -> None:
    """50 kJ/mol/rad² in degrees and kT, at two temperatures."""
    kt = thermal_energy(SYSTEM.temperature_k)
    plain = parse_bias("harmonic(t, center=1 rad, k=50 kJ/mol/rad^2)", SYSTEM).reduced(frames)
    other = parse_bias(f"harmonic(t, center={math.degrees(1.0)!r}deg, k={50 / kt!r} kT/rad^2)", SYSTEM)
    degrees = other.reduced(frames)
    torch.testing.assert_close(plain, degrees, atol=1e-10, rtol=0)
    hot = replace(SYSTEM, definition=SYSTEM.definition.model_copy(update={"temperature_k": 600.0}))
    halved = parse_bias("harmonic(t, center=1 rad, k=50 kJ/mol/rad^2)", hot).reduced(frames)
    torch.testing.assert_close(halved, 0.5 * plain, atol=1e-10, rtol=0)
