"""A bias that never changes: a Fourier series in one torsion, cheap on every OpenMM platform."""

from dataclasses import dataclass

import numpy as np

from molgen.arrays import FloatArray


@dataclass(frozen=True)
class FourierTorsionBias:
    """V(t) = sum_m k_m (1 + cos(n_m t - p_m)) on the torsion t of four ``atoms``.

    ``terms`` are (n_m, p_m in rad, k_m in kJ/mol): the form of a proper torsion in any force field.
    """

    atoms: tuple[int, int, int, int]
    terms: tuple[tuple[int, float, float], ...]

    def energy(self, torsion: FloatArray) -> FloatArray:
        """V in kJ/mol at ``torsion`` in rad."""
        value = np.zeros_like(torsion)
        for periodicity, phase, height in self.terms:
            value += height * (1.0 + np.cos(periodicity * torsion - phase))
        return value


def fit_fourier_bias(
    atoms: tuple[int, int, int, int], grid: FloatArray, energy: FloatArray, order: int
) -> FourierTorsionBias:
    """The bias whose series of ``order`` fits ``energy`` (kJ/mol) on the ``grid`` (rad) best, up to a constant."""
    waves = [function(n * grid) for n in range(1, order + 1) for function in (np.cos, np.sin)]
    solution = np.linalg.lstsq(np.stack([np.ones_like(grid), *waves], axis=1), energy, rcond=None)[0][1:]
    cosines, sines = solution[0::2], solution[1::2]
    terms = tuple(
        (n, float(np.arctan2(sines[n - 1], cosines[n - 1])), float(np.hypot(cosines[n - 1], sines[n - 1])))
        for n in range(1, order + 1)
    )
    return FourierTorsionBias(atoms, terms)
