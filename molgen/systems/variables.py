"""The collective variables written for a molecule: standard torsions of peptides, and every other rotatable bond."""

import re
from collections import Counter
from collections.abc import Iterable

from molgen.systems.definition import CVSection
from molgen.systems.pdb_text import residue_number
from molgen.systems.topology import Atom, MolecularTopology

Torsion = tuple[int, int, int, int]

# IUPAC-IUB Commission on Biochemical Nomenclature, Biochemistry 9, 3471 (1970), doi:10.1021/bi00820a001: the chain of
# atoms from which chi1, chi2 ... are read, four at a time.
_SIDE_CHAINS: dict[str, str] = {
    "ARG": "N CA CB CG CD NE CZ NH1",
    "ASN": "N CA CB CG OD1",
    "ASP": "N CA CB CG OD1",
    "CYS": "N CA CB SG HG",
    "GLN": "N CA CB CG CD OE1",
    "GLU": "N CA CB CG CD OE1",
    "HIS": "N CA CB CG ND1",
    "ILE": "N CA CB CG1 CD1",
    "LEU": "N CA CB CG CD1",
    "LYS": "N CA CB CG CD CE NZ",
    "MET": "N CA CB CG SD CE",
    "PHE": "N CA CB CG CD1",
    "PRO": "N CA CB CG CD",
    "SER": "N CA CB OG HG",
    "THR": "N CA CB OG1 HG1",
    "TRP": "N CA CB CG CD1",
    "TYR": "N CA CB CG CD1",
    "VAL": "N CA CB CG1",
}
_STIFF_CHI = {("ARG", 5)}  # the guanidinium group is flat


def collective_variables(
    topology: MolecularTopology,
    rotatable: Iterable[tuple[int, int]],
    *,
    rings: Iterable[tuple[int, ...]] = (),
    cis_trans: str = "fixed",
) -> tuple[CVSection, ...]:
    """phi, psi, omega and chi of every amino acid, then the bonds in ``rotatable`` that none of these turns.

    omega (named after the residue before the bond) is given before proline and other N-substituted residues, and
    everywhere if ``cis_trans`` is ``free``. ``rotatable`` should hold no symmetric rotors. ``rings`` are rings that may
    flip, their atoms in order; about every other bond of each a torsion is given, unless it has one already (proline's
    chi). Names are unique identifiers.
    """
    found = [*_backbone(topology, cis_trans), *_side_chains(topology), *_disulphides(topology)]
    turned = {frozenset(torsion[1:3]) for _, torsion in found}
    rest = [bond for bond in rotatable if frozenset(bond) not in turned]
    names = _bond_names(topology, rest, "torsion")
    found += [(name, _ends(topology, bond)) for name, bond in zip(names, rest, strict=True)]
    inside = [torsion for ring in rings if not turned & _bonds_of(ring) for torsion in _inside(ring)]
    names = _bond_names(topology, [torsion[1:3] for torsion in inside], "ring")
    found += zip(names, inside, strict=True)
    return tuple(CVSection(name=name, torsion=torsion) for name, torsion in _unique(found))


def _residues(topology: MolecularTopology) -> list[dict[str, int]]:
    """Atom indices by name of each residue, in order."""
    table: dict[int, dict[str, int]] = {}
    for index, atom in enumerate(topology.atoms):
        table.setdefault(atom.residue_index, {}).setdefault(atom.name, index)
    return [table[key] for key in sorted(table)]


def _number(topology: MolecularTopology, residue: dict[str, int]) -> int:
    return residue_number(topology, topology.atoms[next(iter(residue.values()))])


def _backbone(topology: MolecularTopology, cis_trans: str) -> list[tuple[str, Torsion]]:
    bonded = set(topology.bonds)
    neighbours = topology.neighbours()
    elements = [atom.element for atom in topology.atoms]

    def linked(i: int, j: int) -> bool:
        return (min(i, j), max(i, j)) in bonded

    residues = _residues(topology)
    found: list[tuple[str, Torsion]] = []
    for residue in residues:
        if not {"N", "CA", "C"} <= residue.keys() or not linked(residue["CA"], residue["C"]):
            continue
        n, alpha, carbonyl, k = residue["N"], residue["CA"], residue["C"], _number(topology, residue)
        before = [atom for atom in neighbours[n] if elements[atom] == "C" and _is_carbonyl(topology, atom)]
        after = [atom for atom in neighbours[carbonyl] if elements[atom] == "N"]
        if before:
            found.append((f"phi_{k}", (before[0], n, alpha, carbonyl)))
        ends = after or [atom for atom in neighbours[carbonyl] if elements[atom] == "O"]
        if ends:
            found.append((f"psi_{k}", (n, alpha, carbonyl, ends[0])))
    found += _omegas(topology, cis_trans)
    return sorted(found, key=lambda item: item[1][1:3])


