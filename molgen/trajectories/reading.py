"""Reading frames from run directories, ensembles and trajectory files, every one checked against the system."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from molgen.errors import InputError
from molgen.rundir import read_manifest
from molgen.systems.mdtraj_topology import mdtraj_topology
from molgen.systems.system import AnalyticSystem, System
from molgen.trajectories.checks import check_count, check_elements, check_positions
from molgen.trajectories.constrained import log_stiff
from molgen.trajectories.dcd import check_dcd_complete
from molgen.trajectories.frames import FrameKind, FrameSet, concatenate
from molgen.trajectories.hdf5 import HDF5Frames, read_hdf5
from molgen.trajectories.shards import SHARD_PATTERN

_HDF5 = (".h5", ".hdf5")
_WITH_TOPOLOGY = (".pdb", ".pdb.gz", ".ent", ".cif", ".gro")
_WITHOUT_TOPOLOGY = (".dcd", ".xtc", ".trr", ".nc", ".netcdf", ".ncdf")
_ENSEMBLE = "ensemble.h5"
_DAMAGED = "Copy the file again, or convert the whole frames to another format first."


def read_frames(paths: Sequence[Path], system: System, *, stride: int = 1, kind: FrameKind = "equilibrium") -> FrameSet:
    """Every ``stride``-th frame of each path, joined; positions float32 (n, N, D) in nm.

    A path is a simulate run directory (kind, temperature and cost from its manifest), an ensemble file or the
    run directory that holds one (``log_weight`` honoured), or a trajectory file that mdtraj reads, one lineage
    each, taken as ``kind`` at the system's temperature. ``InputError`` with a remedy where a file is missing,
    empty, truncated, damaged, in ångström, not finite, of another molecule or in another atom order.
    """
    if stride < 1:
        raise InputError(f"A stride of {stride} selects nothing.", "Give a stride of 1 or more.")
    return concatenate([_read_one(Path(path), system, stride, kind) for path in paths])


def _read_one(path: Path, system: System, stride: int, kind: FrameKind) -> FrameSet:
    if not path.exists():
        raise InputError(f"There is no file or directory {path}.", "Check the path.")
    if path.is_dir():
        if (path / _ENSEMBLE).is_file():
            return _read_hdf5(path / _ENSEMBLE, system, stride, kind)
        return _read_run(path, system, stride)
    name = path.name.lower()
    if name.endswith(_HDF5):
        return _read_hdf5(path, system, stride, kind)
    if not name.endswith(_WITH_TOPOLOGY + _WITHOUT_TOPOLOGY):
        known = ", ".join((*_HDF5, *_WITH_TOPOLOGY, *_WITHOUT_TOPOLOGY))
        raise InputError(f"{path} has no ending of a trajectory format.", f"Known endings: {known}.")
    if isinstance(system, AnalyticSystem):
        raise InputError(f"{path} cannot hold frames of {system.name}.", "Give a run directory or an HDF5 file.")
    return _read_trajectory(path, system, stride, kind)


def _read_run(path: Path, system: System, stride: int) -> FrameSet:
    manifest = read_manifest(path, "simulate")
    shards = sorted(path.glob(SHARD_PATTERN))
    if not shards:
        raise InputError(f"{path} holds no frames.", "Run the simulation again.")
    run_kind: Any = manifest.result.get("kind")
    if run_kind not in ("explore", "equilibrium"):
        raise InputError(f"The manifest of {path} does not say what its frames are.", "Run the simulation again.")
    contents = [read_hdf5(shard) for shard in shards]
    for shard, content in zip(shards, contents, strict=True):
        if content.lineage is None or content.shard is None:
            raise InputError(f"{shard} is not a shard of a simulation.", "Run the simulation again.")
        if content.shard.get("fingerprint") != system.fingerprint:
            message = f"The frames in {path} were made with another molecule or force field than {system.name}."
            raise InputError(message, "Simulate this system, or give the system these frames are of.")
        check_count(content.coordinates.shape[1], system, str(shard))
    positions = np.concatenate([_unpadded(content, system, str(path)) for content in contents])
    lineage = np.concatenate([content.lineage for content in contents if content.lineage is not None])
    check_positions(positions, system, str(path))
    temperature = float(manifest.result.get("temperature_k", system.temperature_k))
    hydrogen_mass = manifest.config.get("settings", {}).get("hydrogen_mass_da")
    stiff = log_stiff(positions, system, str(path), hydrogen_mass)
    evaluations = int(manifest.result.get("evaluations", 0))
    frames = FrameSet(positions, lineage, run_kind, temperature, evaluations=evaluations, log_stiff=stiff)
    return frames.select(slice(None, None, stride))


def _read_hdf5(path: Path, system: System, stride: int, kind: FrameKind) -> FrameSet:
    content = read_hdf5(path)
    n = len(content.coordinates)
    check_count(content.coordinates.shape[1], system, str(path))
    check_elements(content.elements, system, str(path))
    header = content.ensemble or content.shard or {}
    if content.ensemble is not None and header.get("kind") == "model" and content.log_weight is None:
        message = f"{path} holds draws of a model that carry no weights yet."
        raise InputError(message, "Run molgen reweight first; raw draws are not samples of the target.")
    temperature = float(header.get("temperature_k", system.temperature_k))
    _check_origin(header, system, str(path))
    used = None
    if content.log_weight is not None:
        if np.isnan(content.log_weight).any() or np.isposinf(content.log_weight).any():
            raise InputError(f"{path} holds weights that are not finite.", "Run molgen reweight again.")
        used = np.isfinite(content.log_weight)
    positions = _unpadded(content, system, str(path))
    check_positions(positions, system, str(path), used)
    if content.lineage is not None:
        lineage = content.lineage
    else:  # draws of a model are independent of each other, frames of a trajectory are not
        lineage = np.arange(n) if header.get("kind") == "model" else np.zeros(n, dtype=np.int64)
    # A model's draws are of the stiff limit already; what dynamics wrote is not.
    stiff = None if content.ensemble is not None else log_stiff(positions, system, str(path))
    frames = FrameSet(positions, lineage, kind, temperature, content.log_weight, log_stiff=stiff)
    return frames.select(slice(None, None, stride))


def _check_origin(header: dict[str, Any], system: System, source: str) -> None:
    """``InputError`` if the file says that it is of another system."""
    record = header.get("system_record") or {}
    fingerprint = header.get("fingerprint") or record.get("fingerprint")
    if fingerprint is not None and fingerprint != system.fingerprint:
        message = f"{source} is of another molecule or force field than {system.name}."
        raise InputError(message, "Give frames of this system.")


def _unpadded(content: HDF5Frames, system: System, source: str) -> Any:
    rest = content.coordinates[:, :, system.dim :]
    if rest.size and np.any(rest != 0.0):
        raise InputError(f"{source} has more dimensions than {system.name}.", "Give frames of this system.")
    return content.coordinates[:, :, : system.dim]


def _read_trajectory(path: Path, system: System, stride: int, kind: FrameKind) -> FrameSet:
    """Frames of a file in one of mdtraj's formats; those without a topology take the system's."""
    import mdtraj

    source = str(path)
    if path.suffix.lower() == ".dcd":
        check_dcd_complete(path)
    carries = path.name.lower().endswith(_WITH_TOPOLOGY)
    try:
        with warnings.catch_warnings():
            # Without the netCDF4 package mdtraj reads NetCDF through scipy, and warns that this is slower.
            warnings.filterwarnings("ignore", message=".*netCDF4")
            trajectory = _loaded(mdtraj, source, system, stride, carries)
    except InputError:
        raise
    except Exception as error:  # every reader raises its own kinds for a damaged file
        raise InputError(f"{path} cannot be read ({type(error).__name__}: {error}).", _DAMAGED) from error
    if trajectory is None or trajectory.n_frames == 0:
        raise InputError(f"{path} holds no frames.", "Give a trajectory with at least one frame.")
    check_count(trajectory.n_atoms, system, source)
    if carries:
        check_elements([a.element.symbol for a in trajectory.topology.atoms], system, source)
    positions = np.asarray(trajectory.xyz, dtype=np.float32)
    check_positions(positions, system, source)
    stiff = log_stiff(positions, system, source)
    lineage = np.zeros(len(positions), dtype=np.int64)
    return FrameSet(positions, lineage, kind, system.temperature_k, log_stiff=stiff)


def _loaded(mdtraj: Any, source: str, system: System, stride: int, carries_topology: bool) -> Any:
    """The mdtraj Trajectory in ``source``, None if it is empty; the number of atoms is checked before the rest."""
    if carries_topology:
        return mdtraj.load(source, stride=stride)
    with mdtraj.open(source) as file:
        first = file.read(n_frames=1)
    n_frames, n_atoms = (first[0] if isinstance(first, tuple) else first).shape[:2]
    check_count(n_atoms, system, source)
    return mdtraj.load(source, top=mdtraj_topology(system), stride=stride) if n_frames else None
