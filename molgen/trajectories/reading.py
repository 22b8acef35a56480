"""Reading frames from run directories, ensembles and trajectory files, every one checked against the system."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from molgen.errors import InputError
from molgen.rundir import read_manifest
from molgen.systems.system import AnalyticSystem, MolecularSystem, System
from molgen.trajectories.atoms import check_count, check_order
from molgen.trajectories.checks import check_positions
from molgen.trajectories.constrained import log_stiff
from molgen.trajectories.files import HDF5, WITH_TOPOLOGY, WITHOUT_TOPOLOGY, read_file
from molgen.trajectories.frames import FrameKind, FrameSet, concatenate
from molgen.trajectories.hdf5 import HDF5Frames, is_plain_mdtraj, read_hdf5
from molgen.trajectories.options import EVERYTHING, ReadingOptions
from molgen.trajectories.shards import SHARD_PATTERN

_ENSEMBLE = "ensemble.h5"


def read_frames(
    paths: Sequence[Path],
    system: System,
    options: ReadingOptions = EVERYTHING,
    *,
    kind: FrameKind = "equilibrium",
    biased: bool = False,
) -> FrameSet:
    """The frames of each path that ``options`` choose, joined; positions float32 (n, N, D) in nm.

    A path is a simulate run directory (kind, temperature and cost from its manifest), an ensemble file or the
    run directory that holds one (``log_weight`` honoured), or a trajectory file that mdtraj reads, one lineage
    each, taken as ``kind`` at the system's temperature; a molecule broken across the file's box is made whole.
    Frames of umbrella runs are read only if ``biased``: whoever asks for them takes account of the biases they name.
    ``InputError`` with a remedy where a file is missing, empty, truncated, damaged, in ångström, not finite, of
    another molecule, with other atoms beside it, in another atom order, or broken across a box it does not hold.
    """
    parts = [_read_one(Path(path), system, options, kind) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if part.biases and not biased:
            raise InputError(
                f"{path} holds frames made under the bias {part.biases[0]}, which are no samples of the target.",
                "Give dynamics without a bias; molgen reweight takes umbrella runs together with other ensembles.",
            )
    return concatenate(parts)


def _read_one(path: Path, system: System, options: ReadingOptions, kind: FrameKind) -> FrameSet:
    if not path.exists():
        raise InputError(f"There is no file or directory {path}.", "Check the path.")
    if path.is_dir():
        if (path / _ENSEMBLE).is_file():
            return _read_hdf5(path / _ENSEMBLE, system, options.stride, kind)
        return _read_run(path, system, options.stride)
    name = path.name.lower()
    if not name.endswith(HDF5 + WITH_TOPOLOGY + WITHOUT_TOPOLOGY):
        known = ", ".join((*HDF5, *WITH_TOPOLOGY, *WITHOUT_TOPOLOGY))
        raise InputError(f"{path} has no ending of a trajectory format.", f"Known endings: {known}.")
    if name.endswith(HDF5) and (isinstance(system, AnalyticSystem) or not is_plain_mdtraj(path)):
        return _read_hdf5(path, system, options.stride, kind)
    if isinstance(system, AnalyticSystem):
        raise InputError(f"{path} cannot hold frames of {system.name}.", "Give a run directory or an HDF5 file.")
    content = read_file(path, system, options)
    lineage = np.zeros(len(content.positions), dtype=np.int64)
    return FrameSet(
        content.positions,
        lineage,
        kind,
        np.full(len(content.positions), system.temperature_k),
        log_stiff=log_stiff(content.positions, system, str(path)),
        made_whole=content.made_whole,
        periodic=content.periodic,
    )


def _read_run(path: Path, system: System, stride: int) -> FrameSet:
    manifest = read_manifest(path, "simulate")
    shards = sorted(path.glob(SHARD_PATTERN))
    if not shards:
        raise InputError(f"{path} holds no frames.", "Run the simulation again.")
    run_kind: Any = manifest.result.get("kind")
    if run_kind not in get_args(FrameKind):
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
    temperature = np.full(len(positions), float(manifest.result.get("temperature_k", system.temperature_k)))
    hydrogen_mass = manifest.config.get("settings", {}).get("hydrogen_mass_da")
    stiff = log_stiff(positions, system, str(path), hydrogen_mass)
    evaluations = int(manifest.result.get("evaluations", 0))
    bias = manifest.result.get("bias")
    frames = FrameSet(positions, lineage, run_kind, temperature, evaluations=evaluations, log_stiff=stiff)
    return frames.under(bias).select(slice(None, None, stride))


def _read_hdf5(path: Path, system: System, stride: int, kind: FrameKind) -> FrameSet:
    content = read_hdf5(path)
    n = len(content.coordinates)
    check_count(content.coordinates.shape[1], system, str(path))
    if content.atoms is not None and isinstance(system, MolecularSystem):
        check_order(content.atoms, system, str(path))
    header = content.ensemble or content.shard or {}
    if content.ensemble is not None and header.get("kind") == "model" and content.log_weight is None:
        message = f"{path} holds draws of a model that carry no weights yet."
        raise InputError(message, "Run molgen reweight first; raw draws are not samples of the target.")
    if header.get("kind") == "annealed" and header.get("bias") is not None:
        message = f"The weights in {path} are those of a biased target."
        raise InputError(message, "Run molgen reweight first, which takes the bias back.")
    if header.get("kind") == "part":  # with the weights of the target, but no sample of the whole
        kind = "explore"
    temperature = np.full(n, float(header.get("temperature_k", system.temperature_k)))
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
    bias = None
    if content.shard is not None:
        kind, bias = content.shard.get("kind", kind), content.shard.get("bias")
    frames = FrameSet(positions, lineage, kind, temperature, content.log_weight, log_stiff=stiff)
    return frames.under(bias).select(slice(None, None, stride))


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
