"""Batches of shots on an executor, into the ledger as they come; what is there already is not shot again."""

import math
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from typing import Any

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.dynamics.passage import Keeping, PassageDynamics, Trail
from molgen.interruption import Interruption
from molgen.progress import Progress, ProgressEvent
from molgen.seeds import child_seed
from molgen.shooting.ledger import Ledger
from molgen.shooting.shots import Shots, go_on, shoot_and_keep

Found = tuple[Shots, Trail | None]


@dataclass(frozen=True, eq=False)
class Batches:
    """Shooting into ``ledger``, ``batch`` pairs a task, with the frames on the way that ``keep`` wants.

    A batch depends on ``seed``, its number and its pairs alone: the table is the same with any number of ``workers``
    and after an interruption.
    """

    ledger: Ledger
    dynamics: PassageDynamics
    batch: int
    limit: int
    seed: int
    workers: int
    progress: Progress
    interruption: Interruption
    keep: Keeping | None = None

    def count(self, pairs: int) -> int:
        """Batches that ``pairs`` pairs make."""
        return math.ceil(pairs / self.batch)

    def shoot(
        self,
        executor: Executor,
        positions: FloatArray,
        configuration: IntArray,
        *,
        first_batch: int = 0,
        first_pair: int = 0,
        name: str = "shots",
    ) -> None:
        """All batches that the ledger lacks of one pair from each of ``configuration`` (n,), rows of ``positions``."""
        total = self.count(len(configuration))
        there = self.ledger.stages()
        missing = [number for number in range(total) if first_batch + number not in there]

        def tasks() -> Iterator[tuple[int, Future[Found]]]:
            for number in missing:
                rows = np.arange(number * self.batch, min((number + 1) * self.batch, len(configuration)))
                where = configuration[rows]
                seed = child_seed(self.seed, "shots", first_batch + number)
                arguments = (self.dynamics, positions[where], where, first_pair + rows, self.limit, seed, self.keep)
                yield first_batch + number, executor.submit(shoot_and_keep, *arguments)

        self._collect(tasks(), total - len(missing), total, name, stage=lambda _: 0)

    def take_on(self, executor: Executor) -> None:
        """The undecided shots that have not had the present limit, one stage further."""
        stages = self.ledger.stages()

        def tasks() -> Iterator[tuple[int, Future[Found]]]:
            for batch, shots in self.ledger.batches():
                if np.any(shots.undecided & (shots.steps < self.limit)):
                    seed = child_seed(self.seed, "continued", batch, stages[batch] + 1)
                    yield batch, executor.submit(_continued, self.dynamics, shots, self.limit, seed)

        self._collect(tasks(), 0, len(stages), "undecided", stage=lambda batch: stages[batch] + 1)

    def _collect(
        self, tasks: Iterator[tuple[int, Future[Found]]], done: int, total: int, name: str, stage: Any
    ) -> None:
        """Write each batch as it comes, a few tasks ahead of the workers."""
        waiting: dict[Future[Found], int] = {}
        exhausted = False
        while waiting or not exhausted:
            while not exhausted and len(waiting) < 2 * self.workers:
                self.interruption.check()
                following = next(tasks, None)
                if following is None:
                    exhausted = True
                else:
                    waiting[following[1]] = following[0]
            if not waiting:
                break
            finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                batch = waiting.pop(future)
                shots, trail = future.result()
                if trail is not None:
                    self.ledger.add_trail(batch, trail)
                self.ledger.add(batch, shots, stage(batch))
                done += 1
                self.progress(ProgressEvent(name, done, total, "batches"))


def _continued(dynamics: PassageDynamics, shots: Shots, limit: int, seed: int) -> Found:
    return go_on(dynamics, shots, limit, seed), None
