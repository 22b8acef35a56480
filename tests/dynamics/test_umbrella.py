"""Dynamics under a bias: what OpenMM adds to the potential is kT B, and a biased well is sampled as it should be."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import openmm
import pytest
import torch
from scipy.integrate import quad

from molgen.bias.base import SumBias
from molgen.bias.harmonic import Harmonic
from molgen.bias.parsing import parse_bias
from molgen.bias.table import BIASES
from molgen.dynamics.analytic import analytic_dynamics
from molgen.dynamics.langevin import molecular_dynamics
from molgen.dynamics.propagator import Piece
from molgen.dynamics.umbrella import bias_gradient, biased_xml
from molgen.energies import factory
from molgen.energies.platforms import open_context
from molgen.errors import InputError
from molgen.observables.table import CVS
from molgen.systems.definition import CVSection
from molgen.systems.loading import load_system
from molgen.systems.system import AnalyticSystem, MolecularSystem
from molgen.units import thermal_energy

VARIABLES: dict[str, dict[str, Any]] = {
    "t": {"torsion": [4, 6, 8, 14]},
    "a": {"angle": [6, 8, 14]},
    "d": {"distance": [5, 17]},
    "r": {"rmsd": {"atoms": [1, 4, 6, 8, 10, 14, 16, 18]}},
    "rg": {"radius_of_gyration": "all"},
    "some": {"radius_of_gyration": [0, 1, 8, 20]},
}
UNITS = {"t": "rad", "a": "rad", "d": "nm", "r": "nm", "rg": "nm", "some": "nm"}
LINES = [
    line
    for name, unit in UNITS.items()
    for line in (
        f"harmonic({name}, center=0.4 {unit}, k=40 kJ/mol/{unit}^2)",
        f"linear({name}, slope=-3 kcal/mol/{unit})",
        f"flat-bottom({name}, center=0.02 {unit}, width=0.01 {unit}, k=30 kT/{unit}^2)",
        f"flat-bottom({name}, center=3 {unit}, width=0.1 {unit}, k=30 kT/{unit}^2, ramp=3 {unit})",
    )
    if not (name == "t" and line.startswith("linear"))
]
LINES += [
    "grid(t, values=0; 1; 5; -2; 3; 0.5; 4; 1 kT)",
    "grid(a, low=1.5 rad, high=2.5 rad, values=0; 4; -3; 2; 1 kT)",
    "grid(rg, low=0.1 nm, high=0.4 nm, values=0; 4; -3; 2; 1; 6 kT)",
    "grid(d, low=2 nm, high=3 nm, values=2; 4; -3; 2 kT)",
]


def molecule(temperature_k: float = 350.0) -> MolecularSystem:
    """Alanine dipeptide in vacuum with a variable of each kind, at a temperature other than the usual one."""
    system = load_system("alanine-dipeptide-vacuum")
    assert isinstance(system, MolecularSystem)
    sections = tuple(CVSection.parse({"name": name, **kind}, source="test") for name, kind in VARIABLES.items())
    changed = {"cv": sections, "temperature_k": temperature_k}
    return replace(system, definition=system.definition.model_copy(update=changed))


SYSTEM = molecule()


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Frames around the structure, and one with every torsion of another sign."""
    noise = np.random.default_rng(3).normal(scale=0.03, size=(4, SYSTEM.n_particles, 3))
    around = SYSTEM.positions + noise
    return np.concatenate([around, around[:1] * np.array([-1.0, 1.0, 1.0])])


