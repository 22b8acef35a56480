"""The files of `reweight --restrain`: measured averages, and values of observables computed elsewhere."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from molgen.arrays import FloatArray
from molgen.errors import InputError
from molgen.reweighting.restraints import RestraintLine, check_lines

_HDF5 = (".h5", ".hdf5")
_VALUES = "Give a CSV with a header, an NPZ or an HDF5 file with one value a draw in every column."


def read_restraints(path: Path) -> tuple[RestraintLine, ...]:
    """The lines of a CSV with the columns name, mean, error and perhaps column; ``InputError`` for what is wrong."""
    return check_lines(_read_csv(path), str(path))


def read_columns(path: Path) -> dict[str, FloatArray]:
    """Columns ``(n,)`` by name of a CSV, NPZ or HDF5 file, one value a draw; an empty field of a CSV is NaN.

    ``InputError`` if the file cannot be read, holds no column, or columns of different lengths.
    """
    if not path.is_file():
        raise InputError(f"There is no file {path}.", "Check the path.")
    ending = path.suffix.lower()
    if ending == ".npz":
        columns = _from_npz(path)
    elif ending in _HDF5:
        columns = _from_hdf5(path)
    elif ending == ".csv":
        columns = _from_csv(path)
    else:
        raise InputError(f"{path} has no ending of a table.", _VALUES)
    if not columns:
        raise InputError(f"{path} holds no columns.", _VALUES)
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise InputError(f"{path} has columns of {min(lengths)} and of {max(lengths)} values.", _VALUES)
    return columns


def _read_csv(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise InputError(f"There is no file {path}.", "Check the path.")
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV ({error}).", "Write it with commas.") from error
    for number, row in enumerate(rows, start=1):
        if None in row:
            hint = "Put text that holds commas, such as karplus(...), in quotation marks."
            raise InputError(f"{path}: line {number} has more values than there are columns.", hint)
    return [{str(key).strip(): value for key, value in row.items()} for row in rows]


def _from_csv(path: Path) -> dict[str, FloatArray]:
    rows = _read_csv(path)
    return {name: _numbers([row[name] for row in rows], name, path) for name in (rows[0] if rows else {})}


def _numbers(texts: list[str], name: str, path: Path) -> FloatArray:
    values = np.full(len(texts), np.nan)
    for index, text in enumerate(texts):
        try:
            values[index] = float(text) if (text or "").strip() else np.nan
        except ValueError as error:
            raise InputError(f"{path}: {text!r} in the column {name} is no number.", _VALUES) from error
    return values


def _from_npz(path: Path) -> dict[str, FloatArray]:
    try:
        with np.load(path, allow_pickle=False) as data:
            return _flat({name: data[name] for name in data.files}, path)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path} cannot be read as NPZ ({error}).", _VALUES) from error


def _from_hdf5(path: Path) -> dict[str, FloatArray]:
    import tables

    try:
        with tables.open_file(str(path), mode="r") as handle:
            return _flat({node.name: node.read() for node in handle.list_nodes("/", "Leaf")}, path)
    except (OSError, tables.HDF5ExtError) as error:
        raise InputError(f"{path} cannot be read as HDF5.", _VALUES) from error


def _flat(arrays: Mapping[str, object], path: Path) -> dict[str, FloatArray]:
    columns = {}
    for name, array in arrays.items():
        values = np.asarray(array)
        if values.ndim != 1 or values.dtype.kind not in "fiub":
            raise InputError(f"{path}: {name} is no column of numbers.", _VALUES)
        columns[name] = values.astype(np.float64)
    return columns
