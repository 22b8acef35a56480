"""PDB files that were cut: readers take the models before the cut, or half of the digits of a number, in silence."""

import gzip
from pathlib import Path
from typing import TextIO, cast

from molgen.errors import InputError

_COORDINATES_END = 54
"""The column behind z."""


def check_pdb_complete(path: Path) -> None:
    """``InputError`` if the last model is not closed or the last atom's line ends before its coordinates do."""
    models = closed = 0
    last = ""
    try:
        with _opened(path) as file:
            for line in file:
                models += line.startswith("MODEL")
                closed += line.startswith("ENDMDL")
                last = line.rstrip() or last
    except (OSError, EOFError) as error:
        raise InputError(f"{path} cannot be read to its end ({error}).", "Copy it again.") from error
    in_atom = last.startswith(("ATOM", "HETATM")) and len(last) < _COORDINATES_END
    open_model = models > closed and last.split()[:1] != ["END"]
    if in_atom or open_model:
        message = f"{path} is truncated: it begins {max(models, 1)} frames and ends {closed}."
        raise InputError(message, "Copy it again, or remove what follows its last whole model.")


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "rt", errors="replace"))
    return path.open(errors="replace")
