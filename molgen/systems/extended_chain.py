"""A peptide chain stretched out: which torsions and handedness make it, and the positions that follow."""

import itertools
import math
from collections.abc import Iterator

import numpy as np

from molgen.arrays import FloatArray
from molgen.systems.peptide_chain import PeptideChain
from molgen.systems.placement import Blueprint, place
from molgen.systems.residues import is_planar, residue_library

_STRETCHED = ((-135.0, 135.0), (-120.0, 120.0), (-75.0, 145.0))  # phi and psi in degrees, tried in this order
_TRIALS = 6  # of a chain with disulphides
_PROLINE_PHI = -65.0
_PROLINE_PUCKER = -10.0  # CA-N-CD-CG, which brings CG near enough to CB to be bonded
_LEUCINE_CHI2 = 60.0  # CA-CB-CG-CD1 beside a chi1 of 180; straight on, CD2 would run into the backbone
_STRAIGHT = 180.0
_REMOTENESS = "ABGDEZH"  # Greek letters of PDB atom names, from the main chain outwards
_FLAT_RINGS: dict[str, tuple[str, ...]] = {
    "PHE": ("CG CD1 CE1 CZ CE2 CD2",),
    "TYR": ("CG CD1 CE1 CZ CE2 CD2",),
    "TRP": ("CG CD1 NE1 CE2 CD2", "CD2 CE2 CZ2 CH2 CZ3 CE3"),
    "HIS": ("CG ND1 CE1 NE2 CD2",),
}
_SWAPPED = {("ILE", "CB")}  # where the hydrogen comes before the second heavy atom, clockwise

# Backbones that bring the ends of a loop together (turns of several kinds) and rotamers of its cysteines, in degrees.
_BENDS = ((-135.0, 135.0), (-60.0, -45.0), (-60.0, -25.0), (-90.0, 0.0), (-75.0, 145.0), (-120.0, 60.0), (-100.0, 30.0))
_ROTAMERS = (-60.0, 180.0, 60.0)
_OVERLAP_NM = 0.16
_OVERLAP_COST_NM = 0.1
_SULFUR_BOND_NM = 0.2038

Backbone = list[tuple[float, float]]
"""phi and psi in degrees of every residue of the chain, caps included (theirs are not used)."""


def starts(chain: PeptideChain) -> Iterator[FloatArray]:
    """Positions (N, 3) in nm to relax the chain from, the most promising first.

    Without a disulphide the backbone is stretched out. With disulphides the residues between the cysteines are bent so
    that these meet.
    """
    if chain.disulphides:
        for rank in range(_TRIALS):
            yield _bent(chain, rank)
    else:
        for phi, psi in _STRETCHED:
            yield place(blueprint(chain, _uniform(chain, phi, psi), {}))


def clockwise_orders(chain: PeptideChain) -> dict[int, tuple[int, int, int, int]]:
    """For every atom with four neighbours: the one nearest to the main chain, and the others clockwise seen from it.

    At CA that is N, then C, HA, CB (an L residue; HA3 of glycine stands where CB would). On side chains heavy atoms
    come before hydrogens, each by their names, but for CB of isoleucine.
    """
    return {k: _order(chain, k) for k, around in enumerate(chain.neighbours) if len(around) == 4}


def omegas(chain: PeptideChain) -> tuple[tuple[int, int, int, int], ...]:
    """(CA, C, N, CA) of every peptide bond; the methyl carbon of a cap stands for its CA."""

    def alpha(k: int) -> int:
        return chain.index[k, "CA" if (k, "CA") in chain.index else "CH3"]

    return tuple(
        (alpha(k), chain.index[k, "C"], chain.index[k + 1, "N"], alpha(k + 1)) for k in range(len(chain.residues) - 1)
    )


def blueprint(chain: PeptideChain, backbone: Backbone, chi1: dict[int, float]) -> Blueprint:
    """What places the chain; ``chi1`` in degrees of the residues (by index in the chain) that are not to be at 180."""
    library = residue_library()
    classes = [atom.template.atom_class for atom in chain.atoms]
    bridges = {frozenset(pair) for pair in chain.disulphides}
    neighbours = tuple(
        tuple(other for other in around if frozenset((k, other)) not in bridges)
        for k, around in enumerate(chain.neighbours)
    )

    def angle(i: int, j: int, k: int) -> float:
        return library.angle(classes[i], classes[j], classes[k])

    planar = frozenset(
        k
        for k, around in enumerate(neighbours)
        if is_planar([angle(i, k, j) for i, j in itertools.combinations(around, 2)])
    )
    return Blueprint(
        neighbours=neighbours,
        start=_start(chain),
        length=lambda i, j: library.length(classes[i], classes[j]),
        angle=angle,
        clockwise=clockwise_orders(chain),
        torsions=_torsions(chain, backbone, chi1),
        planar=planar,
        rings=_flat_rings(chain),
    )


def _start(chain: PeptideChain) -> tuple[int, int, int]:
    if chain.residues[0] == "ACE":
        return chain.index[0, "CH3"], chain.index[0, "C"], chain.index[1, "N"]
    return chain.index[0, "N"], chain.index[0, "CA"], chain.index[0, "C"]


