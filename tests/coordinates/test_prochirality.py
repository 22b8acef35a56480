"""Names of equal branches are a convention that is matched; chirality is not touched."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from molgen.coordinates import prochirality
from molgen.coordinates.branches import equal_branches
from molgen.coordinates.domain import Domain, domain_of
from molgen.coordinates.prochirality import exchanges_of, match_labels
from molgen.energies.factory import open_energy
from molgen.systems.definition import SystemDefinition, TopologySection
from molgen.systems.forcefield import build_molecule
from molgen.systems.loading import load_system
from molgen.systems.system import MolecularSystem
from tests.molecules import alanine, topology_of

FOLDER = Path(__file__).parent.parent
MIRROR = np.array([-1.0, 1.0, 1.0])


@cache
def capped(name: str) -> MolecularSystem:
    """Ace-X-Nme of an L residue under amber99sbildn; names as in ``tests/<name>_dipeptide.pdb``."""
    if name == "alanine":
        return alanine()
    definition = SystemDefinition(name=name, topology=TopologySection(file=f"{name}_dipeptide.pdb"))
    topology, positions, xml = build_molecule(FOLDER / f"{name}_dipeptide.pdb", definition.forcefield, FOLDER)
    return MolecularSystem(definition, topology, positions, xml)


def index_of(system: MolecularSystem, *names: str) -> list[int]:
    found = {atom.name: k for k, atom in enumerate(system.topology.atoms) if atom.residue_index == 1}
    return [found[name] for name in names]


def shaken(system: MolecularSystem, n: int = 12) -> np.ndarray:
    noise = np.random.default_rng(4).normal(scale=0.004, size=(n, system.n_particles, 3))
    return np.asarray(system.positions + noise)


def permuted(frames: np.ndarray, order: dict[int, int]) -> np.ndarray:
    result = frames.copy()
    for label, source in order.items():
        result[:, label] = frames[:, source]
    return result


METHYL = {"valine": (("CG1", "HG11", "HG12", "HG13"), ("CG2", "HG21", "HG22", "HG23"))}
METHYL["leucine"] = (("CD1", "HD11", "HD12", "HD13"), ("CD2", "HD21", "HD22", "HD23"))
RELABELLED = [
    ("alanine", [("HB1", "HB2")], "CB"),
    ("leucine", [("HB2", "HB3")], "CB"),
    ("leucine", [("HD11", "HD12")], "CD1"),
    ("valine", list(zip(*METHYL["valine"], strict=True)), "CB"),
    ("leucine", list(zip(*METHYL["leucine"], strict=True)), "CG"),
    ("valine", [("CG1", "CG2"), ("HG11", "HG22"), ("HG12", "HG21"), ("HG13", "HG23")], "CB"),
    ("leucine", [("HB2", "HB3"), *zip(*METHYL["leucine"], strict=True), ("HD11", "HD13")], "CG"),
]


@pytest.mark.parametrize(("name", "pairs", "centre"), RELABELLED)
def test_relabelled_branches_come_back_and_the_energy_stays(
    name: str, pairs: list[tuple[str, str]], centre: str
) -> None:
    system = capped(name)
    frames = shaken(system)
    domain = domain_of(system)
    assert domain.contains(frames).all()
    theirs = frames
    for pair in pairs:
        first, second = index_of(system, *pair)
        theirs = permuted(theirs, {first: second, second: first})
    theirs[:4] = frames[:4]  # these carry the system's own labels
    assert domain.contains(theirs).tolist() == [True] * 4 + [False] * 8
    matched, relabelled = match_labels(theirs, system)
    assert domain.contains(matched).all()
    assert relabelled[index_of(system, centre)[0]] == 8
    np.testing.assert_array_equal(matched[:4], theirs[:4])
    energy = open_energy(system, platform="Reference")
    before, after = (energy.reduced(x, purpose="data") for x in (theirs, matched))
    np.testing.assert_allclose(after, before, atol=1e-6)
    again, none = match_labels(matched, system)
    assert again is matched
    assert none == {}


@pytest.mark.parametrize("name", ["alanine", "valine", "leucine"])
def test_a_mirrored_molecule_stays_mirrored(name: str) -> None:
    system = capped(name)
    mirrored = shaken(system) * MIRROR
    matched, _ = match_labels(mirrored, system)
    assert not domain_of(system).contains(matched).any()
    assert domain_of(system).violations(matched)["handedness"].all()
    assert domain_of(system).contains(match_labels(matched * MIRROR, system)[0]).all()


@pytest.mark.parametrize("name", ["alanine", "valine", "leucine"])
def test_the_alpha_carbon_is_never_touched(name: str) -> None:
    (alpha,) = index_of(capped(name), "CA")
    assert alpha not in {exchange.centre for exchange in exchanges_of(capped(name).topology)}


def test_single_precision_and_frames_that_are_not_finite() -> None:
    system = capped("leucine")
    first, second = index_of(system, "HB2", "HB3")
    frames = permuted(shaken(system).astype(np.float32), {first: second, second: first})
    frames[3, first] = np.nan
    matched, relabelled = match_labels(frames, system)
    assert matched.dtype == np.float32
    assert sum(relabelled.values()) == 11
    np.testing.assert_array_equal(matched[3], frames[3])


def test_an_analytic_system_has_no_labels() -> None:
    positions = np.zeros((3, 1, 1))
    assert match_labels(positions, load_system("double-well")) == (positions, {})


def test_hydrogens_of_a_planar_nitrogen_are_matched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Formamide, whose C-N bond is watched by one of the two hydrogens."""
    topology = topology_of("O C H N H H", ((0, 1), (1, 2), (1, 3), (3, 4), (3, 5)))
    flat = [[-0.06, 0.1, 0], [0, 0, 0], [-0.05, -0.1, 0], [0.13, 0, 0], [0.18, 0.09, 0], [0.18, -0.09, 0]]
    system = MolecularSystem(alanine().definition, topology, np.array(flat), alanine().system_xml)
    domain = Domain(planar=((0, 1, 3, 4),), angles=(0.0,))
    monkeypatch.setattr(prochirality, "domain_of", lambda _: domain)
    frames = np.stack([np.array(flat)] * 3)
    frames[1:, [4, 5]] = frames[1:, [5, 4]]
    assert domain.contains(frames).tolist() == [True, False, False]
    matched, relabelled = match_labels(frames, system)
    assert relabelled == {3: 2}
    np.testing.assert_array_equal(matched, np.stack([np.array(flat)] * 3))


