import numpy as np
import pytest

from molgen.energies.analytic import double_well, muller_brown


def test_double_well_values() -> None:
    value, slope = double_well(np.array([[-1.0], [0.0], [1.0]]), {"barrier": 5.0, "tilt": 0.5})
    np.testing.assert_allclose(value, [-0.5, 5.0, 0.5])
    np.testing.assert_allclose(slope[:, 0], 0.5)


@pytest.mark.parametrize(
    ("point", "value"),
    [((-0.558224, 1.441726), -146.6995), ((0.623499, 0.028038), -108.1667), ((-0.822002, 0.624313), -40.6648)],
)
def test_muller_brown_stationary_points_are_the_published_ones(point: tuple[float, float], value: float) -> None:
    found, slope = muller_brown(np.array([point]), {"scale": 1.0})
    np.testing.assert_allclose(found, value, atol=1e-3)
    np.testing.assert_allclose(slope, 0.0, atol=2e-2)
