"""The HDF5 layout of mdtraj, with the rows molgen adds to it; PyTables is imported late."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from molgen.arrays import FloatArray, IntArray
from molgen.errors import InputError

_DAMAGED = "The file is damaged or was not written to its end; make it again."


@dataclass(frozen=True, eq=False)
class HDF5Frames:
    """What such a file holds: ``coordinates`` (n, N, 3) in nm, elements, and molgen's rows and headers if there."""

    coordinates: npt.NDArray[np.float32]
    elements: tuple[str, ...] | None
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
    n = len(content.coordinates)
    for name in ("lineage", "log_weight"):
        rows = getattr(content, name)
        if rows is not None and rows.shape != (n,):
            raise InputError(f"{path} has {n} frames but {len(rows)} rows of {name}.", _DAMAGED)
    return content


def _content(handle: Any) -> HDF5Frames:
    lineage, weight = _node(handle, "lineage"), _node(handle, "log_weight")
    topology = _node(handle, "topology")
    return HDF5Frames(
        coordinates=np.asarray(handle.root.coordinates.read(), dtype=np.float32),
        elements=None if topology is None else _elements(json.loads(topology[0])),
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


def _elements(topology: dict[str, Any]) -> tuple[str, ...]:
    atoms = [atom for chain in topology["chains"] for residue in chain["residues"] for atom in residue["atoms"]]
    return tuple(atom["element"] for atom in sorted(atoms, key=lambda atom: int(atom["index"])))


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
