"""Whether frames of one system are frames of another under the same measure: one can be weighed to the other then."""

import numpy as np

from molgen.coordinates.domain import domain_of
from molgen.errors import InputError
from molgen.systems.constraints import read_virtual_sites
from molgen.systems.system import MolecularSystem, System

_LENGTH_TOLERANCE_NM = 1e-6


def check_same_space(target: System, drawn: System) -> None:
    """``InputError`` unless both have the same particles, fixed distances, virtual sites and domain.

    Then a frame of ``drawn`` is one of ``target``, and a density with respect to one's measure is one with respect to
    the other's. The structures and force fields may differ.
    """
    if (target.n_particles, target.dim) != (drawn.n_particles, drawn.dim):
        sizes = f"{target.n_particles} particles in {target.dim} dimensions"
        raise InputError(
            f"{target.name} has {sizes}, the draws have {drawn.n_particles} in {drawn.dim}.", _SAME.format("molecule")
        )
    if isinstance(target, MolecularSystem) != isinstance(drawn, MolecularSystem):
        raise InputError(f"{target.name} and {drawn.name} are not of the same kind.", _SAME.format("molecule"))
    if isinstance(target, MolecularSystem) and isinstance(drawn, MolecularSystem):
        _check_atoms(target, drawn)
        _check_measure(target, drawn)
        _check_domain(target, drawn)


_SAME = "Give a system.toml of the same {}, atoms in the same order."


def _check_atoms(target: MolecularSystem, drawn: MolecularSystem) -> None:
    for index, (ours, theirs) in enumerate(zip(target.topology.atoms, drawn.topology.atoms, strict=True)):
        if ours.element != theirs.element:
            message = f"Atom {index} of {target.name} is {ours.element}, that of the draws is {theirs.element}."
            raise InputError(message, _SAME.format("molecule"))
    different = _bonds(target) ^ _bonds(drawn)
    if different:
        i, j = min(different)
        message = f"Atoms {i} and {j} are bonded in one of {target.name} and the draws only."
        raise InputError(message, _SAME.format("molecule and bonds"))


def _bonds(system: MolecularSystem) -> set[tuple[int, int]]:
    return {(min(i, j), max(i, j)) for i, j in system.topology.bonds}


def _check_measure(target: MolecularSystem, drawn: MolecularSystem) -> None:
    ours, theirs = ({(i, j): length for i, j, length in system.constraints} for system in (target, drawn))
    differ = {pair for pair in ours.keys() & theirs.keys() if abs(ours[pair] - theirs[pair]) > _LENGTH_TOLERANCE_NM}
    if ours.keys() != theirs.keys() or differ:
        counts = f"{target.name} fixes {len(ours)} distances and the draws' system {len(theirs)}"
        what = f"{counts}, {len(differ)} of them at another length" if differ else counts
        raise InputError(
            f"{what}: densities over different spaces cannot be compared.",
            "Give the force field with the same constraints as the draws' system.",
        )
    if read_virtual_sites(target.system_xml) != read_virtual_sites(drawn.system_xml):
        raise InputError(
            f"{target.name} has other virtual sites than the draws' system, which has other coordinates.",
            "Give a force field with the same virtual sites.",
        )


def _check_domain(target: MolecularSystem, drawn: MolecularSystem) -> None:
    ours, theirs = domain_of(target), domain_of(drawn)
    same = set(ours.centres) == set(theirs.centres) and set(ours.planar) == set(theirs.planar)
    if not same or not bool(np.all(ours.contains(drawn.positions[None]))):
        raise InputError(
            f"{target.name} is another isomer than the draws' system, or has other bonds that may be cis or trans.",
            "Give the topology of the same isomer and the same cis_trans under [domain].",
        )
