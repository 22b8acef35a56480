"""The length check of DCD files, of mdtraj's make and of OpenMM's (with and without a unit cell)."""

from pathlib import Path

import mdtraj
import numpy as np
import openmm
import pytest
from openmm import app, unit

from molgen.errors import InputError
from molgen.systems import MolecularSystem
from molgen.systems.loading import data_root
from molgen.trajectories.dcd import check_dcd_complete


@pytest.mark.parametrize("box", [False, True])
def test_files_of_openmm(tmp_path: Path, dipeptide: MolecularSystem, box: bool) -> None:
    topology = app.PDBFile(str(data_root() / "systems/alanine-dipeptide/topology.pdb")).topology
    if box:
        topology.setUnitCellDimensions(openmm.Vec3(2.0, 2.0, 2.0) * unit.nanometer)
    path = tmp_path / "t.dcd"
    with path.open("wb") as handle:
        file = app.DCDFile(handle, topology, 0.001)
        for _ in range(3):
            file.writeModel(dipeptide.positions * unit.nanometer)
    assert mdtraj.load(str(path), top=mdtraj.Topology.from_openmm(topology)).n_frames == 3
    check_dcd_complete(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match="promises 3 frames, it holds 2"):
        check_dcd_complete(path)


def test_a_header_that_was_left_open_is_accepted_if_there_are_frames(
    tmp_path: Path, trajectory: mdtraj.Trajectory
) -> None:
    path = tmp_path / "t.dcd"
    trajectory.save_dcd(str(path))
    data = bytearray(path.read_bytes())
    data[8:12] = np.int32(0).tobytes()
    path.write_bytes(data)
    check_dcd_complete(path)
    path.write_bytes(data[: data.index(np.int32(22).tobytes()) + 8])
    with pytest.raises(InputError, match="holds no frames"):
        check_dcd_complete(path)


def test_what_is_no_dcd_is_left_to_the_reader(tmp_path: Path) -> None:
    for data in (b"", b"TITLE", np.int32(84).tobytes() + b"CORD"):
        (tmp_path / "t.dcd").write_bytes(data)
        check_dcd_complete(tmp_path / "t.dcd")
