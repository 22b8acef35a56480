import numpy as np
import pytest

from molgen.coordinates.zmatrix import ZMatrix, build_zmatrix
from molgen.errors import InputError
from tests.molecules import NAMES, alanine, bare_system, chart_of, internal_of, system_of, topology_of


def built(name: str) -> ZMatrix:
    return internal_of(name).zmatrix


def axes(zmatrix: ZMatrix) -> set[frozenset[int]]:
    rows = {placement.atom: placement for placement in zmatrix.placements}
    return {frozenset((rows[leader].bond, rows[leader].angle)) for leader in zmatrix.free}


@pytest.mark.parametrize("name", NAMES)
def test_every_atom_is_placed_once_from_atoms_placed_before(name: str) -> None:
    topology = system_of(name).topology
    zmatrix = built(name)
    neighbours = topology.neighbours()
    placed = list(zmatrix.root)
    assert zmatrix.root[1] in neighbours[zmatrix.root[0]]
    assert zmatrix.root[1] in neighbours[zmatrix.root[2]]
    for placement in zmatrix.placements:
        references = {placement.bond, placement.angle, placement.torsion}
        assert len(references) == 3
        assert references <= set(placed)
        assert placement.bond in neighbours[placement.atom]
        assert placement.angle in neighbours[placement.bond]
        assert placement.depth >= 1
        placed.append(placement.atom)
    assert sorted(placed) == list(range(topology.n_atoms)) == list(range(zmatrix.n_atoms))
    depths = [placement.depth for placement in zmatrix.placements]
    assert depths == sorted(depths)


@pytest.mark.parametrize("name", NAMES)
def test_followers_share_the_references_of_their_leader(name: str) -> None:
    rows = {placement.atom: placement for placement in built(name).placements}
    for placement in rows.values():
        if placement.leader in rows:
            leader = rows[placement.leader]
            assert (leader.bond, leader.angle, leader.torsion) == (placement.bond, placement.angle, placement.torsion)
            assert leader.leader == leader.atom


def test_alanine_dipeptide_rotates_about_two_backbone_bonds_and_three_methyls() -> None:
    zmatrix = built("alanine-dipeptide")
    assert axes(zmatrix) == {frozenset(pair) for pair in [(6, 8), (8, 14), (1, 4), (8, 10), (16, 18)]}
    assert {frozenset(rotor.branches) for rotor in zmatrix.rotors.values()} == {
        frozenset(group) for group in [(0, 2, 3), (11, 12, 13), (19, 20, 21)]
    }


def test_an_amine_inverts_and_an_amide_does_not() -> None:
    chart = chart_of("amine")
    (follower,) = built("amine").inverting
    placement = next(p for p in built("amine").placements if p.atom == follower)
    assert system_of("amine").topology.atoms[placement.bond].element == "N"
    assert placement.leader != follower
    assert chart.internal.torsion_column(follower) in chart.circular
    assert not built("alanine-dipeptide").inverting
    assert not built("ammonium").inverting


@pytest.mark.parametrize(
    ("name", "orders"),
    [
        ("ammonium", [2, 3]),  # a carboxylate and NH3+
        ("propane", [3, 3]),
        ("chiral", []),
        ("ibuprofen", [2, 3, 3, 3]),  # the ring flips
        ("phenylalanine", [2, 3, 3]),
        ("butyl ether", [3, 3, 3, 3, 3]),  # C(CH3)3 and its methyls
        ("nitro", [2, 3]),
        ("phosphate", [3, 3]),
        ("aspirin", [3]),  # a ring with two neighbours on it does not flip
        ("proline", [3, 3]),
    ],
)
def test_rotors_are_what_a_chemist_says(name: str, orders: list[int]) -> None:
    assert sorted(rotor.order for rotor in built(name).rotors.values()) == orders


def test_a_single_centre_has_no_free_torsion() -> None:
    assert built("chiral").free == frozenset()


def test_the_root_prefers_heavy_atoms_and_keeps_off_what_is_folded() -> None:
    for name in ("propane", "phenylalanine", "ibuprofen"):
        zmatrix = built(name)
        topology = system_of(name).topology
        assert all(topology.atoms[i].element != "H" for i in zmatrix.root)
        assert not any(rotor.moved & set(zmatrix.root) for rotor in zmatrix.rotors.values())


def test_small_rings_amides_and_double_bonds_do_not_rotate_but_macrocycles_and_prolines_amide_do() -> None:
    assert len(axes(built("norbornane"))) == 0
    assert len(axes(built("caffeine"))) == 3
    assert len(axes(built("macrocycle"))) >= 8
    proline = axes(built("proline"))
    assert frozenset((1, 3)) in proline  # the tertiary amide C-N
    assert frozenset((8, 10)) not in proline  # the secondary one
    assert frozenset((1, 2)) not in axes(built("butene"))


def test_lines_of_atoms_are_placed_by_displacements_and_turn_as_one() -> None:
    assert len(built("nitrile").linear) == 1
    alkyne = built("alkyne")
    assert len(alkyne.linear) == 3
    assert len(alkyne.free) == 1  # the methyl beyond the triple bond, against the other end


def test_the_same_system_gives_the_same_tree() -> None:
    assert build_zmatrix(alanine()) == built("alanine-dipeptide")


def test_too_few_atoms_two_molecules_and_a_straight_one_are_refused() -> None:
    zeros = np.random.default_rng(1).normal(size=(6, 3))
    with pytest.raises(InputError, match="fewer than three"):
        build_zmatrix(bare_system(topology_of("O H", ((0, 1),)), zeros[:2]))
    with pytest.raises(InputError, match="more than one molecule"):
        build_zmatrix(bare_system(topology_of("C C C C O H", ((0, 1), (1, 2), (2, 3), (4, 5))), zeros))
    line = np.outer(np.arange(4), [0.12, 0.0, 0.0])
    with pytest.raises(InputError, match="on one line"):
        build_zmatrix(bare_system(topology_of("H C C H", ((0, 1), (1, 2), (2, 3))), line))
