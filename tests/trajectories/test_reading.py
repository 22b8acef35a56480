"""Reading frames: every format, and every way in which a file can be the wrong one."""

import json
from pathlib import Path

import mdtraj
import numpy as np
import pytest
import tables

from molgen.errors import InputError
from molgen.rundir import RunDirectory
from molgen.systems import MolecularSystem, load_system
from molgen.systems.record import system_record
from molgen.trajectories.options import ReadingOptions
from molgen.trajectories.reading import read_frames
from molgen.trajectories.shards import write_shard

Molecule = MolecularSystem
Frames = mdtraj.Trajectory


def run_directory(path: Path, system: Molecule, frames: Frames, kind: str = "explore") -> Path:
    with RunDirectory.open(path, kind="simulate", config={}, seed=1) as run:
        for number in range(2):
            xyz = frames.xyz[15 * number : 15 * (number + 1)]
            lineage = np.repeat(np.arange(3), 5) + 3 * number
            write_shard(path / f"frames-{number:04d}.h5", xyz, lineage, system, 300.0)
        run.finish({"kind": kind, "evaluations": 1234, "temperature_k": 300.0})
    return path


def ensemble_file(path: Path, system: Molecule, frames: Frames, kind: str, **columns: np.ndarray) -> Path:
    frames.save_hdf5(str(path))
    header = {"kind": kind, "temperature_k": 300.0, "system_record": system_record(system)}
    with tables.open_file(str(path), "a") as handle:
        handle.create_array("/", "molgen_header", obj=np.frombuffer(json.dumps(header).encode(), dtype=np.uint8))
        for name, values in columns.items():
            handle.create_array("/", name, obj=values)
    return path


@pytest.mark.filterwarnings("ignore:.*netCDF4")  # about the writing; reading is silent by itself
@pytest.mark.parametrize("ending", ["pdb", "dcd", "xtc", "trr", "nc", "h5"])
def test_every_format_gives_nanometres(tmp_path: Path, dipeptide: Molecule, trajectory: Frames, ending: str) -> None:
    path = tmp_path / f"t.{ending}"
    trajectory.save(str(path))
    frames = read_frames([path], dipeptide)
    np.testing.assert_allclose(frames.positions, trajectory.xyz, atol=1e-3)
    assert frames.positions.dtype == np.float32
    assert frames.kind == "equilibrium"
    assert frames.temperatures == (300.0,)
    assert frames.n_lineages == 1
    assert frames.evaluations == 0
    assert len(read_frames([path], dipeptide, ReadingOptions(stride=7))) == 5
    assert read_frames([path, path], dipeptide, kind="explore").lineage.tolist() == [0] * 30 + [1] * 30


def test_a_run_directory(tmp_path: Path, dipeptide: Molecule, trajectory: Frames) -> None:
    frames = read_frames([run_directory(tmp_path / "md", dipeptide, trajectory)], dipeptide)
    np.testing.assert_array_equal(frames.positions, trajectory.xyz)
    assert frames.kind == "explore"
    assert frames.evaluations == 1234
    assert frames.n_lineages == 6


def test_an_analytic_run_directory(tmp_path: Path) -> None:
    system = load_system("double-well")
    positions = np.linspace(-1.0, 1.0, 9).reshape(9, 1, 1)
    with RunDirectory.open(tmp_path / "md", kind="simulate", config={}, seed=1) as run:
        lineage = np.zeros(9, dtype=np.int64)
        write_shard(tmp_path / "md/frames-0000.h5", positions, lineage, system, system.temperature_k)
        run.finish({"kind": "equilibrium", "evaluations": 9, "temperature_k": system.temperature_k})
    frames = read_frames([tmp_path / "md"], system)
    np.testing.assert_array_equal(frames.positions, positions.astype(np.float32))
    with pytest.raises(InputError, match="cannot hold frames of double-well"):
        (tmp_path / "t.xtc").touch()
        read_frames([tmp_path / "t.xtc"], system)


