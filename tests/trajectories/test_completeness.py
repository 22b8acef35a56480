"""A file that was cut anywhere is refused, format by format."""

import os
from pathlib import Path

import mdtraj
import numpy as np
import pytest

from molgen.errors import InputError
from molgen.trajectories.completeness import check_complete


def boxed(trajectory: mdtraj.Trajectory, box: bool) -> mdtraj.Trajectory:
    frames = trajectory[:6]
    if box:
        frames.unitcell_lengths = np.full((6, 3), 3.0)
        frames.unitcell_angles = np.full((6, 3), 90.0)
    return frames


def cuts(path: Path) -> dict[int, str]:
    """What the check says of the file without its last bytes, by how many of them."""
    size = path.stat().st_size
    said = {}
    for cut in range(1, size):
        os.truncate(path, size - cut)
        try:
            check_complete(path)
            said[cut] = ""
        except InputError as error:
            said[cut] = error.message
    return said


@pytest.mark.parametrize("box", [False, True])
@pytest.mark.parametrize("atoms", [22, 5])  # XTC packs the coordinates of more than nine atoms
@pytest.mark.parametrize("ending", ["xtc", "trr"])
def test_xtc_and_trr_cut_inside_a_frame(
    tmp_path: Path, trajectory: mdtraj.Trajectory, ending: str, atoms: int, box: bool
) -> None:
    path = tmp_path / f"t.{ending}"
    boxed(trajectory, box).atom_slice(list(range(atoms))).save(str(path))
    check_complete(path)
    said = cuts(path)
    between = [cut for cut, text in said.items() if not text]  # such a file is whole in its own eyes
    assert len(between) == 5
    assert "ends inside frame 6, after 5 whole frames" in said[1]
    assert "ends inside frame 1, after 0 whole frames" in said[max(said)]


@pytest.mark.filterwarnings("ignore:.*netCDF4")
@pytest.mark.parametrize("box", [False, True])
def test_netcdf_cut_anywhere(tmp_path: Path, trajectory: mdtraj.Trajectory, box: bool) -> None:
    path = tmp_path / "t.nc"
    boxed(trajectory, box).atom_slice([0, 1, 2]).save(str(path))
    check_complete(path)
    size = path.stat().st_size
    said = cuts(path)
    assert [cut for cut, text in said.items() if not text] == [size - 3, size - 2, size - 1]  # no magic number is left
    assert "promises 6 frames, it holds 5" in said[1]
    assert "ends inside its header" in said[size - 40]


def test_trr_in_double_precision(tmp_path: Path) -> None:
    def integers(*values: int) -> bytes:
        return np.array(values, dtype=">i4").tobytes()

    head = integers(1993, 13, 12) + b"GMX_trn_file" + integers(0, 0, 72, 0, 0, 0, 0, 240, 0, 0, 10, 0, 0)
    frame = head + np.zeros(2 + 9 + 30, dtype=">f8").tobytes()
    path = tmp_path / "t.trr"
    path.write_bytes(frame * 3)
    check_complete(path)
    path.write_bytes((frame * 3)[:-1])
    with pytest.raises(InputError, match="after 2 whole frames"):
        check_complete(path)


def test_pdb_cut_in_a_model_or_in_a_number(tmp_path: Path, trajectory: mdtraj.Trajectory) -> None:
    path = tmp_path / "t.pdb"
    boxed(trajectory, True).save(str(path))
    check_complete(path)
    text = path.read_text()
    path.write_text(text[: text.rindex("ENDMDL")])
    with pytest.raises(InputError, match="begins 6 frames and ends 5"):
        check_complete(path)
    one = tmp_path / "one.pdb"
    trajectory[:1].save(str(one))
    lines = [line for line in one.read_text().splitlines() if line.startswith("ATOM")]
    one.write_text("\n".join(lines))
    check_complete(one)
    one.write_text("\n".join(lines)[: -(len(lines[-1]) - 52)])  # z has lost its last two digits
    with pytest.raises(InputError, match="truncated"):
        check_complete(one)


def test_a_compressed_pdb_that_was_cut(tmp_path: Path, trajectory: mdtraj.Trajectory) -> None:
    path = tmp_path / "t.pdb.gz"
    trajectory.save(str(path))
    check_complete(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="cannot be read to its end"):
        check_complete(path)


@pytest.mark.parametrize("ending", ["dcd", "xtc", "trr", "nc", "pdb", "h5"])
def test_an_empty_file_and_what_is_of_another_make(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"t.{ending}"
    path.touch()
    with pytest.raises(InputError, match="holds no frames"):
        check_complete(path)
    path.write_bytes(b"something else entirely, which the reader will refuse" * 3)
    check_complete(path)
