"""The HDF5 layout of mdtraj, with the rows molgen adds to it; PyTables is imported late."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from molgen.arrays import FloatArray, IntArray
from molgen.errors import InputError
from molgen.systems.topology import Atom

_DAMAGED = "The file is damaged or was not written to its end; make it again."
_OWN_NODES = ("molgen_shard", "molgen_header", "lineage", "log_weight")
_KJ_PER_KCAL = 4.184


@dataclass(frozen=True, eq=False)
class HDF5Frames:
    """What such a file holds: ``coordinates`` (n, N, 3) in nm, atoms, and molgen's rows and headers if there."""

    coordinates: npt.NDArray[np.float32]
    atoms: tuple[Atom, ...] | None
    lineage: IntArray | None
    log_weight: FloatArray | None
    shard: dict[str, Any] | None
    ensemble: dict[str, Any] | None


def read_hdf5(path: Path) -> HDF5Frames:
    """Everything in the file; ``InputError`` if it cannot be read, lacks coordinates or has rows that do not match."""
    import tables

    try:
        with tables.open_file(str(path), mode="r") as handle:
            content = _content(handle)
    except Exception as error:  # PyTables and HDF5 raise many kinds for a damaged file
        raise InputError(f"{path} cannot be read as mdtraj's HDF5 ({_first_line(error)}).", _DAMAGED) from error
    n, n_atoms = content.coordinates.shape[:2]
    if content.atoms is not None and len(content.atoms) != n_atoms:
        raise InputError(f"{path} has coordinates of {n_atoms} atoms but names {len(content.atoms)}.", _DAMAGED)
    for name in ("lineage", "log_weight"):
        rows = getattr(content, name)
        if rows is not None and rows.shape != (n,):
            raise InputError(f"{path} has {n} frames but {len(rows)} rows of {name}.", _DAMAGED)
    return content


def is_plain_mdtraj(path: Path) -> bool:
    """Whether a file holds a topology and none of molgen's rows and headers; ``InputError`` if it cannot be read."""
    import tables

    try:
        with tables.open_file(str(path), mode="r") as handle:
            own = any(f"/{name}" in handle for name in _OWN_NODES)
            return "/topology" in handle and not own
    except Exception as error:
        raise InputError(f"{path} cannot be read as mdtraj's HDF5 ({_first_line(error)}).", _DAMAGED) from error


def read_energies(path: Path) -> FloatArray | None:
    """Potential energies (n,) in kJ/mol that mdtraj's HDF5 keeps beside the frames, None if there are none."""
    import tables

    with tables.open_file(str(path), mode="r") as handle:
        if "/potentialEnergy" not in handle:
            return None
        node = handle.get_node("/potentialEnergy")
        unit = str(getattr(node.attrs, "units", "kilojoules_per_mole"))
        values = np.asarray(node.read(), dtype=np.float64)
    return values * (_KJ_PER_KCAL if "kilocal" in unit else 1.0)


def _content(handle: Any) -> HDF5Frames:
    lineage, weight = _node(handle, "lineage"), _node(handle, "log_weight")
    topology = _node(handle, "topology")
    return HDF5Frames(
        coordinates=np.asarray(handle.root.coordinates.read(), dtype=np.float32),
        atoms=None if topology is None else _atoms(json.loads(topology[0])),
        lineage=None if lineage is None else np.asarray(lineage, dtype=np.int64),
        log_weight=None if weight is None else np.asarray(weight, dtype=np.float64),
        shard=_header(handle, "molgen_shard"),
        ensemble=_header(handle, "molgen_header"),
    )


def _node(handle: Any, name: str) -> Any:
    return handle.get_node(f"/{name}").read() if f"/{name}" in handle else None


def _header(handle: Any, name: str) -> dict[str, Any] | None:
    content = _node(handle, name)
    if content is None:
        return None
    header: dict[str, Any] = json.loads(bytes(np.asarray(content)))
    return header


def _atoms(topology: dict[str, Any]) -> tuple[Atom, ...]:
    """The atoms in the order of their index; a residue's number is its place in the file. Masses are not kept there."""
    residues = [residue for chain in topology["chains"] for residue in chain["residues"]]
    found = [
        (int(atom["index"]), Atom(atom["name"], atom["element"], residue["name"], number, 0.0))
        for number, residue in enumerate(residues)
        for atom in residue["atoms"]
    ]
    return tuple(atom for _, atom in sorted(found, key=lambda pair: pair[0]))


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