def test_a_run_of_another_force_field_or_not_complete_is_refused(
    tmp_path: Path, dipeptide: Molecule, trajectory: Frames
) -> None:
    path = run_directory(tmp_path / "md", dipeptide, trajectory)
    with pytest.raises(InputError, match="another molecule or force field"):
        read_frames([path], load_system("alanine-dipeptide-vacuum"))
    with RunDirectory.open(tmp_path / "half", kind="simulate", config={}, seed=1):
        pass
    with pytest.raises(InputError, match="not complete"):
        read_frames([tmp_path / "half"], dipeptide)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="not the directory of a simulate run"):
        read_frames([tmp_path / "empty"], dipeptide)


def test_a_weighted_ensemble(tmp_path: Path, dipeptide: Molecule, trajectory: Frames) -> None:
    weight = np.linspace(-3.0, 0.0, 30)
    weight[4] = -np.inf
    spoilt = trajectory[:]
    spoilt.xyz[4, 0, 0] = np.nan  # a draw of weight zero may be anything
    path = ensemble_file(tmp_path / "ensemble.h5", dipeptide, spoilt, "model", log_weight=weight)
    for source in (path, tmp_path):
        frames = read_frames([source], dipeptide, ReadingOptions(stride=2))
        assert frames.log_weight is not None
        np.testing.assert_array_equal(frames.log_weight, weight[::2])
        assert frames.n_lineages == 15
    with pytest.raises(InputError, match="another molecule or force field"):
        read_frames([path], load_system("alanine-dipeptide-vacuum"))


def test_an_equilibrium_ensemble_keeps_its_lineages(tmp_path: Path, dipeptide: Molecule, trajectory: Frames) -> None:
    lineage = np.repeat([4, 7], 15)
    weight = np.zeros(30)
    path = ensemble_file(
        tmp_path / "reference.h5", dipeptide, trajectory, "equilibrium", lineage=lineage, log_weight=weight
    )
    assert read_frames([path], dipeptide).lineage.tolist() == lineage.tolist()


def test_draws_without_weights_are_refused(tmp_path: Path, dipeptide: Molecule, trajectory: Frames) -> None:
    path = ensemble_file(tmp_path / "e.h5", dipeptide, trajectory, "model")
    with pytest.raises(InputError, match=r"carry no weights.*molgen reweight"):
        read_frames([path], dipeptide)
    path = ensemble_file(tmp_path / "n.h5", dipeptide, trajectory, "model", log_weight=np.full(30, np.nan))
    with pytest.raises(InputError, match="weights that are not finite"):
        read_frames([path], dipeptide)
    path = ensemble_file(tmp_path / "s.h5", dipeptide, trajectory, "model", log_weight=np.zeros(29))
    with pytest.raises(InputError, match="30 frames but 29 rows"):
        read_frames([path], dipeptide)


@pytest.mark.parametrize("cut", [1, 288, 5000, 8500])
def test_a_truncated_dcd_is_refused(tmp_path: Path, dipeptide: Molecule, trajectory: Frames, cut: int) -> None:
    path = tmp_path / "t.dcd"
    trajectory.save_dcd(str(path))
    path.write_bytes(path.read_bytes()[:-cut])
    for stride in (1, 4):
        with pytest.raises(InputError, match="truncated: its header promises"):
            read_frames([path], dipeptide, ReadingOptions(stride=stride))


@pytest.mark.filterwarnings("ignore:.*netCDF4")
@pytest.mark.parametrize("ending", ["xtc", "h5", "nc"])
def test_other_damaged_files_are_refused(tmp_path: Path, dipeptide: Molecule, trajectory: Frames, ending: str) -> None:
    path = tmp_path / f"t.{ending}"
    trajectory.save(str(path))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=r"cannot be read|truncated"):
        read_frames([path], dipeptide)