def star(branches: list[str]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Elements and bonds of a carbon with chains such as ``"CO"`` hanging on it."""
    elements, bonds = ["C"], []
    for branch in branches:
        before = 0
        for element in branch:
            bonds.append((before, len(elements)))
            before = len(elements)
            elements.append(element)
    return " ".join(elements), tuple(bonds)


def test_branches_are_compared_to_their_ends() -> None:
    elements, bonds = star(["CCO", "CCO", "CCN", "H"])
    topology = topology_of(elements, bonds)
    assert equal_branches(topology, 0, 1, 4) == ((1, 2, 3), (4, 5, 6))
    assert equal_branches(topology, 0, 1, 7) is None
    assert equal_branches(topology, 0, 1, 10) is None


def test_neighbours_in_one_ring_are_no_branches_and_rings_are_matched_as_graphs() -> None:
    ring = topology_of("C C C C H H", ((0, 1), (1, 2), (2, 3), (0, 3), (0, 4), (0, 5)))
    assert equal_branches(ring, 0, 1, 3) is None
    assert equal_branches(ring, 0, 4, 5) == ((4,), (5,))
    # A three-ring with its tail beside a four-chain: as many atoms and the same elements, but other bonds.
    bonds = ((0, 1), (1, 2), (2, 3), (1, 3), (0, 4), (4, 5), (5, 6))
    assert equal_branches(topology_of("C C C C C C C", bonds), 0, 1, 4) is None
    twins = ((0, 1), (1, 2), (2, 3), (1, 3), (0, 4), (4, 5), (5, 6), (4, 6))
    match = equal_branches(topology_of("C C C C C C C", twins), 0, 1, 4)
    assert match is not None
    assert match[0][0] == 1
    assert match[1][0] == 4


def test_equal_bonds_but_opposite_stereocentres_are_no_equal_labels() -> None:
    """2,4-dichloropentane's middle carbon between an R and an S centre: exchanging the branches would invert both."""
    elements, bonds = star(["H", "O"])
    symbols, rows = elements.split(), list(bonds)
    for _ in range(2):  # two branches CH(F)(Cl)
        carbon = len(symbols)
        symbols += ["C", "H", "F", "Cl"]
        rows += [(0, carbon), *((carbon, carbon + k) for k in (1, 2, 3))]
    topology = topology_of(" ".join(symbols), tuple(rows))
    rng = np.random.default_rng(0)
    tetra = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]) * 0.06
    positions = np.zeros((11, 3))
    positions[[1, 2, 3, 7]] = tetra
    for carbon, mirror in ((3, 1.0), (7, -1.0)):
        outward = positions[carbon] / np.linalg.norm(positions[carbon])
        side = np.linalg.svd(outward[None])[2][1:]
        side[1] = np.cross(outward, side[0])
        for k, angle in enumerate((0.0, 2.0, 4.0)):
            around = np.cos(angle) * side[0] + mirror * np.sin(angle) * side[1]
            positions[carbon + 1 + k] = positions[carbon] + 0.03 * outward + 0.1 * around
    system = MolecularSystem(alanine().definition, topology, positions, alanine().system_xml)
    epimer = permuted(positions[None] + 0.001 * rng.normal(size=(3, 11, 3)), {1: 2, 2: 1})
    matched, relabelled = match_labels(epimer, system)
    assert relabelled == {}
    np.testing.assert_array_equal(matched, epimer)
