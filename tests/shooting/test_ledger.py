"""A ledger loses nothing."""

from pathlib import Path

import numpy as np
import pytest

from molgen.dynamics.passage import PhasePoints
from molgen.errors import InputError
from molgen.observables.boundary import NEITHER
from molgen.shooting.ledger import Ledger
from molgen.shooting.points import ShootingPoints
from molgen.shooting.shots import Shots


def shots(n: int, outcome: int = 0) -> Shots:
    rows = np.arange(n)
    kept = n if outcome == NEITHER else 0
    phase = PhasePoints(np.full((kept, 1, 1), 0.25), np.full((kept, 1, 1), -1.5))
    return Shots(rows, rows // 2, 1 - 2 * (rows % 2), np.full(n, outcome), rows + 1, phase)


def points(n: int, number: int) -> ShootingPoints:
    rows = np.arange(n)
    return ShootingPoints(np.full((n, 1, 1), float(number)), np.ones(n), rows, rows, np.full(n, number), rows % 2 == 1)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "shots")
    assert ledger.points() is None
    assert ledger.shots() is None
    ledger.add_points(points(3, 0))
    ledger.add_points(points(2, 1))
    found = Ledger(tmp_path / "shots").points()
    assert found is not None
    assert found.round.tolist() == [0, 0, 0, 1, 1]
    ledger.add(7, shots(2))
    ledger.add(3, shots(4, NEITHER))
    assert ledger.stages() == {3: 0, 7: 0}
    everything = ledger.shots()
    assert everything is not None
    assert everything.outcome.tolist() == [NEITHER] * 4 + [0] * 2
    assert everything.open.velocities.ravel().tolist() == [-1.5] * 4


def test_the_last_stage_of_a_batch_counts_and_the_others_stay(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(0, shots(4, NEITHER))
    ledger.add(0, shots(4, 1), stage=1)
    assert ledger.stages() == {0: 1}
    assert ledger.batch(0).outcome.tolist() == [1] * 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shots-000000-1.npz", "shots-000000.npz"]


def test_a_damaged_batch_is_named(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add(0, shots(4))
    path = tmp_path / "shots-000000.npz"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match=r"shots-000000\.npz cannot be read"):
        ledger.shots()