@pytest.mark.parametrize("ending", ["dcd", "h5", "pdb"])
def test_angstrom_read_as_nanometres_is_recognised(
    tmp_path: Path, dipeptide: Molecule, trajectory: Frames, ending: str
) -> None:
    path = tmp_path / f"t.{ending}"
    Frames(trajectory.xyz * 10.0, trajectory.topology).save(str(path))
    with pytest.raises(InputError, match="looks like ångström"):
        read_frames([path], dipeptide)


@pytest.mark.parametrize("ending", ["dcd", "h5", "pdb", "xtc"])
def test_another_number_of_atoms_is_refused(
    tmp_path: Path, dipeptide: Molecule, trajectory: Frames, ending: str
) -> None:
    path = tmp_path / f"t.{ending}"
    trajectory.atom_slice(list(range(21))).save(str(path))
    with pytest.raises(InputError, match="has 21 atoms, alanine-dipeptide-obc1 has 22"):
        read_frames([path], dipeptide)


@pytest.mark.parametrize(
    ("ending", "message"), [("h5", "another order: atom 0 is C"), ("pdb", "another order"), ("dcd", "median length")]
)
def test_another_atom_order_is_refused_with_or_without_elements(
    tmp_path: Path, dipeptide: Molecule, trajectory: Frames, ending: str, message: str
) -> None:
    atoms = list(trajectory.topology.atoms)
    order = [1, 0, *range(2, 22)]
    topology = mdtraj.Topology()
    residue = topology.add_residue("UNK", topology.add_chain())
    for index in order:
        topology.add_atom(atoms[index].name, atoms[index].element, residue)
    path = tmp_path / f"t.{ending}"
    Frames(trajectory.xyz[:, order], topology).save(str(path))
    with pytest.raises(InputError, match=message):
        read_frames([path], dipeptide)


def test_swapped_atoms_of_one_element_are_noticed(tmp_path: Path, dipeptide: Molecule, trajectory: Frames) -> None:
    order = list(range(22))
    order[8], order[14] = 14, 8
    path = tmp_path / "t.h5"
    Frames(trajectory.xyz[:, order], trajectory.topology).save(str(path))
    with pytest.raises(InputError, match=r"The bond .* has a median length"):
        read_frames([path], dipeptide)


def test_a_file_without_frames_is_refused(tmp_path: Path, dipeptide: Molecule, trajectory: Frames) -> None:
    with mdtraj.formats.HDF5TrajectoryFile(str(tmp_path / "t.h5"), "w") as file:
        file.topology = trajectory.topology
        file.write(trajectory.xyz[:0])
    with pytest.raises(InputError, match="no frames"):
        read_frames([tmp_path / "t.h5"], dipeptide)
    (tmp_path / "t.dcd").touch()
    with pytest.raises(InputError, match=r"cannot be read|no frames"):
        read_frames([tmp_path / "t.dcd"], dipeptide)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_coordinates_that_are_not_finite_are_refused(
    tmp_path: Path, dipeptide: Molecule, trajectory: Frames, value: float
) -> None:
    xyz = trajectory.xyz.copy()
    xyz[[3, 8], 5, 1] = value
    Frames(xyz, trajectory.topology).save(str(tmp_path / "t.dcd"))
    with pytest.raises(InputError, match="2 frames with coordinates that are not finite"):
        read_frames([tmp_path / "t.dcd"], dipeptide)


def test_what_is_not_there_or_has_no_known_ending(tmp_path: Path, dipeptide: Molecule) -> None:
    with pytest.raises(InputError, match="no file or directory"):
        read_frames([tmp_path / "t.dcd"], dipeptide)
    (tmp_path / "t.xyz1").touch()
    with pytest.raises(InputError, match="no ending of a trajectory format"):
        read_frames([tmp_path / "t.xyz1"], dipeptide)
    with pytest.raises(InputError, match="stride of 0"):
        read_frames([tmp_path], dipeptide, ReadingOptions(stride=0))
