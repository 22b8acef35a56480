"""Writing frames as XTC, DCD or PDB: what other programs read."""

import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.errors import UsageError
from molgen.files import atomic_path

FORMATS = (".xtc", ".dcd", ".pdb")
_ANGSTROM_PER_NM = 10.0
_REMARK_WIDTH = 69


def check_format(path: Path) -> str:
    """The ending of ``path`` in lower case; ``UsageError`` unless frames can be written under it."""
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise UsageError(f"{path} has no ending of a format to write.", f"Use one of {', '.join(FORMATS)}.")
    return ending


def write_trajectory(path: Path, topology: Any, blocks: Iterable[FloatArray], remarks: Iterable[str] = ()) -> int:
    """Write frames (m, N, 3) in nm, block by block, without a box; the number of frames written.

    ``topology`` is an ``mdtraj.Topology``; ``remarks`` head a PDB file, whose frames are numbered models. XTC keeps
    0.001 nm, PDB 0.0001 nm. The file appears whole or not at all.
    """
    ending = check_format(path)
    with atomic_path(path) as temporary:
        if ending == ".pdb":
            return _write_pdb(temporary, topology, blocks, remarks)
        return _write_xtc(temporary, blocks) if ending == ".xtc" else _write_dcd(temporary, blocks)


def _write_xtc(path: Path, blocks: Iterable[FloatArray]) -> int:
    from mdtraj.formats import XTCTrajectoryFile

    written = 0
    with XTCTrajectoryFile(str(path), "w") as file:
        for block in blocks:
            number = np.arange(written, written + len(block))
            # mdtraj would write a box of 1 nm by itself; zeros are the format's word for none.
            box = np.zeros((len(block), 3, 3), dtype=np.float32)
            file.write(
                np.asarray(block, dtype=np.float32),
                time=number.astype(np.float32),
                step=number.astype(np.int32),
                box=box,
            )
            written += len(block)
    return written


def _write_dcd(path: Path, blocks: Iterable[FloatArray]) -> int:
    from mdtraj.formats import DCDTrajectoryFile

    written = 0
    with DCDTrajectoryFile(str(path), "w") as file:
        for block in blocks:
            file.write(np.asarray(block * _ANGSTROM_PER_NM, dtype=np.float32))
            written += len(block)
    return written


def _write_pdb(path: Path, topology: Any, blocks: Iterable[FloatArray], remarks: Iterable[str]) -> int:
    from mdtraj.formats import PDBTrajectoryFile

    written = 0
    with PDBTrajectoryFile(str(path), "w") as file:
        for block in blocks:
            for frame in block:
                written += 1
                file.write(np.asarray(frame * _ANGSTROM_PER_NM, dtype=np.float64), topology, modelIndex=written)
    wrapped = [line for remark in remarks for line in textwrap.wrap(remark, _REMARK_WIDTH)]
    lines = "".join(f"REMARK   6 {line}\n" for line in wrapped)
    if lines:
        path.write_text(lines + path.read_text(encoding="ascii"), encoding="ascii")
    return written
