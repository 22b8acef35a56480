"""Distances that a System holds fixed, and the weight of frames that constrained dynamics made."""

from collections.abc import Sequence
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from molgen.arrays import FloatArray

Constraint = tuple[int, int, float]
"""Two particles ``i < j`` and their distance in nm."""


def read_constraints(system_xml: str) -> tuple[Constraint, ...]:
    """The constraints of a serialised OpenMM System, sorted."""
    found = []
    for term in ElementTree.fromstring(system_xml).iter("Constraint"):
        i, j = int(term.get("p1", 0)), int(term.get("p2", 0))
        found.append((min(i, j), max(i, j), float(term.get("d", 0.0))))
    return tuple(sorted(found))


def read_virtual_sites(system_xml: str) -> tuple[tuple[int, str], ...]:
    """Particles of a serialised OpenMM System whose place follows from others', with how it does."""
    particles = ElementTree.fromstring(system_xml).find("Particles")
    found = [] if particles is None else [(k, site) for k, particle in enumerate(particles) for site in particle]
    return tuple((k, ElementTree.tostring(site, encoding="unicode").strip()) for k, site in found)


def log_constraint_determinant(
    positions: npt.NDArray[np.floating], pairs: Sequence[tuple[int, int]], inverse_masses: FloatArray
) -> FloatArray:
    r"""ln det Z (n,) of frames (n, N, 3) whose distances ``pairs`` are fixed.

    .. math:: Z_{ab} = \sum_i \frac{1}{m_i} \nabla_i \sigma_a \cdot \nabla_i \sigma_b

    with sigma_a ↔ the distance of pair a and 1/m_i ↔ ``inverse_masses`` (N,). Constrained dynamics samples
    exp(-beta U) |Z|^{1/2} on its manifold, the stiff limit is exp(-beta U) alone, so that a frame of such dynamics
    carries the weight |Z|^{-1/2} (M. Fixman, Proc. Natl. Acad. Sci. 71 (1974) 3050, doi:10.1073/pnas.71.8.3050;
    G. Ciccotti and J. P. Ryckaert, Comput. Phys. Rep. 4 (1986) 346, doi:10.1016/0167-7977(86)90022-5).
    """
    pairs_array = np.asarray(pairs, dtype=np.int64).reshape(-1, 2)
    n, m = len(positions), len(pairs_array)
    first, second = pairs_array[:, 0], pairs_array[:, 1]
    difference = np.asarray(positions[:, first] - positions[:, second], dtype=np.float64)
    unit = difference / np.linalg.norm(difference, axis=-1, keepdims=True)
    # Only pairs that share a particle couple; the sign says whether both point to it or away from it.
    z = np.zeros((n, m, m))
    for a in range(m):
        for b in range(a, m):
            coupling = 0.0
            for i, sign_a in ((first[a], 1.0), (second[a], -1.0)):
                for j, sign_b in ((first[b], 1.0), (second[b], -1.0)):
                    if i == j:
                        coupling += sign_a * sign_b * inverse_masses[i]
            if coupling:
                z[:, a, b] = z[:, b, a] = coupling * (unit[:, a] * unit[:, b]).sum(axis=-1)
    return np.asarray(np.linalg.slogdet(z)[1], dtype=np.float64)
