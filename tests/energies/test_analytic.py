import numpy as np
import pytest

from molgen.energies.analytic import double_well, lennard_jones, muller_brown, pair_double_well


def test_double_well_values() -> None:
    value, slope = double_well(np.array([[[-1.0]], [[0.0]], [[1.0]]]), {"barrier": 5.0, "tilt": 0.5})
    np.testing.assert_allclose(value, [-0.5, 5.0, 0.5])
    np.testing.assert_allclose(slope[:, 0, 0], 0.5)


@pytest.mark.parametrize(
    ("point", "value"),
    [((-0.558224, 1.441726), -146.6995), ((0.623499, 0.028038), -108.1667), ((-0.822002, 0.624313), -40.6648)],
)
def test_muller_brown_stationary_points_are_the_published_ones(point: tuple[float, float], value: float) -> None:
    found, slope = muller_brown(np.array([[point]]), {"scale": 1.0})
    np.testing.assert_allclose(found, value, atol=1e-3)
    np.testing.assert_allclose(slope, 0.0, atol=2e-2)


def test_a_pair_in_the_double_well_has_its_minima_where_they_are_known() -> None:
    """V'(x) = 2 q x + 4 r x^3 = 0 at x^2 = -q / (2 r), with V = -q^2 / (4 r)."""
    parameters = {"distance": 4.0, "quadratic": -4.0, "quartic": 0.9}
    x = np.sqrt(4.0 / 1.8)
    frames = np.array([[[0.0, 0.0], [4.0 - x, 0.0]], [[0.0, 0.0], [0.0, 4.0 + x]], [[0.0, 0.0], [4.0, 0.0]]])
    value, slope = pair_double_well(frames, parameters)
    np.testing.assert_allclose(value, [-4.0 / 0.9, -4.0 / 0.9, 0.0], atol=1e-12)
    np.testing.assert_allclose(slope, 0.0, atol=1e-12)


def test_lennard_jones_counts_every_pair_once_and_holds_the_centroid() -> None:
    parameters = {"depth": 1.0, "radius": 1.0, "spring": 0.0}
    triangle = np.array([[[0.0, 0, 0], [1.0, 0, 0], [0.5, np.sqrt(0.75), 0]]])
    assert lennard_jones(triangle, parameters)[0][0] == pytest.approx(-3.0)
    np.testing.assert_allclose(lennard_jones(triangle, parameters)[1], 0.0, atol=1e-12)
    spring = {"depth": 0.0, "radius": 1.0, "spring": 2.0}
    moved = lennard_jones(triangle + 5.0, spring)
    assert moved[0][0] == pytest.approx(1.0)  # three particles at 1/sqrt(3) from the centroid
    np.testing.assert_allclose(moved[1].sum(axis=1), 0.0, atol=1e-12)
