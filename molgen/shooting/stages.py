"""Long dynamics on disk: tasks that go on stage by stage, every stage a file of its own that is never changed.

``NAME-0003-000012.npz`` is the stage 12 of the task 3: what the stage gave, and the state that the next one goes on
from. A killed run goes on after the last stage of each task.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from molgen.errors import InputError
from molgen.files import atomic_path

Content = Mapping[str, np.ndarray]


class Stages:
    """The stages called ``name`` in ``directory``, which is made with the first of them."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory, self.name = Path(directory), name
        self._pattern = re.compile(rf"{re.escape(name)}-(\d{{4,}})-(\d{{6,}})\.npz")

    def last(self, task: int) -> int | None:
        """The number of the last stage of ``task``; None before the first."""
        return max((stage for found, stage in self._numbers() if found == task), default=None)

    def read(self, task: int, stage: int) -> dict[str, np.ndarray]:
        """The content of one stage; ``InputError`` if it cannot be read."""
        path = self._path(task, stage)
        try:
            with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, BadZipFile) as error:
            raise InputError(
                f"{path} cannot be read.", "Put it back from a copy, or remove it and the stages after it."
            ) from error

    def write(self, task: int, stage: int, content: Content) -> None:
        """Write one stage; it appears whole or not at all."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with atomic_path(self._path(task, stage)) as temporary:
            np.savez(temporary, allow_pickle=False, **content)

    def contents(self) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """The task and the content of every stage, by task and stage."""
        for task, stage in sorted(self._numbers()):
            yield task, self.read(task, stage)

    def _path(self, task: int, stage: int) -> Path:
        return self.directory / f"{self.name}-{task:04d}-{stage:06d}.npz"

    def _numbers(self) -> Iterator[tuple[int, int]]:
        for path in self.directory.glob(f"{self.name}-*.npz"):
            if match := self._pattern.fullmatch(path.name):
                yield int(match.group(1)), int(match.group(2))
