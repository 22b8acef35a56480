from pathlib import Path

import numpy as np
import pytest

from molgen.coordinates.domain import domain_of, turning_bonds, watched_bonds
from molgen.coordinates.geometry import torsion_angles
from molgen.systems.loading import load_system
from molgen.systems.system import MolecularSystem
from molgen.workflows import init


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


def test_every_centre_of_four_and_the_two_amide_bonds_are_watched(system: MolecularSystem) -> None:
    assert [row[0] for row in domain_of(system).centres] == [1, 8, 10, 18]
    assert domain_of(system).planar == ((1, 4, 6, 8), (8, 14, 16, 18))


def test_its_own_structure_and_a_turned_phi_are_kept(system: MolecularSystem) -> None:
    domain = domain_of(system)
    turned = rotated(system.positions, (6, 8), list(range(9, 22)), 2.0)
    change = torsion_angles(turned[None], (4, 6, 8, 14)) - torsion_angles(system.positions[None], (4, 6, 8, 14))
    assert abs(np.cos(change[0]) - np.cos(2.0)) < 1e-9
    assert domain.contains(np.stack([system.positions, turned])).all()


def test_a_mirror_image_and_a_cis_amide_are_refused(system: MolecularSystem) -> None:
    domain = domain_of(system)
    mirrored = system.positions * np.array([1.0, 1.0, -1.0])
    cis = rotated(system.positions, (14, 16), list(range(17, 22)), np.pi)
    assert domain.contains(np.stack([mirrored, system.positions, cis])).tolist() == [False, True, False]


def test_the_domain_of_an_analytic_system_refuses_nothing() -> None:
    assert domain_of(load_system("double-well")).contains(np.zeros((3, 1, 1))).all()


def test_two_methyl_hydrogens_exchanged_are_refused_and_a_cyclic_turn_is_not(system: MolecularSystem) -> None:
    swapped, turned = list(range(22)), list(range(22))
    swapped[11], swapped[12] = 12, 11
    turned[11], turned[12], turned[13] = 12, 13, 11
    frames = np.stack([system.positions[swapped], system.positions[turned]])
    assert domain_of(system).contains(frames).tolist() == [False, True]


def test_a_frame_that_is_not_finite_is_outside(system: MolecularSystem) -> None:
    frame = system.positions.copy()
    frame[8] = np.nan
    assert not domain_of(system).contains(frame[None]).any()


def test_ethyl_groups_and_a_twisted_anilide_turn_and_the_amide_is_watched(tmp_path: Path) -> None:
    """MMFF94 has two-fold terms on all of them in lidocaine; only N-C(=O) has a cis and a trans form."""
    init(tmp_path / "lidocaine", smiles="CCN(CC)CC(=O)Nc1c(C)cccc1C")
    system = load_system(tmp_path / "lidocaine")
    assert isinstance(system, MolecularSystem)
    names = [atom.name for atom in system.topology.atoms]
    assert [{names[i], names[j]} for i, j in watched_bonds(system)] == [{"C6", "N2"}]
    turning = [{names[i], names[j]} for i, j in turning_bonds(system)]
    assert all(bond in turning for bond in ({"C1", "C2"}, {"C3", "C4"}, {"N2", "C7"}))
