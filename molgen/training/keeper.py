"""What keeps a training safe: checkpoints, stopping in good order, and an end to steps that lead nowhere."""

import time
from collections.abc import Callable
from pathlib import Path

import torch

from molgen.errors import PartialError
from molgen.interruption import Interruption
from molgen.training.checkpoint import write_checkpoint
from molgen.training.record import TrainingRecord

CHECKPOINT_EVERY_S = 60.0
MAX_SKIPPED_STEPS = 50


class Keeper:
    """Writes ``record`` with tensors into ``directory`` now and then, and before it stops the run.

    ``spent`` gives the energy evaluations so far; ``limit_s`` is the time that training itself keeps to (None: no
    limit); ``remedy`` is what to do about gradients that stay non-finite.
    """

    def __init__(
        self,
        directory: Path,
        interruption: Interruption,
        *,
        limit_s: float | None,
        spent: Callable[[], int],
        remedy: str,
    ) -> None:
        self._directory, self._interruption = directory, interruption
        self._limit_s, self._spent, self._remedy = limit_s, spent, remedy
        self._saved = time.monotonic()

    def count(self, record: TrainingRecord, finite: bool) -> None:
        """Count steps in a row without a finite gradient; ``PartialError`` if there are too many."""
        record.skipped = 0 if finite else record.skipped + 1
        if record.skipped > MAX_SKIPPED_STEPS:
            raise PartialError("Training stopped because its gradients are no longer finite.", self._remedy)

    def save_if_due(self, record: TrainingRecord, tensors: Callable[[], dict[str, torch.Tensor]]) -> None:
        """Write a checkpoint once a minute and before stopping; ``InterruptedRunError`` if the run should stop."""
        stop = self._asked_to_stop()
        if stop or time.monotonic() - self._saved > CHECKPOINT_EVERY_S:
            self.save(record, tensors())
        if stop:
            self._interruption.check()

    def stop_if_asked(self) -> None:
        """``InterruptedRunError`` if the run should stop; what there is to keep was saved before."""
        if self._asked_to_stop():
            self._interruption.check()

    def save(self, record: TrainingRecord, tensors: dict[str, torch.Tensor]) -> None:
        """Write a checkpoint now."""
        record.evaluations = self._spent()
        write_checkpoint(self._directory, tensors, record.__dict__)
        self._saved = time.monotonic()

    def _asked_to_stop(self) -> bool:
        """Whether there is another reason to stop than the time limit, which training keeps by itself."""
        limit = self._interruption.max_time_s
        if self._interruption.reason is None:
            return False
        return self._limit_s is None or limit is None or self._interruption.elapsed_s < limit
