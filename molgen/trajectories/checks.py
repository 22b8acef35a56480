"""Are these frames of this system? The checks a trajectory passes before anything is computed from it."""

import numpy as np

from molgen.arrays import BoolArray, FloatArray
from molgen.errors import InputError
from molgen.systems.radii import COVALENT_RADII_NM
from molgen.systems.system import MolecularSystem, System
from molgen.trajectories.frames import AnyFloatArray

BOND_GATE_NM = (0.05, 0.3)
"""Between these lies the median covalent bond length of any molecule in nm."""

# Triple bonds are 0.78 of the sum of radii, atoms two bonds apart 1.6.
_BOND_RATIO = (0.7, 1.35)
_BROKEN_RATIO = 2.0
_MAX_FRAMES = 2000


def check_positions(positions: AnyFloatArray, system: System, source: str, used: BoolArray | None = None) -> None:
    """``InputError`` unless frames (n, N, D) are there, finite, in nm, whole, and bonded as the system is.

    ``used`` (n,) marks the frames that count; others (of weight zero) may be anything.
    """
    chosen = positions if used is None else positions[used]
    if len(chosen) == 0:
        raise InputError(f"{source} holds no frames.", "Give a trajectory with at least one frame.")
    bad = ~np.isfinite(chosen).all(axis=(1, 2))
    if bad.any():
        message = f"{source} holds {int(bad.sum())} frames with coordinates that are not finite."
        raise InputError(message, "The simulation that made it blew up; leave these frames out.")
    if isinstance(system, MolecularSystem) and system.topology.bonds:
        _check_bonds(chosen, system, source)


def _check_bonds(positions: AnyFloatArray, system: MolecularSystem, source: str) -> None:
    lengths = bond_lengths(positions[:: max(1, len(positions) // _MAX_FRAMES)], system)
    median = float(np.median(lengths))
    low, high = BOND_GATE_NM
    if low <= median / 10.0 <= high and median > high:
        message = f"The bonds in {source} have a median length of {median:.2f} nm: this looks like ångström."
        raise InputError(message, "Divide the coordinates by ten, or write the file with its unit.")
    if low <= median * 10.0 <= high and median < low:
        message = f"The bonds in {source} have a median length of {median:.3g} nm: ten times too short."
        raise InputError(message, "It was written in nanometre as if that were ångström; multiply by ten.")
    if not low <= median <= high:
        message = f"The bonds in {source} have a median length of {median:.3g} nm, which no molecule has."
        raise InputError(message, "Check the unit of its coordinates (nm) and the order of its atoms.")
    for column, (i, j) in enumerate(system.topology.bonds):
        first, second = system.topology.atoms[i], system.topology.atoms[j]
        if first.element not in COVALENT_RADII_NM or second.element not in COVALENT_RADII_NM:
            continue
        expected = COVALENT_RADII_NM[first.element] + COVALENT_RADII_NM[second.element]
        ratio = float(np.median(lengths[:, column])) / expected
        if not _BOND_RATIO[0] <= ratio <= _BOND_RATIO[1]:
            bond = f"{first.name} {i} - {second.name} {j}"
            message = f"The bond {bond} in {source} has a median length of {ratio * expected:.3f} nm."
            raise InputError(
                message, f"Put its atoms in the order of {system.name} and make molecules whole across a box."
            )


def check_unbroken(positions: AnyFloatArray, system: MolecularSystem, source: str, *, periodic: bool) -> None:
    """``InputError`` if a bond of any single frame (n, N, 3) is so long that the molecule must be in pieces.

    ``periodic`` says whether the file had a box: then its molecules were made whole before.
    """
    elements = [atom.element for atom in system.topology.atoms]
    columns = [
        k for k, (i, j) in enumerate(system.topology.bonds) if {elements[i], elements[j]} <= set(COVALENT_RADII_NM)
    ]
    if not columns:
        return
    bonds = [system.topology.bonds[k] for k in columns]
    limit = _BROKEN_RATIO * np.array(
        [COVALENT_RADII_NM[elements[i]] + COVALENT_RADII_NM[elements[j]] for i, j in bonds]
    )
    broken, worst, where = 0, 0.0, 0
    for start in range(0, len(positions), _MAX_FRAMES):
        ratios = bond_lengths(positions[start : start + _MAX_FRAMES], system)[:, columns] / limit
        broken += int((ratios > 1.0).any(axis=1).sum())
        if float(ratios.max()) > worst:
            worst, where = float(ratios.max()), int(np.unravel_index(ratios.argmax(), ratios.shape)[1])
    if not broken:
        return
    i, j = bonds[where]
    bond = f"{system.topology.atoms[i].name} {i} - {system.topology.atoms[j].name} {j}"
    message = f"In {broken} of {len(positions)} frames of {source} the molecule is broken (bond {bond} of "
    message += f"{worst * limit[where]:.2f} nm)"
    if periodic:
        raise InputError(f"{message}, and its box does not make it whole.", "The simulation blew up; leave these out.")
    raise InputError(
        f"{message}, and the file holds no periodic box to make it whole with.",
        "Make molecules whole where the box is known (gmx trjconv -pbc whole, cpptraj autoimage).",
    )


def bond_lengths(positions: AnyFloatArray, system: MolecularSystem) -> FloatArray:
    """Lengths (n, bonds) in nm at positions (n, N, 3)."""
    first, second = np.asarray(system.topology.bonds, dtype=np.int64).T
    difference = np.asarray(positions[:, second] - positions[:, first], dtype=np.float64)
    return np.asarray(np.linalg.norm(difference, axis=-1), dtype=np.float64)
