"""Draws in pieces of fixed size, each with a seed of its own: the frames do not depend on how they are fetched."""

from collections.abc import Iterator
from pathlib import Path

import torch

from molgen.models.base import Draws
from molgen.sampling.methods import PushedModel
from molgen.sampling.pieces import piece_path, read_piece, write_piece
from molgen.seeds import child_seed


def draw_pieces(model: PushedModel, n: int, *, seed: int, piece: int, keep: Path | None = None) -> Iterator[Draws]:
    """``n`` independent draws in pieces of at most ``piece``; the k-th piece depends on ``seed`` and k alone.

    With ``keep`` each piece is written into that directory before it is given out, and one that is there already is
    read instead of drawn.
    """
    for number, start in enumerate(range(0, n, piece)):
        rows = min(piece, n - start)
        path = piece_path(keep, number) if keep is not None else None
        draws = read_piece(path, rows) if path is not None else None
        if draws is None:
            generator = torch.Generator().manual_seed(child_seed(seed, "draws", number))
            draws = model.sample(rows, generator)
            if path is not None:
                write_piece(path, draws)
        yield draws
