"""Which frames are shot from: as they weigh, or chosen by what a committor says of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.committor.artifact import LoadedCommittor, load_committor
from molgen.committor.choosing import even_share
from molgen.errors import InputError, UsageError
from molgen.rundir import configuration_hash


@dataclass(frozen=True, eq=False)
class Along:
    """Points evenly along q̂ of a committor or, with ``within``, those with |q̂ − ½| < ``within`` as they weigh."""

    committor: LoadedCommittor
    within: float | None

    @classmethod
    def open(cls, path: str | Path | None, within: float | None, record: Mapping[str, Any]) -> "Along | None":
        """The committor in ``path``, which must be of the dynamics ``record``; None without one.

        ``InputError`` for one of other dynamics or states, ``UsageError`` for ``within`` without one or not in (0, ½].
        """
        if path is None:
            if within is not None:
                raise UsageError("--within is a distance of a committor from 1/2.", "Give --along COMMITTOR with it.")
            return None
        if within is not None and not 0.0 < within <= 0.5:
            raise UsageError(f"No committor is within {within:g} of 1/2.", "Give a number up to 0.5, such as 0.02.")
        loaded = load_committor(path)
        if configuration_hash(dict(record)) != loaded.dynamics_sha256:
            differing = [key for key in loaded.record if loaded.record[key] != record.get(key)]
            raise InputError(
                f"The committor in {path} is of another {' and '.join(differing)}.",
                "Give one that was fitted to shots of this system between these states.",
            )
        return cls(loaded, within)

    @property
    def config(self) -> dict[str, Any]:
        """What enters a run's configuration."""
        return {"committor": self.committor.sha256, "within": self.within}

    def chance(self, positions: FloatArray, share: FloatArray) -> FloatArray:
        """The chances (n,) of frames (n, N, D) of weights ``share`` (n,), not normalised."""
        q = self.committor.model.probability(positions)
        if self.within is None:
            return even_share(q)
        return np.asarray(np.where(np.abs(q - 0.5) < self.within, share, 0.0))
