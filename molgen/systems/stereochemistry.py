"""What a peptide's structure settles, in sentences: D residues, inverted side chains, cis bonds, histidines."""

import numpy as np

from molgen.arrays import FloatArray
from molgen.systems.pdb_text import residue_number
from molgen.systems.topology import MolecularTopology

# Neighbours of a centre that follow one another clockwise, seen from the main chain's side, in the usual handedness.
_BRANCHED: dict[str, tuple[str, str, str]] = {"ILE": ("CG1", "HB", "CG2"), "THR": ("OG1", "HB", "CG2")}
_HISTIDINES = {
    (True, False): "HID: neutral with its hydrogen on ND1",
    (False, True): "HIE: neutral with its hydrogen on NE2",
    (True, True): "HIP: positive with hydrogens on ND1 and NE2",
}


def structure_notes(topology: MolecularTopology, positions: FloatArray) -> tuple[str, ...]:
    """Sentences about D residues, inverted side chains of Ile and Thr, cis peptide bonds and histidines of a structure.

    ``positions`` (N, 3) in nm. They say what is kept as it is, for better or worse.
    """
    residues: dict[int, dict[str, int]] = {}
    for index, atom in enumerate(topology.atoms):
        residues.setdefault(atom.residue_index, {})[atom.name] = index
    notes = []
    for atoms in residues.values():
        first = topology.atoms[next(iter(atoms.values()))]
        label = f"{first.residue_name} {residue_number(topology, first)}"
        backwards = {"N", "CA", "C", "CB"} <= atoms.keys() and _volume(positions, atoms, "CA", ("N", "C", "CB")) < 0.0
        if backwards:
            notes.append(f"{label} is a D residue, and stays one.")
        branch = _BRANCHED.get(first.residue_name, ("",) * 3)
        whole = {"CB", *branch} <= atoms.keys()
        if whole and (_volume(positions, atoms, "CB", branch) < 0.0) != backwards:
            notes.append(f"The side chain of {label} is inverted at CB (allo), and stays so.")
        kind = _HISTIDINES.get(("HD1" in atoms, "HE2" in atoms)) if first.residue_name == "HIS" else None
        if kind is not None:
            notes.append(f"{label} is {kind}, as in the structure.")
    return (*notes, *_cis_notes(topology, positions))


def _cis_notes(topology: MolecularTopology, positions: FloatArray) -> list[str]:
    neighbours = topology.neighbours()
    atoms = topology.atoms
    notes = []
    for i, j in topology.bonds:
        for c, n in ((i, j), (j, i)):
            if (atoms[c].name, atoms[n].name) != ("C", "N") or atoms[c].residue_index == atoms[n].residue_index:
                continue
            left = [k for k in neighbours[c] if atoms[k].element == "C"]
            right = sorted(
                (k for k in neighbours[n] if atoms[k].element == "C" and k != c), key=lambda k: atoms[k].name != "CA"
            )
            if left and right and _is_cis(positions, (left[0], c, n, right[0])):
                pair = " and ".join(f"{atoms[k].residue_name} {residue_number(topology, atoms[k])}" for k in (c, n))
                notes.append(f"The peptide bond between {pair} is cis.")
    return notes


def _is_cis(positions: FloatArray, torsion: tuple[int, int, int, int]) -> bool:
    a, b, c, d = (positions[k] for k in torsion)
    return float(np.cross(b - a, c - b) @ np.cross(c - b, d - c)) > 0.0


def _volume(positions: FloatArray, atoms: dict[str, int], centre: str, others: tuple[str, str, str]) -> float:
    return float(np.linalg.det(positions[[atoms[name] for name in others]] - positions[atoms[centre]]))
