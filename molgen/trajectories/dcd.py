"""The length of a DCD file against its own header: readers return fewer frames from a truncated one in silence."""

from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from molgen.arrays import IntArray
from molgen.errors import InputError

_HEADER_BYTES = 84


def check_dcd_complete(path: Path) -> None:
    """``InputError`` if the file holds fewer frames than its header promises, or none.

    A header of another make than the usual one (32-bit record marks, no fixed atoms) is left to the reader.
    """
    counts = _frames_promised_and_held(path)
    if counts is None:
        return
    promised, held = counts
    if held < promised:
        message = f"{path} is truncated: its header promises {promised} frames, it holds {held}."
        raise InputError(message, "Copy it again, or wait until the simulation that writes it has ended.")
    if held == 0:
        raise InputError(f"{path} holds no frames.", "Give a trajectory with at least one frame.")


def _frames_promised_and_held(path: Path) -> tuple[int, int] | None:
    """Frames by header and by file size; None for a file of another make.

    Records are framed by their length: 84 bytes of control words, the title, the number of atoms; then, for each
    frame, the unit cell (6 doubles, if control word 11 says so) and x, y, z (and w) as single precision.
    """
    with path.open("rb") as file:
        mark = file.read(4)
        orders: tuple[Literal["<", ">"], ...] = ("<", ">")
        order = next((o for o in orders if mark == np.array(_HEADER_BYTES, f"{o}i4").tobytes()), None)
        if order is None:
            return None
        if file.read(4) != b"CORD":
            return None
        control = _integers(file, order, 20)
        if len(control) < 20 or control[8] != 0:
            return None
        file.seek(4, 1)
        title = _integers(file, order, 1)
        file.seek(int(title[0]) + 4 if len(title) else 0, 1)
        atoms = _integers(file, order, 3)
        start = file.tell()
    if len(atoms) < 3 or atoms[0] != 4:
        return None
    charmm = control[19] != 0
    axes = 4 if charmm and control[11] else 3
    size = axes * (4 * int(atoms[1]) + 8) + (56 if charmm and control[10] else 0)
    return int(control[0]), max(0, path.stat().st_size - start) // size


def _integers(file: BinaryIO, order: str, count: int) -> IntArray:
    data = file.read(4 * count)
    return np.frombuffer(data[: len(data) // 4 * 4], dtype=f"{order}i4").astype(np.int64)
