import pytest

from molgen.coordinates.zmatrix import ZMatrix, build_zmatrix, is_amide
from molgen.errors import InputError
from tests.molecules import BUILT, alanine, topology_of


def built(name: str) -> ZMatrix:
    return build_zmatrix(alanine().topology if name == "alanine-dipeptide" else topology_of(*BUILT[name]))


@pytest.mark.parametrize("name", ["alanine-dipeptide", *BUILT])
def test_every_atom_is_placed_once_from_atoms_placed_before(name: str) -> None:
    topology = alanine().topology if name == "alanine-dipeptide" else topology_of(*BUILT[name])
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


@pytest.mark.parametrize("name", ["alanine-dipeptide", *BUILT])
def test_followers_share_the_references_of_their_leader(name: str) -> None:
    rows = {placement.atom: placement for placement in built(name).placements}
    for placement in rows.values():
        if placement.leader in rows:
            leader = rows[placement.leader]
            assert (leader.bond, leader.angle, leader.torsion) == (placement.bond, placement.angle, placement.torsion)
            assert leader.leader == leader.atom


def test_alanine_dipeptide_rotates_about_two_backbone_bonds_and_three_methyls() -> None:
    zmatrix = built("alanine-dipeptide")
    rows = {placement.atom: placement for placement in zmatrix.placements}
    axes = {frozenset((rows[leader].bond, rows[leader].angle)) for leader in zmatrix.free}
    assert axes == {frozenset(pair) for pair in [(6, 8), (8, 14), (1, 4), (8, 10), (16, 18)]}
    assert {frozenset(group) for group in zmatrix.triples.values()} == {
        frozenset(group) for group in [(0, 2, 3), (11, 12, 13), (19, 20, 21)]
    }


def test_an_ammonium_group_is_a_triple_and_methylene_is_none() -> None:
    zmatrix = built("ammonium")
    assert [sorted(group) for group in zmatrix.triples.values()] == [[1, 2, 3]]


def test_two_methyls_are_two_triples() -> None:
    assert sorted(sorted(group) for group in built("propane").triples.values()) == [[3, 4, 5], [8, 9, 10]]


def test_a_single_centre_has_no_free_torsion() -> None:
    zmatrix = built("chiral")
    assert zmatrix.free == frozenset()
    assert zmatrix.triples == {}


def test_the_root_prefers_heavy_atoms() -> None:
    topology = topology_of(*BUILT["propane"])
    assert all(topology.atoms[i].element == "C" for i in build_zmatrix(topology).root)


def test_ring_bonds_do_not_rotate() -> None:
    ring = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (0, 5), (0, 6), (6, 7))
    zmatrix = build_zmatrix(topology_of("C C C C C C C O", ring))
    rows = {placement.atom: placement for placement in zmatrix.placements}
    assert {frozenset((rows[leader].bond, rows[leader].angle)) for leader in zmatrix.free} == {frozenset((0, 6))}


def test_amides_are_told_from_amines_and_esters() -> None:
    topology = alanine().topology
    neighbours = topology.neighbours()
    amides = {bond for bond in topology.bonds if is_amide(topology, neighbours, *bond)}
    assert amides == {(4, 6), (14, 16)}
    assert all(is_amide(topology, neighbours, j, i) for i, j in amides)


def test_the_same_topology_gives_the_same_tree() -> None:
    assert built("alanine-dipeptide") == built("alanine-dipeptide")


def test_too_few_atoms_and_two_molecules_are_refused() -> None:
    with pytest.raises(InputError, match="fewer than four"):
        build_zmatrix(topology_of("O H H", ((0, 1), (0, 2))))
    with pytest.raises(InputError, match="more than one molecule"):
        build_zmatrix(topology_of("C C C C O H", ((0, 1), (1, 2), (2, 3), (4, 5))))
