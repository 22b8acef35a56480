"""Shards: what is written is read, by molgen and by mdtraj."""

from pathlib import Path

import mdtraj
import numpy as np
import pytest

from molgen.errors import InputError
from molgen.systems import MolecularSystem, load_system
from molgen.trajectories.shards import read_shard, write_shard


def test_a_molecular_shard(tmp_path: Path, dipeptide: MolecularSystem, trajectory: mdtraj.Trajectory) -> None:
    path = tmp_path / "frames-0000.h5"
    lineage = np.repeat(np.arange(3), 10)
    write_shard(path, trajectory.xyz, lineage, dipeptide, 310.0)
    shard = read_shard(path)
    np.testing.assert_array_equal(shard.positions, trajectory.xyz)
    np.testing.assert_array_equal(shard.lineage, lineage)
    assert shard.temperature_k == 310.0
    assert shard.fingerprint == dipeptide.fingerprint
    theirs = mdtraj.load(str(path))
    np.testing.assert_array_equal(theirs.xyz, trajectory.xyz)
    assert theirs.topology.n_bonds == 21
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_an_analytic_shard_is_padded_on_disk_only(tmp_path: Path) -> None:
    system = load_system("muller-brown")
    positions = np.random.default_rng(0).normal(size=(7, 1, 2))
    write_shard(tmp_path / "s.h5", positions, np.zeros(7, dtype=np.int64), system, system.temperature_k)
    shard = read_shard(tmp_path / "s.h5", dim=2)
    np.testing.assert_array_equal(shard.positions, positions.astype(np.float32))
    assert mdtraj.load(str(tmp_path / "s.h5")).xyz.shape == (7, 1, 3)


def test_wrong_shapes_are_refused_and_nothing_is_left(tmp_path: Path, dipeptide: MolecularSystem) -> None:
    with pytest.raises(ValueError, match="not those of"):
        write_shard(tmp_path / "s.h5", np.zeros((3, 21, 3)), np.zeros(3, dtype=np.int64), dipeptide, 300.0)
    assert not list(tmp_path.iterdir())


def test_a_missing_a_damaged_and_a_foreign_file(tmp_path: Path, trajectory: mdtraj.Trajectory) -> None:
    with pytest.raises(InputError, match="There is no shard"):
        read_shard(tmp_path / "s.h5")
    (tmp_path / "s.h5").write_bytes(b"\x89HDF")
    with pytest.raises(InputError, match="cannot be read"):
        read_shard(tmp_path / "s.h5")
    trajectory.save_hdf5(str(tmp_path / "t.h5"))
    with pytest.raises(InputError, match="not a shard"):
        read_shard(tmp_path / "t.h5")
