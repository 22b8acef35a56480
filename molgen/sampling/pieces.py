"""Pieces of a drawing on disk: each is whole or absent, so that a stopped run keeps what it drew."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch

from molgen.files import atomic_path
from molgen.models.base import Draws

FOLDER = "pieces"


def piece_path(directory: Path, number: int) -> Path:
    """Where the ``number``-th piece of a run in ``directory`` is kept."""
    return directory / FOLDER / f"piece-{number:05d}.npz"


def write_piece(path: Path, draws: Draws) -> None:
    """Write ``draws`` atomically: positions in single precision, as ensembles hold them, the rest as it is."""
    columns = {item.name: getattr(draws, item.name) for item in fields(draws)}
    arrays = {name: value.detach().cpu().numpy() for name, value in columns.items() if value is not None}
    arrays["positions"] = arrays["positions"].astype(np.float32)
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def read_piece(path: Path, rows: int) -> Draws | None:
    """The piece in ``path``; None if there is none, or none of ``rows`` rows that can be read."""
    if not path.is_file():
        return None
    try:
        # Opened here: numpy leaves a file open that proves to be cut.
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            columns = {name: torch.from_numpy(file[name]) for name in file.files}
        draws = Draws(**columns)
    except (OSError, ValueError, TypeError, BadZipFile):
        return None
    return draws if all(len(column) == rows for column in columns.values()) else None


def remove_pieces(directory: Path) -> None:
    """Take away the pieces of a run whose ensemble is written."""
    for path in _pieces(directory):
        path.unlink()
    if (directory / FOLDER).is_dir():
        (directory / FOLDER).rmdir()


def _pieces(directory: Path) -> Iterator[Path]:
    yield from sorted((directory / FOLDER).glob("piece-*.npz"))
