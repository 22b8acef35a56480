"""The length of a classic NetCDF file (AMBER's trajectories) against its own header."""

import struct
from pathlib import Path
from typing import BinaryIO

from molgen.errors import InputError

_MAGIC = (b"CDF\x01", b"CDF\x02")
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8}
_STREAMING = 0xFFFFFFFF


def check_netcdf_complete(path: Path) -> None:
    """``InputError`` if the file holds fewer records than its header promises.

    A file of another make (NetCDF-4 is HDF5 and finds a cut by itself) is left to the reader.
    """
    with path.open("rb") as file:
        if file.read(4) not in _MAGIC:
            return
        file.seek(0)
        try:
            promised, start, record = _layout(file)
        except (struct.error, KeyError) as error:
            message = f"{path} is truncated or damaged: it ends inside its header."
            raise InputError(message, "Copy it again.") from error
    held = max(0, path.stat().st_size - start) // record if record else promised
    if promised != _STREAMING and held < promised:
        message = f"{path} is truncated: its header promises {promised} frames, it holds {held}."
        raise InputError(message, "Copy it again, or wait until the simulation that writes it has ended.")


def _layout(file: BinaryIO) -> tuple[int, int, int]:
    """Records, the byte at which they begin, and the bytes of one (0 where no variable is of records)."""
    wide = file.read(4) == _MAGIC[1]
    (records,) = _words(file, 1)
    unlimited = None
    for index in range(_list_length(file)):
        _skip_name(file)
        (length,) = _words(file, 1)
        unlimited = index if length == 0 else unlimited
    _skip_attributes(file)
    starts, total = [], 0
    variables = _list_length(file)
    for _ in range(variables):
        _skip_name(file)
        (rank,) = _words(file, 1)
        dimensions = _words(file, rank)
        _skip_attributes(file)
        _, size = _words(file, 2)
        (begin,) = struct.unpack(">Q", file.read(8)) if wide else _words(file, 1)
        if rank and dimensions[0] == unlimited:
            starts.append(begin)
            total += size
    return records, min(starts, default=0), total


def _words(file: BinaryIO, count: int) -> tuple[int, ...]:
    return struct.unpack(f">{count}I", file.read(4 * count))


def _list_length(file: BinaryIO) -> int:
    _, length = _words(file, 2)
    return length


def _skip_name(file: BinaryIO) -> None:
    (length,) = _words(file, 1)
    _skip(file, length)


def _skip_attributes(file: BinaryIO) -> None:
    for _ in range(_list_length(file)):
        _skip_name(file)
        kind, length = _words(file, 2)
        _skip(file, length * _TYPE_BYTES[kind])


def _skip(file: BinaryIO, count: int) -> None:
    file.seek(-(-count // 4) * 4, 1)