def _is_carbonyl(topology: MolecularTopology, carbon: int) -> bool:
    neighbours = topology.neighbours()
    return any(topology.atoms[k].element == "O" and len(neighbours[k]) == 1 for k in neighbours[carbon])


def _omegas(topology: MolecularTopology, cis_trans: str) -> list[tuple[str, Torsion]]:
    """(CA, C, N, CA) of the bonds between residues that are free, or whose nitrogen carries no hydrogen."""
    neighbours = topology.neighbours()
    atoms = topology.atoms
    found = []
    for i, j in topology.bonds:
        for c, n in ((i, j), (j, i)):
            if (atoms[c].name, atoms[n].name) != ("C", "N") or atoms[c].residue_index == atoms[n].residue_index:
                continue
            left = [k for k in neighbours[c] if atoms[k].element == "C"]
            right = [k for k in neighbours[n] if atoms[k].element == "C" and k != c]
            right.sort(key=lambda k: atoms[k].name != "CA")
            free = cis_trans == "free" or not any(atoms[k].element == "H" for k in neighbours[n])
            if free and left and right:
                found.append((f"omega_{residue_number(topology, atoms[c])}", (left[0], c, n, right[0])))
    return found


def _side_chains(topology: MolecularTopology) -> list[tuple[str, Torsion]]:
    found: list[tuple[str, Torsion]] = []
    for residue in _residues(topology):
        name = topology.atoms[next(iter(residue.values()))].residue_name
        chain = _SIDE_CHAINS.get(name, "").split()
        for k in range(1, len(chain) - 2):
            four = chain[k - 1 : k + 3]
            if (name, k) in _STIFF_CHI or not all(atom in residue for atom in four):
                continue
            a, b, c, d = (residue[atom] for atom in four)
            found.append((f"chi{k}_{_number(topology, residue)}", (a, b, c, d)))
    return found


def _disulphides(topology: MolecularTopology) -> list[tuple[str, Torsion]]:
    """chi2 (CA-CB-SG-SG) of both cysteines and chi3 (CB-SG-SG-CB), named after the first."""
    found: list[tuple[str, Torsion]] = []
    residues = {index: residue for residue in _residues(topology) for index in residue.values()}
    for i, j in topology.bonds:
        if {topology.atoms[i].element, topology.atoms[j].element} != {"S"}:
            continue
        ours, theirs = residues[i], residues[j]
        if not all({"CA", "CB", "SG"} <= residue.keys() for residue in (ours, theirs)):
            continue
        first, second = _number(topology, ours), _number(topology, theirs)
        found.append((f"chi2_{first}", (ours["CA"], ours["CB"], i, j)))
        found.append((f"chi2_{second}", (theirs["CA"], theirs["CB"], j, i)))
        found.append((f"chi3_{first}", (ours["CB"], i, j, theirs["CB"])))
    return found


def _ends(topology: MolecularTopology, bond: tuple[int, int]) -> Torsion:
    """The torsion about ``bond`` with heavy atoms at its ends where there are any, those of lowest index."""
    neighbours = topology.neighbours()

    def end(atom: int, other: int) -> int:
        around = [k for k in neighbours[atom] if k != other]
        return min(around, key=lambda k: (topology.atoms[k].element == "H", k))

    i, j = bond
    return end(i, j), i, j, end(j, i)


def _bonds_of(ring: tuple[int, ...]) -> set[frozenset[int]]:
    return {frozenset((ring[k - 1], ring[k])) for k in range(len(ring))}


def _inside(ring: tuple[int, ...]) -> list[Torsion]:
    """The torsions of four ring atoms about every other bond of ``ring``."""
    n = len(ring)
    return [(ring[k], ring[(k + 1) % n], ring[(k + 2) % n], ring[(k + 3) % n]) for k in range(0, n - 1, 2)]


def _bond_names(topology: MolecularTopology, bonds: list[tuple[int, int]], kind: str) -> list[str]:
    """``torsion_C1_O2``; with residue numbers where an atom name is not the only one of its kind."""
    counts = Counter(atom.name for atom in topology.atoms)

    def label(atom: Atom) -> str:
        name = re.sub(r"[^A-Za-z0-9]", "p", atom.name)
        return name if counts[atom.name] == 1 else f"{name}_{residue_number(topology, atom)}"

    return [f"{kind}_{label(topology.atoms[i])}_{label(topology.atoms[j])}" for i, j in bonds]


def _unique(found: list[tuple[str, Torsion]]) -> list[tuple[str, Torsion]]:
    """``found`` with the atoms' indices appended to names that were given before."""
    seen: set[str] = set()
    result = []
    for name, torsion in found:
        chosen = name if name not in seen else f"{name}_{torsion[1]}_{torsion[2]}"
        seen.add(chosen)
        result.append((chosen, torsion))
    return result