def computed(system_xml: str, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """u (n,) and its gradient (n, N, 3) in kT, as OpenMM computes them."""
    context: Any = open_context(
        openmm.XmlSerializer.deserialize(system_xml), openmm.VerletIntegrator(1e-3), "Reference"
    )
    kt = thermal_energy(SYSTEM.temperature_k)
    energies, gradients = [], []
    for frame in frames:
        context.setPositions(frame)
        state = context.getState(energy=True, forces=True)
        energies.append(state.getPotentialEnergy()._value / kt)
        gradients.append(-state.getForces(asNumpy=True)._value / kt)
    return np.array(energies), np.array(gradients)


@pytest.fixture(scope="module")
def plain(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    u = factory.open_energy(SYSTEM, platform="Reference").reduced(frames, purpose="data")
    return u, computed(SYSTEM.system_xml, frames)[1]


@pytest.mark.parametrize("line", [*LINES, " + ".join(LINES)])
def test_the_biased_energy_is_u_plus_b(line: str, frames: np.ndarray, plain: tuple[np.ndarray, np.ndarray]) -> None:
    bias = parse_bias(line, SYSTEM)
    energy, gradient = computed(biased_xml(SYSTEM.system_xml, bias, SYSTEM.temperature_k), frames)
    b = bias.reduced(torch.from_numpy(frames)).numpy()
    assert np.abs(b).max() > 0.01
    np.testing.assert_allclose(energy, plain[0] + b, rtol=1e-12, atol=1e-10)
    db = bias_gradient(bias, frames)
    np.testing.assert_allclose(gradient, plain[1] + db, rtol=1e-9, atol=1e-8 * np.abs(plain[1]).max())


def test_every_bias_and_every_kind_of_variable_is_among_them() -> None:
    assert {line.partition("(")[0] for line in LINES} == set(BIASES)
    assert {key for kind in VARIABLES.values() for key in kind} == set(CVS) - {"position"}


def test_the_opposite_of_the_centre_of_a_torsion_is_smooth() -> None:
    """A spring at 180 degrees from -179.99 to 179.99 degrees: the chord, not the difference of the angles."""
    bias = parse_bias("harmonic(t, center=180deg, k=40 kJ/mol/rad^2)", SYSTEM)
    term = bias.terms[0]
    force = term.cv.force(f"b; b={term.expression}", 4)  # type: ignore[attr-defined]
    system = openmm.System()
    for _ in range(4):
        system.addParticle(1.0)
    force.setTorsionParameters(0, 0, 1, 2, 3, [])
    system.addForce(force)
    context = openmm.Context(system, openmm.VerletIntegrator(1e-3), openmm.Platform.getPlatformByName("Reference"))
    for degrees in (179.99, -179.99, 0.01, -0.01, 60.0):
        angle = np.radians(degrees)
        last = [0.1, 0.1 * np.cos(angle), -0.1 * np.sin(angle)]
        context.setPositions([[0.0, 0.1, 0.0], [0.0, 0.0, 0.0], [0.1, 0.0, 0.0], last])
        expected = 40.0 * (1.0 + np.cos(angle)) / thermal_energy(SYSTEM.temperature_k)
        assert context.getState(energy=True).getPotentialEnergy()._value == pytest.approx(expected, abs=1e-9)


def test_masses_that_dynamics_moves_do_not_change_a_radius_of_gyration(frames: np.ndarray) -> None:
    line = "harmonic(rg, center=0.2nm, k=4000 kJ/mol/nm^2)"
    xml = [
        molecular_dynamics(
            SYSTEM,
            platform="Reference",
            timestep_ps=0.002,
            friction_per_ps=1.0,
            hydrogen_mass_da=mass,
            bias=parse_bias(line, SYSTEM),
        ).system_xml
        for mass in (None, 3.0)
    ]
    np.testing.assert_allclose(computed(xml[0], frames)[0], computed(xml[1], frames)[0], rtol=1e-13)


@dataclass(frozen=True)
class Unmechanical:
    """A variable that OpenMM knows nothing of."""

    name: str = "strange"
    unit: str = ""
    periodic: bool = False


def test_what_dynamics_cannot_follow_is_refused() -> None:
    term = Harmonic(Unmechanical(), 0.0, 1.0, "harmonic(strange, center=0, k=1 kT)")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="cannot follow the variable strange"):
        biased_xml(SYSTEM.system_xml, SumBias((term,)), 300.0)


def test_a_window_holds_a_molecule_where_it_says() -> None:
    """20 ps under 200 kJ/mol/rad² at phi = 60 degrees: the torsion's spread is at most that of the spring alone."""
    bias = parse_bias("harmonic(t, center=60deg, k=200 kJ/mol/rad^2)", SYSTEM)
    dynamics = molecular_dynamics(
        SYSTEM, platform="Reference", timestep_ps=0.002, friction_per_ps=5.0, hydrogen_mass_da=3.0, bias=bias
    )
    found = dynamics.run(SYSTEM.positions[None], Piece(350.0, 10_000, 50, 2000), 4)[0]
    phi = bias.terms[0].cv(torch.from_numpy(found)).numpy()
    spread = np.sqrt(thermal_energy(350.0) / 200.0)
    assert abs(phi.mean() - np.radians(60.0)) < 3.0 * spread
    assert 0.3 * spread < phi.std() < 1.3 * spread


def test_an_analytic_well_is_sampled_under_its_bias() -> None:
    """Means of x and x² over 200 walkers against quadrature; 4.5 standard errors, 1e-5 a false alarm."""
    system = load_system("double-well")
    assert isinstance(system, AnalyticSystem)
    bias = parse_bias("harmonic(x, center=0.2, k=30 kT) + linear(x, slope=-2 kT)", system)
    dynamics = analytic_dynamics(system, timestep_ps=0.02, friction_per_ps=2.0, bias=bias)
    frames = dynamics.run(np.full((200, 1, 1), 0.2), Piece(system.temperature_k, 1000, 50, 200), 7)[..., 0, 0]

    def weight(x: float) -> float:
        return float(np.exp(-5.0 * (x * x - 1.0) ** 2 - 0.5 * x - 15.0 * (x - 0.2) ** 2 + 2.0 * x))

    for power in (1, 2):
        exact = quad(lambda x, p=power: x**p * weight(x), -3, 3)[0] / quad(weight, -3, 3)[0]
        means = (frames**power).mean(axis=1)
        error = means.std() / np.sqrt(len(means))
        assert abs(means.mean() - exact) < 4.5 * error + 2e-3


def test_a_cluster_under_a_bias_keeps_its_centroid() -> None:
    system = load_system("dw4")
    assert isinstance(system, AnalyticSystem)
    (name,) = (cv.name for cv in system.definition.cv)
    plain = analytic_dynamics(system)
    piece = Piece(system.temperature_k, 300, 100)
    wide = analytic_dynamics(system, bias=parse_bias(f"harmonic({name}, center=6 nm, k=50 kT/nm^2)", system))
    radius = []
    for dynamics in (plain, wide):
        found = dynamics.run(system.positions[None], piece, 1)[0, -1]
        assert np.abs(found.mean(axis=0)).max() < 1e-10
        radius.append(np.sqrt((found**2).sum(axis=1).mean()))
    assert radius[1] > 1.3 * radius[0]
