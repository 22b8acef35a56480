"""The ledger of shots: a directory of immutable files, of which nothing is ever lost or changed.

``points-0000.npz`` holds the shooting points of a round, ``shots-000000.npz`` a batch of shots, ``trail-000000.npz``
frames on their way where some were kept. A batch whose undecided
shots were taken on is written again under the next ``stage``, ``shots-000000-1.npz``; the last stage counts. Files
appear whole or not at all, so that a killed run goes on with the batches that are missing.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from molgen.dynamics.passage import PhasePoints, Trail
from molgen.errors import InputError
from molgen.files import atomic_path
from molgen.shooting.points import ShootingPoints
from molgen.shooting.shots import Shots, joined

_SHOTS = re.compile(r"shots-(\d{6})(?:-(\d+))?\.npz")
_COLUMNS = ("configuration", "pair", "sign", "outcome", "steps")


class Ledger:
    """The ledger in ``directory``, which is made with its first file."""

    def __init__(self, directory: Path) -> None:
        self.directory = Path(directory)

    # --- points ----------------------------------------------------------------------------------------------------

    def add_points(self, points: ShootingPoints) -> None:
        """Write the points of the next round."""
        number = len(self._rounds())
        names = ("positions", "selection", "lineage", "source", "round", "held_out")
        self._write(f"points-{number:04d}.npz", {name: getattr(points, name) for name in names})

    def points_of(self, number: int) -> ShootingPoints | None:
        """The points of the round ``number``; None if they were not chosen yet."""
        return self._joined(self._rounds()[number : number + 1])

    def points(self) -> ShootingPoints | None:
        """All points, those of later rounds after those of earlier ones; None before the first round."""
        return self._joined(self._rounds())

    def _joined(self, paths: list[Path]) -> ShootingPoints | None:
        rounds = [self._read(path) for path in paths]
        if not rounds:
            return None
        for part in rounds:  # a ledger of before there were any
            part.setdefault("held_out", np.zeros(len(part["positions"]), dtype=np.bool_))
        return ShootingPoints(**{name: np.concatenate([part[name] for part in rounds]) for name in rounds[0]})

    def _rounds(self) -> list[Path]:
        return sorted(self.directory.glob("points-*.npz"))

    # --- shots -----------------------------------------------------------------------------------------------------

    def add(self, batch: int, shots: Shots, stage: int = 0) -> None:
        """Write a batch; ``stage`` counts how often its undecided shots were taken on."""
        name = f"shots-{batch:06d}{f'-{stage}' if stage else ''}.npz"
        columns = {column: getattr(shots, column) for column in _COLUMNS}
        if shots.looks is not None:
            columns["looks"] = shots.looks
        kept = {"open_positions": shots.open.positions, "open_velocities": shots.open.velocities}
        self._write(name, columns | kept)

    def add_trail(self, batch: int, trail: Trail) -> None:
        """Write the frames on the way of a batch; to be done before the batch, whose file says that it is complete."""
        self._write(f"trail-{batch:06d}.npz", {"passage": trail.passage, "positions": trail.positions})

    def trail(self, batches: Iterable[int]) -> Trail:
        """The frames kept of ``batches``, in their order."""
        parts = [self._read(self.directory / f"trail-{batch:06d}.npz") for batch in batches]
        return Trail(*(np.concatenate([part[name] for part in parts]) for name in ("passage", "positions")))

    def stages(self) -> dict[int, int]:
        """The last stage of every batch that is there."""
        found: dict[int, int] = {}
        for path in self.directory.glob("shots-*.npz"):
            if match := _SHOTS.fullmatch(path.name):
                batch, stage = int(match.group(1)), int(match.group(2) or 0)
                found[batch] = max(stage, found.get(batch, 0))
        return found

    def batch(self, batch: int) -> Shots:
        """The shots of one batch at its last stage."""
        stage = self.stages()[batch]
        content = self._read(self.directory / f"shots-{batch:06d}{f'-{stage}' if stage else ''}.npz")
        kept = PhasePoints(content.pop("open_positions"), content.pop("open_velocities"))
        return Shots(**content, open=kept)

    def batches(self) -> Iterator[tuple[int, Shots]]:
        """Every batch at its last stage, in the order of their numbers."""
        for number in sorted(self.stages()):
            yield number, self.batch(number)

    def shots(self) -> Shots | None:
        """All shots; None if there is none."""
        parts = [shots for _, shots in self.batches()]
        return joined(parts) if parts else None

    # --- files -----------------------------------------------------------------------------------------------------

    def _write(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        with atomic_path(self.directory / name) as temporary:
            np.savez(temporary, allow_pickle=False, **arrays)

    def _read(self, path: Path) -> dict[str, np.ndarray]:
        try:
            with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, BadZipFile) as error:
            raise InputError(
                f"{path} cannot be read.", "Put it back from a copy, or remove it: its shots are then made again."
            ) from error
