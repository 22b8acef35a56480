"""XTC and TRR files walked frame by frame: readers stop at a cut with an error of their own make, or in silence.

Neither format says how many frames the whole file has, so a cut exactly between two frames leaves a valid file.
"""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from molgen.errors import InputError

_XTC_MAGIC = (1995, 2023)  # 2023: sizes of packed coordinates in 64 bits, for very large systems
_TRR_MAGIC = 1993
_UNPACKED_ATOMS = 9
_OTHER = 0
_REMEDY = "Copy it again, wait until the simulation that writes it has ended, or keep its whole frames (gmx trjconv)."


def check_xtc_complete(path: Path) -> None:
    """``InputError`` if the file ends inside a frame; what is no XTC is left to the reader."""
    _check(path, _xtc_frame)


def check_trr_complete(path: Path) -> None:
    """``InputError`` if the file ends inside a frame; what is no TRR is left to the reader."""
    _check(path, _trr_frame)


def _check(path: Path, frame_bytes: Callable[[BinaryIO], int | None]) -> None:
    """Walk the frames; ``frame_bytes`` gives the length of the one that begins, None if even its header is cut."""
    size = path.stat().st_size
    with path.open("rb") as file:
        frames, position = 0, 0
        while position < size:
            file.seek(position)
            length = frame_bytes(file)
            if length == _OTHER:
                return
            if length is None or position + length > size:
                message = f"{path} is truncated: it ends inside frame {frames + 1}, after {frames} whole frames."
                raise InputError(message, _REMEDY)
            position += length
            frames += 1


def _integers(file: BinaryIO, count: int) -> tuple[int, ...] | None:
    data = file.read(4 * count)
    return struct.unpack(f">{count}i", data) if len(data) == 4 * count else None


def _xtc_frame(file: BinaryIO) -> int | None:
    """Magic, atoms, step, time, box (9), atoms; then plain coordinates, or 8 words of packing, a size and the data."""
    head = _integers(file, 14)
    if head is None:
        return None
    if head[0] not in _XTC_MAGIC or head[1] != head[13] or head[1] < 1:
        return _OTHER
    if head[1] <= _UNPACKED_ATOMS:
        return 56 + 12 * head[1]
    wide = head[0] == _XTC_MAGIC[1]
    packing = _integers(file, 10 if wide else 9)
    if packing is None:
        return None
    packed = (packing[8] << 32) + (packing[9] & 0xFFFFFFFF) if wide else packing[8]
    return 56 + 4 * len(packing) + -(-packed // 4) * 4 if packed > 0 else _OTHER


def _trr_frame(file: BinaryIO) -> int | None:
    """Magic, a version string, ten sizes, atoms, step, a count, time and lambda; then blocks of those sizes."""
    head = _integers(file, 3)
    if head is None:
        return None
    if head[0] != _TRR_MAGIC or not 0 < head[2] < 128:
        return _OTHER
    text = -(-head[2] // 4) * 4
    file.seek(text, 1)
    sizes = _integers(file, 13)
    if sizes is None:
        return None
    blocks, atoms = sizes[:10], sizes[10]
    if atoms < 1 or min(blocks) < 0:
        return _OTHER
    vectors = next((block for block in blocks[7:] if block), 12 * atoms)
    real = 8 if vectors == 24 * atoms else 4
    return 12 + text + 52 + 2 * real + sum(blocks)
