"""Draws in pieces of fixed size, each with a seed of its own: the frames do not depend on how they are fetched."""

from collections.abc import Iterator

import torch

from molgen.models.base import Draws, GenerativeModel
from molgen.seeds import child_seed


def draw_pieces(model: GenerativeModel, n: int, *, seed: int, piece: int) -> Iterator[Draws]:
    """``n`` independent draws in pieces of at most ``piece``; the k-th piece depends on ``seed`` and k alone."""
    for number, start in enumerate(range(0, n, piece)):
        generator = torch.Generator().manual_seed(child_seed(seed, "draws", number))
        yield model.sample(min(piece, n - start), generator)
