"""One trajectory file of mdtraj's formats: its atoms chosen and compared, its frames whole and checked."""

import ctypes
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molgen.errors import InputError
from molgen.systems.mdtraj_topology import to_mdtraj
from molgen.systems.system import MolecularSystem
from molgen.trajectories.atoms import atoms_of, check_count, check_order
from molgen.trajectories.checks import check_positions, check_unbroken
from molgen.trajectories.completeness import check_complete
from molgen.trajectories.frames import AnyFloatArray
from molgen.trajectories.options import ReadingOptions
from molgen.trajectories.periodic import make_whole

HDF5 = (".h5", ".hdf5")
WITH_TOPOLOGY = (".pdb", ".pdb.gz", ".ent", ".cif", ".gro")
WITHOUT_TOPOLOGY = (".dcd", ".xtc", ".trr", ".nc", ".netcdf", ".ncdf")
_STANDARD_NAMES = (".pdb", ".pdb.gz", ".ent", ".cif")
_CHUNK = 1000
_DAMAGED = "Copy the file again, or convert its whole frames to another format first."


@dataclass(frozen=True, eq=False)
class TrajectoryFile:
    """Frames (n, N, 3) in nm of the system's atoms, made whole, and what was found in the file.

    ``file_atoms`` is the number of atoms before selection; ``periodic`` says whether it has a box; ``made_whole``
    counts frames in which the molecule was broken across it.
    """

    positions: AnyFloatArray
    file_atoms: int
    periodic: bool
    made_whole: int


def read_file(path: Path, system: MolecularSystem, options: ReadingOptions) -> TrajectoryFile:
    """The frames of ``system`` in ``path``; ``InputError`` with a remedy for everything that is wrong with them."""
    import mdtraj

    source = str(path)
    check_complete(path)
    carries = path.name.lower().endswith(WITH_TOPOLOGY + HDF5)
    with _readable(path):
        topology = _topology(mdtraj, path, options) if carries or options.topology is not None else None
        n_atoms = int(topology.n_atoms) if carries and topology is not None else _atoms_in_file(mdtraj, path)
    if topology is not None and topology.n_atoms != n_atoms:
        message = f"{source} has {n_atoms} atoms, its topology {options.topology} has {topology.n_atoms}."
        raise InputError(message, "Give the topology of all atoms in the file.")
    index = _chosen(topology, system, options, n_atoms, source)
    with _readable(path):
        trajectory = _loaded(mdtraj, path, topology or to_mdtraj(system.topology), index, options.stride)
    if trajectory is None or trajectory.n_frames == 0:
        raise InputError(f"{path} holds no frames.", "Give a trajectory with at least one frame.")
    return _checked(trajectory, system, source, n_atoms)


def _checked(trajectory: Any, system: MolecularSystem, source: str, n_atoms: int) -> TrajectoryFile:
    positions: AnyFloatArray = np.asarray(trajectory.xyz, dtype=np.float32)
    vectors = trajectory.unitcell_vectors
    made_whole = 0
    if vectors is not None:
        positions, changed = make_whole(positions, np.asarray(vectors, dtype=np.float64), system.topology)
        made_whole = int(changed.sum())
    check_positions(positions, system, source)
    check_unbroken(positions, system, source, periodic=vectors is not None)
    return TrajectoryFile(positions, n_atoms, vectors is not None, made_whole)


def _chosen(
    topology: Any, system: MolecularSystem, options: ReadingOptions, n_atoms: int, source: str
) -> list[int] | None:
    """Indices of the system's atoms, None for all of them."""
    if topology is None:
        if options.selection is not None:
            hint = "Give --topology with the PDB of all its atoms."
            raise InputError(f"{source} names no atoms, so {options.selection!r} cannot be looked up.", hint)
        check_count(n_atoms, system, source)
        return None
    atoms = atoms_of(topology)
    index = list(range(n_atoms)) if options.selection is None else _selected(topology, options.selection)
    check_count(len(index), system, source, atoms, options.selection)
    named_by = None if options.topology is None else str(options.topology)
    check_order([atoms[i] for i in index], system, source, named_by)
    return None if options.selection is None else index


def _selected(topology: Any, selection: str) -> list[int]:
    try:
        return [int(index) for index in topology.select(selection)]
    except Exception as error:  # mdtraj's parser raises several kinds
        message = f"The selection {selection!r} cannot be read ({_short(error)})."
        raise InputError(message, 'Use mdtraj\'s selection language, such as "protein" or "not water".') from error


def _topology(mdtraj: Any, path: Path, options: ReadingOptions) -> Any:
    """The topology in the file itself, else the one given beside it."""
    if path.name.lower().endswith(WITH_TOPOLOGY + HDF5):
        return _load_topology(mdtraj, path)
    assert options.topology is not None
    try:
        return _load_topology(mdtraj, Path(options.topology))
    except Exception as error:
        message = f"{options.topology} cannot be read as a topology ({_short(error)})."
        raise InputError(message, "Give a PDB with all atoms of the trajectory.") from error


def _load_topology(mdtraj: Any, path: Path) -> Any:
    # Names as they are written: mdtraj would rename atoms of standard residues, in caps not as the system's file has.
    standard = {"standard_names": False} if path.name.lower().endswith(_STANDARD_NAMES) else {}
    return mdtraj.load_topology(str(path), **standard)


def _atoms_in_file(mdtraj: Any, path: Path) -> int:
    with mdtraj.open(str(path)) as file:
        first = file.read(n_frames=1)
    return int((first[0] if isinstance(first, tuple) else first).shape[1])


def _loaded(mdtraj: Any, path: Path, topology: Any, index: list[int] | None, stride: int) -> Any:
    """The mdtraj Trajectory in ``path``, None if it is empty."""
    name = path.name.lower()
    if name.endswith(HDF5):
        return mdtraj.load(str(path), stride=stride, atom_indices=index)
    if name.endswith(WITH_TOPOLOGY):
        standard = {"standard_names": False} if name.endswith(_STANDARD_NAMES) else {}
        return mdtraj.load(str(path), stride=stride, atom_indices=index, **standard)
    if index is None or stride == 1:
        return mdtraj.load(str(path), top=topology, stride=stride, atom_indices=index)
    return _strided(mdtraj, path, topology, index, stride)


def _strided(mdtraj: Any, path: Path, topology: Any, index: list[int], stride: int) -> Any:
    """Stride and atoms together, frames counted here: mdtraj's TRR reader writes past its buffers when given both."""
    parts, first = [], 0
    for chunk in mdtraj.iterload(str(path), top=topology, chunk=_CHUNK, atom_indices=index):
        offset = -first % stride
        first += chunk.n_frames
        if offset < chunk.n_frames:
            parts.append(chunk[offset::stride])
    return mdtraj.join(parts, check_topology=False) if parts else None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Errors and warnings of mdtraj's readers: every one raises its own kinds for a damaged file."""
    try:
        with warnings.catch_warnings():
            # Without the netCDF4 package mdtraj reads NetCDF through scipy, and warns that this is slower.
            warnings.filterwarnings("ignore", message=".*netCDF4")
            # What they find odd (residue numbers, boxes, missing elements) is checked here, or does not matter.
            warnings.simplefilter("ignore", UserWarning)
            with _native_output_aside():
                yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}: {_short(error)}).", _DAMAGED) from error


@contextmanager
def _native_output_aside() -> Iterator[None]:
    """What compiled readers print is dropped: the DCD reader greets on standard output, where JSON may be read."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    try:
        yield
    finally:
        ctypes.CDLL(None).fflush(None)
        os.dup2(kept, 1)
        os.close(kept)


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
