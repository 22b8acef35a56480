"""Randomness is an argument: one root seed, and a child seed of its own for every named task."""

import hashlib
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing numpy here would slow every start of the command line
    import numpy as np


def new_root_seed() -> int:
    """A fresh root seed (32 bits) for a run that was given none; the caller prints and records it."""
    return secrets.randbits(32)


def child_seed(root: int, *names: str | int, bits: int = 63) -> int:
    """The seed of the task called ``names`` under ``root``.

    The value depends on the root and the names alone, never on the order in which tasks are run or on how
    many workers share them. ``bits=31`` gives the range that OpenMM accepts; the result is never 0, which
    OpenMM takes as "choose for me".
    """
    text = repr((int(root), names)).encode()
    value = int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> (64 - bits)
    return max(value, 1)


def numpy_generator(root: int, *names: str | int) -> "np.random.Generator":
    """A numpy generator for the task called ``names``."""
    import numpy as np

    return np.random.default_rng(child_seed(root, *names))
