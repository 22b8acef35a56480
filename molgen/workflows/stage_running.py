"""Tasks that go on stage by stage on an executor; what is on disk already is not done again."""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from typing import Any

from molgen.interruption import Interruption
from molgen.progress import Progress, ProgressEvent
from molgen.seeds import child_seed
from molgen.shooting.stages import Content, Stages


@dataclass(frozen=True, eq=False)
class StageRunning:
    """Every stage of a task depends on the one before it, ``seed`` and its numbers alone.

    So what is found is the same with any number of ``workers`` and after an interruption.
    """

    stages: Stages
    seed: int
    workers: int
    progress: Progress
    interruption: Interruption
    unit: str

    def run(
        self,
        executor: Executor,
        tasks: Sequence[Any],
        advance: Callable[[Any, Content | None, int], Content],
        done: Callable[[Content], int],
        total: Sequence[int],
    ) -> None:
        """Take each of ``tasks`` on until ``done`` of its last stage is its ``total``.

        ``advance`` of a task, the last stage (None before the first) and a seed gives the next one; it is sent to
        other processes.
        """
        latest: dict[int, tuple[int, int]] = {}
        for number in range(len(tasks)):
            stage = self.stages.last(number)
            latest[number] = (-1, 0) if stage is None else (stage, done(self.stages.read(number, stage)))
        ready = deque(number for number in latest if latest[number][1] < total[number])
        waiting: dict[Future[Content], int] = {}
        self._show(latest, total)
        while ready or waiting:
            while ready and len(waiting) < self.workers:
                self.interruption.check()
                number = ready.popleft()
                stage = latest[number][0]
                before = None if stage < 0 else self.stages.read(number, stage)
                seed = child_seed(self.seed, self.stages.name, number, stage + 1)
                waiting[executor.submit(advance, tasks[number], before, seed)] = number
            finished, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in finished:
                number = waiting.pop(future)
                content, stage = future.result(), latest[number][0] + 1
                self.stages.write(number, stage, content)
                latest[number] = (stage, done(content))
                if latest[number][1] < total[number]:
                    ready.append(number)
            self._show(latest, total)

    def _show(self, latest: dict[int, tuple[int, int]], total: Sequence[int]) -> None:
        reached = sum(min(count, total[number]) for number, (_, count) in latest.items())
        self.progress(ProgressEvent(self.stages.name, reached, sum(total), self.unit))
