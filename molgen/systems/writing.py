"""Writing a system as a folder: system.toml, topology.pdb and, where it is given, system.xml.

A folder appears whole or not at all, and only after it has been read back and found to be the same molecule.
"""

import io
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from molgen.arrays import FloatArray
from molgen.errors import InputError
from molgen.files import TEMPORARY_PREFIX
from molgen.systems.built import BuiltMolecule
from molgen.systems.definition import SystemDefinition
from molgen.systems.loading import read_system
from molgen.systems.pdb_text import pdb_text
from molgen.systems.system import MolecularSystem
from molgen.systems.toml_text import toml_text

SYSTEM_FILE = "system.toml"
TOPOLOGY_FILE = "topology.pdb"
XML_FILE = "system.xml"

_ROUNDING_NM = 1.01e-4  # PDB files hold ångström with three decimals


def write_system(molecule: BuiltMolecule, definition: SystemDefinition, directory: Path) -> tuple[Path, ...]:
    """Write the folder ``directory`` and return its files, system.toml first.

    The same molecule may be written again. ``InputError`` where ``directory`` holds anything else (nothing is touched),
    where the molecule does not fit the PDB format, or where the force field cannot be applied to it; then nothing is
    written.
    """
    files = _contents(molecule, definition)
    _check_target(directory, files)
    with tempfile.TemporaryDirectory(prefix="molgen-init-") as trial:
        for file, data in files.items():
            (Path(trial) / file).write_bytes(data)
        _check_read_back(molecule, Path(trial))
    directory.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f"{TEMPORARY_PREFIX}init-", dir=directory.parent))
    try:
        for file, data in files.items():
            _write_flushed(temporary / file, data)
        _move_in_place(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return tuple(directory / file for file in files)


def _contents(molecule: BuiltMolecule, definition: SystemDefinition) -> dict[str, bytes]:
    files = {
        SYSTEM_FILE: toml_text(definition, molecule).encode(),
        TOPOLOGY_FILE: _topology_text(molecule).encode(),
    }
    if molecule.system_xml is not None:
        files[XML_FILE] = molecule.system_xml.encode()
    return files


def _topology_text(molecule: BuiltMolecule) -> str:
    """The PDB file, with CONECT records of the bonds its reader would miss (a closed chain, unusual names)."""
    from openmm import app

    text = pdb_text(molecule.topology, molecule.positions)
    read = app.PDBFile(io.StringIO(text)).topology
    implied = {(min(a.index, b.index), max(a.index, b.index)) for a, b in read.bonds()}
    missing = set(molecule.topology.bonds) - implied
    return pdb_text(molecule.topology, molecule.positions, missing) if missing else text


def _check_target(directory: Path, files: Mapping[str, bytes]) -> None:
    """``InputError`` unless ``directory`` is absent, empty, or holds these very files."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise InputError(f"{directory} is a file.", "Choose another -o.")
    for path in sorted(directory.iterdir()):
        if path.name not in files:
            continue
        if not path.is_file() or path.read_bytes() != files[path.name]:
            raise InputError(f"{path} is already there and holds something else.", "Choose another -o, or remove it.")
    if any(directory.iterdir()) and not (directory / SYSTEM_FILE).is_file():
        raise InputError(f"The folder {directory} holds other files.", "Choose another -o, or empty it.")


def _check_read_back(molecule: BuiltMolecule, folder: Path) -> None:
    """Read ``folder`` as a user would; ``RuntimeError`` if another molecule comes back, which would be a fault here."""
    system = read_system(folder / SYSTEM_FILE)
    assert isinstance(system, MolecularSystem)
    ours, theirs = molecule.topology, system.topology
    for mine, read in zip(ours.atoms, theirs.atoms, strict=True):
        if (mine.name, mine.element, mine.residue_name) != (read.name, read.element, read.residue_name):
            raise RuntimeError(f"the atom {mine} was written and {read} was read back")
    if ours.bonds != theirs.bonds:
        difference = sorted(set(ours.bonds) ^ set(theirs.bonds))
        raise RuntimeError(f"the bonds {difference} are not the same when read back")
    if not _close(molecule.positions, system.positions):
        raise RuntimeError("the positions are not the same when read back")


def _close(first: FloatArray, second: FloatArray) -> bool:
    return first.shape == second.shape and bool(np.abs(first - second).max() < _ROUNDING_NM)


def _move_in_place(temporary: Path, directory: Path) -> None:
    """Rename the whole folder; into one that is already there, file by file, system.toml last."""
    os.chmod(temporary, 0o777 & ~_umask())
    if not directory.exists():
        os.rename(temporary, directory)
        return
    for name in (XML_FILE, TOPOLOGY_FILE, SYSTEM_FILE):
        if (temporary / name).is_file():
            os.replace(temporary / name, directory / name)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _write_flushed(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
