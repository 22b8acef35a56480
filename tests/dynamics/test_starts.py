import numpy as np
import pytest

from molgen.coordinates.domain import domain_of, either_form
from molgen.coordinates.geometry import torsion_angles
from molgen.dynamics.starts import hot_chains, starting_structures, turned_into
from molgen.observables.states import build_states
from molgen.observables.table import evaluate_cvs
from molgen.systems.loading import load_system
from molgen.systems.system import MolecularSystem
from molgen.workflows import init
from tests.molecules import alanine


@pytest.fixture(scope="module")
def proline(tmp_path_factory: pytest.TempPathFactory) -> MolecularSystem:
    folder = tmp_path_factory.mktemp("proline") / "p"
    init(folder, sequence="P")
    system = load_system(folder)
    assert isinstance(system, MolecularSystem)
    return system


def test_a_molecule_without_such_a_bond_and_an_analytic_system_begin_at_their_structure() -> None:
    assert hot_chains(alanine(), 2) == 2
    for start in starting_structures(alanine(), 2, "Reference"):
        np.testing.assert_array_equal(start, alanine().positions)
    well = load_system("double-well")
    assert hot_chains(well, 3) == 3
    assert len(starting_structures(well, 3, "numpy")) == 3


def test_prolines_amide_begins_trans_and_cis_inside_the_domain(proline: MolecularSystem) -> None:
    (bond,) = either_form(proline)
    names = [atom.name for atom in proline.topology.atoms]
    torsion = (names.index("CH3"), *bond, names.index("CA"))
    assert hot_chains(proline, 1) == 2
    starts = np.stack(starting_structures(proline, 2, "Reference"))
    cosine = np.cos(torsion_angles(starts, torsion))
    assert sorted(np.sign(cosine)) == [-1.0, 1.0]
    assert np.abs(cosine).min() > 0.8
    assert domain_of(proline).contains(starts).all()


def test_torsions_are_turned_until_a_structure_is_in_a_state() -> None:
    system = load_system("alanine-dipeptide-vacuum")
    states = build_states(system)

    def label(frames: np.ndarray) -> np.ndarray:
        return states.assign(evaluate_cvs(system, frames))

    axial = states.names.index("c7ax")
    assert label(system.positions[None])[0] != axial
    found = turned_into(system, label, axial, most=3, seed=1, platform="Reference")
    assert found.shape == (3, 22, 3)
    assert label(found).tolist() == [axial] * 3
    assert domain_of(system).contains(found).all()
    assert not np.array_equal(found[0], found[1])
    again = turned_into(system, label, axial, most=3, seed=1, platform="Reference")
    np.testing.assert_array_equal(found, again)
    nowhere = turned_into(system, lambda frames: np.zeros(len(frames), dtype=np.int64), 1, most=3, seed=1, platform="")
    assert nowhere.shape == (0, 22, 3)


def test_what_has_no_torsion_is_not_turned() -> None:
    well = load_system("double-well")
    assert (
        len(turned_into(well, lambda frames: np.ones(len(frames), dtype=np.int64), 1, most=3, seed=1, platform="")) == 0
    )
