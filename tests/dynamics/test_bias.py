import numpy as np
import pytest

from molgen.dynamics.bias import FourierTorsionBias, fit_fourier_bias


def test_a_fit_finds_the_series_it_was_given_up_to_a_constant() -> None:
    given = FourierTorsionBias((0, 1, 2, 3), ((1, -1.6, 10.0), (3, 0.4, 2.0)))
    grid = np.arange(36) * 2 * np.pi / 36
    found = fit_fourier_bias(given.atoms, grid, given.energy(grid) - 7.0, 4)
    assert found.atoms == given.atoms
    assert [term[0] for term in found.terms] == [1, 2, 3, 4]
    elsewhere = np.linspace(-3.0, 3.0, 17)
    difference = found.energy(elsewhere) - given.energy(elsewhere)
    assert np.ptp(difference) == pytest.approx(0.0, abs=1e-9)


def test_a_bias_without_terms_is_zero() -> None:
    np.testing.assert_array_equal(FourierTorsionBias((0, 1, 2, 3), ()).energy(np.array([0.1, 2.0])), 0.0)
