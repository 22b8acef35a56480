"""Shards: immutable pieces of a simulation on disk, in mdtraj's HDF5 layout."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from molgen.arrays import IntArray
from molgen.errors import InputError
from molgen.files import atomic_path
from molgen.systems.mdtraj_topology import mdtraj_topology
from molgen.systems.system import System
from molgen.trajectories.frames import AnyFloatArray, FrameKind
from molgen.trajectories.hdf5 import read_hdf5

SHARD_PATTERN = "frames-*.h5"
"""Names of the shards in a run directory; their sorted order is that of the simulation."""


@dataclass(frozen=True, eq=False)
class Shard:
    """``positions`` (n, N, D) float32 in nm, ``lineage`` (n,), the temperature and the system they are of."""

    positions: AnyFloatArray
    lineage: IntArray
    temperature_k: float
    fingerprint: str


def write_shard(
    path: Path,
    positions: AnyFloatArray,
    lineage: IntArray,
    system: System,
    temperature_k: float,
    *,
    kind: FrameKind | None = None,
    bias: str | None = None,
) -> None:
    """Write frames (n, N, D) with their lineage (n,) atomically; ``mdtraj.load`` opens the file.

    ``kind`` and ``bias`` are kept, so that a shard outside its run directory still says what its frames are. Positions
    are stored in single precision, those of an analytic system padded with zeros to three dimensions.
    ``ValueError`` if shapes do not match the system.
    """
    if positions.shape[1:] != (system.n_particles, system.dim) or lineage.shape != (len(positions),):
        raise ValueError(f"positions {positions.shape} and lineage {lineage.shape} are not those of {system.name}")
    import tables
    from mdtraj.formats import HDF5TrajectoryFile

    padded = np.zeros((*positions.shape[:2], 3), dtype=np.float32)
    padded[:, :, : system.dim] = positions
    said = {"fingerprint": system.fingerprint, "temperature_k": temperature_k, "kind": kind, "bias": bias}
    header = json.dumps({key: value for key, value in said.items() if value is not None}).encode()
    with atomic_path(path) as temporary:
        with HDF5TrajectoryFile(str(temporary), "w") as file:
            file.topology = mdtraj_topology(system)
            file.write(coordinates=padded)
        with tables.open_file(str(temporary), mode="a") as handle:
            handle.create_array("/", "lineage", obj=np.asarray(lineage, dtype=np.int64))
            handle.create_array("/", "molgen_shard", obj=np.frombuffer(header, dtype=np.uint8))


def read_shard(path: Path, dim: int = 3) -> Shard:
    """The frames of one shard in ``dim`` dimensions; ``InputError`` if it is damaged or no shard."""
    if not path.is_file():
        raise InputError(f"There is no shard {path}.", "Run the simulation again.")
    content = read_hdf5(path)
    if content.shard is None or content.lineage is None:
        raise InputError(f"{path} is not a shard of a simulation.", "Give the directory of a simulate run.")
    header = content.shard
    positions = content.coordinates[:, :, :dim]
    return Shard(positions, content.lineage, float(header["temperature_k"]), str(header["fingerprint"]))
