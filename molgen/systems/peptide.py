"""Peptides from nothing but their sequence: an extended chain, placed by rule and relaxed in the force field.

There is no randomness: the same sequence gives the same structure. Handedness and the labels of prochiral hydrogens
follow IUPAC (J. L. Markley et al., Pure Appl. Chem. 70, 117 (1998), doi:10.1351/pac199870010117).
"""

import numpy as np

from molgen.arrays import FloatArray
from molgen.errors import InputError
from molgen.systems.built import BuiltMolecule
from molgen.systems.definition import ForceFieldSection
from molgen.systems.extended_chain import clockwise_orders, omegas, starts
from molgen.systems.peptide_chain import PeptideChain, assemble
from molgen.systems.relaxation import relax
from molgen.systems.residues import residue_library
from molgen.systems.sequence import PeptideSequence

_BOND_TOLERANCE_NM = 0.01
_TRANS_COSINE = -0.77  # of an omega within 40 degrees of trans
_LEAST_DISTANCE_NM = 0.13  # between atoms that are not neighbours of one another or of a common atom


def build_peptide(sequence: PeptideSequence, *, name: str) -> BuiltMolecule:
    """The peptide with all hydrogens, extended (bent where a disulphide asks for it) and relaxed, in the default field.

    A structure that is not the molecule that was asked for is never handed on: ``InputError`` where no start relaxes to
    it, as may happen to disulphides that are strained.
    """
    chain = assemble(sequence)
    topology = chain.topology()
    faults: list[str] = []
    for start in starts(chain):
        positions = relax(topology, start, clockwise_orders(chain), omegas(chain), chain.disulphides)
        faults = structure_faults(chain, positions)
        if not faults:
            return BuiltMolecule(name, topology, positions, ForceFieldSection(), choices=sequence.choices)
    raise InputError(
        f"No sound structure of {sequence.letters} was found ({faults[0]}).",
        "Give a structure with --pdb" + (", or other disulphides." if chain.disulphides else "."),
    )


def structure_faults(chain: PeptideChain, positions: FloatArray) -> list[str]:
    """What is wrong with ``positions`` (N, 3): bond lengths, handedness, peptide bonds, atoms too close."""
    if not np.isfinite(positions).all():
        return ["positions that are not finite"]
    return [
        *_bond_faults(chain, positions),
        *_handedness_faults(chain, positions),
        *_omega_faults(chain, positions),
        *_contact_faults(chain, positions),
    ]


def _bond_faults(chain: PeptideChain, positions: FloatArray) -> list[str]:
    library = residue_library()
    faults = []
    for i, j in (*chain.bonds, *chain.disulphides):
        wanted = library.length(chain.atoms[i].template.atom_class, chain.atoms[j].template.atom_class)
        length = float(np.linalg.norm(positions[i] - positions[j]))
        if abs(length - wanted) > _BOND_TOLERANCE_NM:
            faults.append(f"bond {_label(chain, i)}-{_label(chain, j)} of {length:.3f} nm instead of {wanted:.3f}")
    return faults


def _handedness_faults(chain: PeptideChain, positions: FloatArray) -> list[str]:
    faults = []
    for centre, order in clockwise_orders(chain).items():
        _, b, c, d = order
        volume = float(np.linalg.det(positions[[b, c, d]] - positions[centre]))
        if volume <= 0.0:
            faults.append(f"handedness of {_label(chain, centre)}")
    return faults


def _omega_faults(chain: PeptideChain, positions: FloatArray) -> list[str]:
    faults = []
    for a, b, c, d in omegas(chain):
        first = np.cross(positions[b] - positions[a], positions[c] - positions[b])
        second = np.cross(positions[c] - positions[b], positions[d] - positions[c])
        if first @ second / (np.linalg.norm(first) * np.linalg.norm(second)) > _TRANS_COSINE:
            faults.append(f"peptide bond {_label(chain, b)}-{_label(chain, c)} not trans")
    return faults


def _contact_faults(chain: PeptideChain, positions: FloatArray) -> list[str]:
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    faults = []
    for i, j in np.argwhere(distances < _LEAST_DISTANCE_NM):
        if i >= j or j in chain.neighbours[i] or set(chain.neighbours[i]) & set(chain.neighbours[j]):
            continue
        faults.append(f"{_label(chain, int(i))} and {_label(chain, int(j))} too close")
    return faults


def _label(chain: PeptideChain, atom: int) -> str:
    entry = chain.atoms[atom]
    return f"{chain.names[entry.residue]} {entry.residue} {entry.template.name}"
