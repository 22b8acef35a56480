"""Frames written as XTC, DCD and PDB come back as they were, to the precision of the format."""

from pathlib import Path
from typing import Any

import mdtraj
import numpy as np
import pytest

from molgen.errors import UsageError
from molgen.systems import load_system
from molgen.systems.mdtraj_topology import mdtraj_topology
from molgen.trajectories.reading import read_frames
from molgen.trajectories.writing import write_trajectory


@pytest.fixture(scope="module")
def system() -> Any:
    return load_system("alanine-dipeptide")


def frames_of(system: Any, n: int = 7) -> np.ndarray:
    return np.asarray(system.positions + 0.01 * np.random.default_rng(1).normal(size=(n, *system.positions.shape)))


@pytest.mark.parametrize(("name", "tolerance"), [("a.xtc", 5.1e-4), ("a.dcd", 1e-6), ("a.pdb", 5.1e-5)])
def test_frames_come_back_in_order_and_in_nm(system: Any, tmp_path: Path, name: str, tolerance: float) -> None:
    positions = frames_of(system)
    path = tmp_path / "sub" / name
    assert write_trajectory(path, mdtraj_topology(system), [positions[:3], positions[3:]]) == 7
    topology = None if name.endswith(".pdb") else mdtraj_topology(system)
    read = mdtraj.load(str(path), top=topology) if topology else mdtraj.load(str(path))
    np.testing.assert_allclose(read.xyz, positions, atol=tolerance)
    assert read.unitcell_vectors is None
    assert [file.name for file in path.parent.iterdir()] == [name]
    np.testing.assert_allclose(read_frames([path], system).positions, positions, atol=tolerance)


def test_remarks_head_a_pdb_and_are_wrapped(system: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.pdb"
    write_trajectory(path, mdtraj_topology(system), [frames_of(system, 2)], ["one", "word " * 30])
    lines = path.read_text().splitlines()
    assert lines[0] == "REMARK   6 one"
    assert sum(line.startswith("REMARK") for line in lines) == 4
    assert max(len(line) for line in lines) <= 80
    assert [line.split()[1] for line in lines if line.startswith("MODEL")] == ["1", "2"]
    assert mdtraj.load(str(path)).n_frames == 2


def test_an_unknown_ending_is_refused_and_a_failure_leaves_nothing(system: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.xtc, \.dcd, \.pdb"):
        write_trajectory(tmp_path / "a.gro", mdtraj_topology(system), [frames_of(system)])

    def broken() -> Any:
        yield frames_of(system)
        raise RuntimeError("half way")

    for name in ("a.xtc", "a.dcd", "a.pdb"):
        with pytest.raises(RuntimeError):
            write_trajectory(tmp_path / name, mdtraj_topology(system), broken())
    assert list(tmp_path.iterdir()) == []
