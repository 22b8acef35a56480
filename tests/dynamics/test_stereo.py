import numpy as np
import pytest

from molgen.dynamics.bias import torsions
from molgen.dynamics.stereo import amide_torsions, stereo_guard, stereocentres
from molgen.systems.loading import load_system
from molgen.systems.system import MolecularSystem


@pytest.fixture(scope="module")
def system() -> MolecularSystem:
    found = load_system("alanine-dipeptide")
    assert isinstance(found, MolecularSystem)
    return found


def rotated(positions: np.ndarray, axis: tuple[int, int], moved: list[int], angle: float) -> np.ndarray:
    """The atoms ``moved`` turned by ``angle`` about the bond ``axis`` (Rodrigues)."""
    result = positions.copy()
    origin = positions[axis[0]]
    k = positions[axis[1]] - origin
    k = k / np.linalg.norm(k)
    r = positions[moved] - origin
    result[moved] = (
        origin + r * np.cos(angle) + np.cross(k, r) * np.sin(angle) + np.outer(r @ k, k) * (1 - np.cos(angle))
    )
    return result


def test_the_one_stereocentre_and_the_two_amide_bonds_are_found(system: MolecularSystem) -> None:
    assert [row[0] for row in stereocentres(system.topology)] == [8]
    assert amide_torsions(system.topology) == ((1, 4, 6, 8), (8, 14, 16, 18))


def test_its_own_structure_and_a_turned_phi_are_kept(system: MolecularSystem) -> None:
    guard = stereo_guard(system)
    turned = rotated(system.positions, (6, 8), list(range(9, 22)), 2.0)
    change = torsions(turned[None], (4, 6, 8, 14)) - torsions(system.positions[None], (4, 6, 8, 14))
    assert abs(np.cos(change[0]) - np.cos(2.0)) < 1e-9
    assert guard.kept(np.stack([system.positions, turned])).all()


def test_a_mirror_image_and_a_cis_amide_are_refused(system: MolecularSystem) -> None:
    guard = stereo_guard(system)
    mirrored = system.positions * np.array([1.0, 1.0, -1.0])
    cis = rotated(system.positions, (14, 16), list(range(17, 22)), np.pi)
    assert guard.kept(np.stack([mirrored, system.positions, cis])).tolist() == [False, True, False]


def test_the_guard_of_an_analytic_system_refuses_nothing() -> None:
    assert stereo_guard(load_system("double-well")).kept(np.zeros((3, 1, 1))).all()
