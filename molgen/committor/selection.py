"""Shooting points chosen by a committor: where a path crosses q = ½, two legs end in different states most often."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.committor.artifact import load_committor
from molgen.committor.model import Committor

LEAST = 0.02
"""Weight of a frame where the model is sure, so that every frame can be shot from."""


@dataclass(frozen=True)
class CommittorSelection:
    """w = 4 q̂ (1 − q̂), at least ``LEAST``, of the committor in ``directory``, which is read where it is used."""

    directory: Path
    uniform: bool = False

    def __getstate__(self) -> dict[str, Any]:
        return {"directory": self.directory, "uniform": self.uniform}

    @cached_property
    def _model(self) -> Committor:
        return load_committor(self.directory).model

    def weights(self, frames: FloatArray) -> FloatArray:
        """See :class:`molgen.shooting.paths.Selection`."""
        q = self._model.probability(frames)
        return np.maximum(4.0 * q * (1.0 - q), LEAST)
