"""What left the domain is named: the stereocentre, the peptide bond, and in how many frames."""

import numpy as np
import pytest

from molgen.coordinates.domain import domain_of
from molgen.coordinates.violations import cis_bonds, find_violations, peptide_bonds, stereocentres
from molgen.systems.loading import load_system
from tests.molecules import alanine


def turned(frames: np.ndarray, axis: tuple[int, int], moved: list[int]) -> np.ndarray:
    """``frames`` with the atoms ``moved`` turned by 180 degrees about a bond."""
    result = frames.copy()
    origin = frames[:, axis[0], None]
    direction = frames[:, axis[1], None] - origin
    direction = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    relative = frames[:, moved] - origin
    along = (relative * direction).sum(-1, keepdims=True) * direction
    result[:, moved] = origin + 2.0 * along - relative
    return result


def test_the_structure_itself_violates_nothing() -> None:
    system = alanine()
    assert find_violations(system.positions[None], system) == ()
    assert cis_bonds(system) == ()
    assert len(peptide_bonds(system.topology)) == 2
    assert [system.topology.atoms[i].name for i in stereocentres(system)] == ["CA"]


def test_a_mirrored_molecule_is_wrong_first_of_all_at_its_stereocentre() -> None:
    system = alanine()
    frames = np.stack([system.positions] * 5)
    frames[1:4] *= np.array([-1.0, 1.0, 1.0])
    first, *others = find_violations(frames, system)
    assert (first.kind, first.where, first.frames) == ("handedness", "the stereocentre CA of ALA 2", 3)
    assert all("the atom C" in other.where for other in others)  # labels of the methyls


def test_a_turned_peptide_bond_is_named_from_either_side() -> None:
    system = alanine()
    names = [(atom.name, atom.residue_name) for atom in system.topology.atoms]
    carbon, nitrogen = names.index(("C", "ALA")), names.index(("N", "NME"))
    methylamide = [k for k, (_, residue) in enumerate(names) if residue == "NME" and k != nitrogen]
    frames = turned(np.stack([system.positions] * 4), (carbon, nitrogen), methylamide)
    frames[0] = system.positions
    (violation,) = find_violations(frames, system)
    assert violation.kind == "cis-trans"
    assert violation.where == "the peptide bond C of ALA 2 - N of NME 3"
    assert violation.frames == 3
    assert domain_of(system).contains(frames).tolist() == [True, False, False, False]


@pytest.mark.parametrize("name", ["double-well", "muller-brown"])
def test_an_analytic_system_has_no_domain_to_leave(name: str) -> None:
    system = load_system(name)
    assert find_violations(system.positions[None], system) == ()
