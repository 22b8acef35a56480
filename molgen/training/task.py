"""One training as every kind of model meets it: what is given, what is shared, what each kind has to offer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from molgen.arrays import IntArray
from molgen.energies.base import Energy
from molgen.errors import InputError
from molgen.interruption import Interruption
from molgen.models.base import SavedModel
from molgen.progress import Progress
from molgen.settings import Settings
from molgen.systems.system import System
from molgen.training.record import TrainingRecord
from molgen.trajectories.frames import FrameSet


@dataclass(frozen=True, eq=False)
class TrainingTask:
    """What a training is given: frames with the rows to learn from and those ``held_out``, energy, states, limits.

    ``system`` has the states to be guarded; ``negligible`` is the share of the target below which one of them does not
    matter. ``limit_s`` is the time left for the whole training, None without a limit.
    """

    system: System
    frames: FrameSet
    rows: IntArray
    held_out: IntArray
    settings: Any
    energy: Energy
    negligible: float
    seed: int
    directory: Path
    limit_s: float | None
    progress: Progress
    interruption: Interruption


class ModelTraining(Protocol):
    """How one kind of model is trained: its settings, its cost, and the training itself."""

    settings_class: type[Settings]

    def at_temperatures(self, settings: Any, system: System, temperatures: Sequence[float]) -> Any:
        """``settings`` for frames of ``temperatures`` (kelvin, ascending), some of them of the system's own.

        ``InputError`` for more temperatures than this kind of model can learn.
        """
        ...

    def plan(self, settings: Any, model: SavedModel, frames: int) -> dict[str, Any]:
        """``steps``, ``evaluations_at_most`` and ``memory_mb`` of a training on so many frames."""
        ...

    def run(self, model: SavedModel, task: TrainingTask) -> TrainingRecord:
        """Train ``model`` in place; goes on from a checkpoint in ``task.directory`` if there is one.

        ``InputError`` for frames without a finite energy, ``InterruptedRunError`` at a signal (a checkpoint is written
        first), ``PartialError`` if gradients stay non-finite.
        """
        ...


def check_energies(finite: Any, total: int) -> None:
    """``InputError`` unless all ``total`` frames have a ``finite`` energy (bool, (n,))."""
    infinite = int(np.count_nonzero(~np.asarray(finite)))
    if infinite:
        raise InputError(
            f"{infinite} of {total} frames have no finite energy.",
            "Check the units, the order of the atoms and the force field.",
        )