def _flat_rings(chain: PeptideChain) -> tuple[frozenset[int], ...]:
    return tuple(
        frozenset(chain.index[number, atom] for atom in ring.split())
        for number, name in enumerate(chain.names)
        for ring in _FLAT_RINGS.get(name, ())
    )


def _torsions(
    chain: PeptideChain, backbone: Backbone, chi1: dict[int, float]
) -> dict[tuple[int, int], tuple[int, int, float]]:
    """The torsions of the backbone, of proline's ring, of leucine, and those in ``chi1``, as a blueprint takes them."""
    at, table = chain.index, {}

    def add(b: tuple[int, str], c: tuple[int, str], a: tuple[int, str], d: tuple[int, str], degrees: float) -> None:
        if all(key in at for key in (a, b, c, d)):
            table[at[b], at[c]] = (at[a], at[d], math.radians(degrees))

    for k, name in enumerate(chain.names):
        phi, psi = backbone[k]
        after_c = (k + 1, "N") if (k + 1, "N") in at else (k, "O")
        add((k, "N"), (k, "CA"), (k - 1, "C"), (k, "C"), phi)
        add((k, "CA"), (k, "C"), (k, "N"), after_c, psi)
        alpha_before = (k - 1, "CA") if (k - 1, "CA") in at else (k - 1, "CH3")
        alpha = (k, "CA") if (k, "CA") in at else (k, "CH3")
        add((k - 1, "C"), (k, "N"), alpha_before, alpha, _STRAIGHT)
        if name == "PRO":
            add((k, "N"), (k, "CD"), (k, "CA"), (k, "CG"), _PROLINE_PUCKER)
        if name == "LEU":
            add((k, "CB"), (k, "CG"), (k, "CA"), (k, "CD1"), _LEUCINE_CHI2)
        if k in chi1:
            add((k, "CA"), (k, "CB"), (k, "N"), (k, "SG"), chi1[k])
    return table


def _order(chain: PeptideChain, centre: int) -> tuple[int, int, int, int]:
    atom = chain.atoms[centre]
    around = sorted(chain.neighbours[centre], key=lambda other: _rank(chain, other))
    if atom.template.name == "CA":
        names = {chain.atoms[k].template.name: k for k in around}
        third = next(names[name] for name in ("CB", "HA3") if name in names)
        hydrogen = next(names[name] for name in ("HA", "HA2") if name in names)
        return names["N"], names["C"], hydrogen, third
    first, second, third, fourth = _nearest_first(chain, centre, around)
    if (chain.names[atom.residue], atom.template.name) in _SWAPPED:
        return first, second, fourth, third
    return first, second, third, fourth


def _nearest_first(chain: PeptideChain, centre: int, around: list[int]) -> list[int]:
    """``around`` with the neighbour towards the main chain at its head."""
    name = chain.atoms[centre].template.name

    def towards(other: int) -> bool:
        theirs = chain.atoms[other].template.name
        if name in ("N", "CH3"):  # a charged end or a cap: towards CA, or across the amide bond
            return theirs in ("CA", "C", "N")
        return len(theirs) > 1 and theirs[0] != "H" and _remoteness(theirs) == _remoteness(name) - 1

    head = next(other for other in around if towards(other))
    return [head, *(other for other in around if other != head)]


def _remoteness(name: str) -> int:
    return _REMOTENESS.find(name[1]) if len(name) > 1 else -1


def _rank(chain: PeptideChain, atom: int) -> tuple[bool, str]:
    template = chain.atoms[atom].template
    return template.element == "H", template.name


def _uniform(chain: PeptideChain, phi: float, psi: float) -> Backbone:
    return [(_PROLINE_PHI if name == "PRO" else phi, psi) for name in chain.names]


def _bent(chain: PeptideChain, rank: int) -> FloatArray:
    """The start with the cysteines near their partners, ``rank`` from the best, among uniform bends and rotamers.

    Loops are bent one after the other, in the order of their sizes, so that an inner one is not undone by an outer one.
    """
    residue = {k: chain.atoms[k].residue for pair in chain.disulphides for k in pair}
    backbone = _uniform(chain, *_STRETCHED[0])
    chi1: dict[int, float] = {}
    bent: set[int] = set()
    for first, second in sorted(chain.disulphides, key=lambda pair: pair[1] - pair[0]):
        i, j = residue[first], residue[second]
        trials = []
        for bend, at_i, at_j in itertools.product(_BENDS, _ROTAMERS, _ROTAMERS):
            uniform = _uniform(chain, *bend)
            trial = [uniform[k] if i <= k <= j and k not in bent else angles for k, angles in enumerate(backbone)]
            rotamers = {**chi1, i: at_i, j: at_j}
            positions = place(blueprint(chain, trial, rotamers))
            gap = abs(float(np.linalg.norm(positions[first] - positions[second])) - _SULFUR_BOND_NM)
            trials.append((round(gap + _overlap_cost(positions), 6), trial, rotamers))
        trials.sort(key=lambda entry: entry[0])
        _, backbone, chi1 = trials[rank]
        bent |= set(range(i, j + 1))
    return place(blueprint(chain, backbone, chi1))


def _overlap_cost(positions: FloatArray) -> float:
    """A cost of atoms that sit on one another, in nm as a gap is (near neighbours add much the same to every trial)."""
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    return float(_OVERLAP_COST_NM * np.count_nonzero(np.triu(distances < _OVERLAP_NM, 1)))
