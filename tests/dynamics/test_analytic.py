import numpy as np
import pytest
from scipy.integrate import quad

from molgen.dynamics.analytic import AnalyticDynamics
from molgen.dynamics.propagator import Piece
from molgen.systems.system import REDUCED_TEMPERATURE_K

_SOFT = {"barrier": 1.0, "tilt": 0.5}


def _mean(power: int, temperature: float) -> float:
    def weight(x: float) -> float:
        return float(np.exp(-((x * x - 1) ** 2 + 0.5 * x) / temperature))

    return float(quad(lambda x: x**power * weight(x), -4, 4)[0] / quad(weight, -4, 4)[0])


@pytest.mark.parametrize(
    ("integrator", "timestep", "temperature"),
    [("overdamped", 0.002, 1.0), ("langevin-middle", 0.05, 1.0), ("langevin-middle", 0.05, 2.0)],
)
def test_moments_are_boltzmanns(integrator: str, timestep: float, temperature: float) -> None:
    """Means over 400 independent walkers against quadrature; 5 standard errors: false alarm below 1e-5."""
    dynamics = AnalyticDynamics("double-well", _SOFT, integrator, timestep, 1.0)  # type: ignore[arg-type]
    steps = int(20 / timestep)
    piece = Piece(temperature * REDUCED_TEMPERATURE_K, steps, steps // 20, steps // 2)
    start = np.linspace(-1.2, 1.2, 400).reshape(-1, 1, 1)
    frames = dynamics.run(start, piece, 5)
    assert frames.shape == (400, 20, 1, 1)
    for power in (1, 2):
        means = (frames**power).mean(axis=(1, 2, 3))
        error = means.std() / np.sqrt(len(means))
        # The overdamped scheme's own error at this time step is below 0.01.
        assert abs(means.mean() - _mean(power, temperature)) < 5 * error + 0.01


def test_equal_seeds_give_equal_frames() -> None:
    dynamics = AnalyticDynamics("muller-brown", {"scale": 0.1}, "overdamped", 1e-4, 1.0)
    start = np.array([[[-0.558, 1.442]]])
    piece = Piece(REDUCED_TEMPERATURE_K, 50, 10)
    np.testing.assert_array_equal(dynamics.run(start, piece, 4), dynamics.run(start, piece, 4))
    assert not np.array_equal(dynamics.run(start, piece, 4), dynamics.run(start, piece, 5))


def test_a_cluster_keeps_its_centroid_and_samples_the_subspace_without_it() -> None:
    """Three particles on springs alone: each of (N - 1) D degrees of freedom has 1/2 kT; 4.5 standard errors."""
    spring = {"depth": 0.0, "radius": 1.0, "spring": 1.0}
    dynamics = AnalyticDynamics("lennard-jones", spring, "langevin-middle", 0.1, 1.0)
    start = np.random.default_rng(1).normal(size=(200, 3, 3))
    frames = dynamics.run(start, Piece(REDUCED_TEMPERATURE_K, 2000, 100, 500), 3)
    assert np.abs(frames.mean(axis=2)).max() < 1e-10
    energy = 0.5 * (frames**2).sum(axis=(2, 3)).mean(axis=1)
    assert abs(energy.mean() - 3.0) < 4.5 * energy.std() / np.sqrt(len(energy)) + 0.5 * 0.1**2
