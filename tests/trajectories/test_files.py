"""Trajectories of strangers: solvent, copies, other orders, boxes; each read, or refused with a remedy that works."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import mdtraj
import numpy as np
import pytest

from molgen.errors import InputError
from molgen.systems import MolecularSystem
from molgen.systems.loading import data_root
from molgen.trajectories import files
from molgen.trajectories.options import ReadingOptions
from molgen.trajectories.reading import read_frames

Molecule = MolecularSystem
Frames = mdtraj.Trajectory
BOXED = ["dcd", "xtc", "trr", "nc", "pdb", "h5", "gro"]


def with_water(trajectory: Frames, waters: int = 3, first: bool = False) -> Frames:
    """``trajectory`` with water molecules after it (or before it) in a box of 3 nm."""
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in range(waters):
        residue = topology.add_residue("HOH", chain)
        for name, symbol in (("O", "O"), ("H1", "H"), ("H2", "H")):
            topology.add_atom(name, mdtraj.element.get_by_symbol(symbol), residue)
    n = trajectory.n_frames
    water = np.tile(np.array([[0.0, 0, 0], [0.096, 0, 0], [-0.024, 0.093, 0]]), (waters, 1))
    water += np.repeat(np.arange(waters), 3)[:, None] * 0.4 + 1.0
    solvent = Frames(np.broadcast_to(water, (n, *water.shape)).astype(np.float32), topology)
    pair = (solvent, trajectory) if first else (trajectory, solvent)
    joined = pair[0].stack(pair[1])
    return box_of(joined, 3.0)


def box_of(trajectory: Frames, length: float) -> Frames:
    boxed = Frames(trajectory.xyz, trajectory.topology)
    boxed.unitcell_lengths = np.full((boxed.n_frames, 3), length)
    boxed.unitcell_angles = np.full((boxed.n_frames, 3), 90.0)
    return boxed


def permuted(trajectory: Frames, order: list[int]) -> Frames:
    """The same residues with their atoms in another order, names and all."""
    atoms = list(trajectory.topology.atoms)
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    residues = [topology.add_residue(r.name, chain, resSeq=r.resSeq) for r in trajectory.topology.residues]
    for index in order:
        topology.add_atom(atoms[index].name, atoms[index].element, residues[atoms[index].residue.index])
    assert [a.residue.index for a in topology.atoms] == sorted(atoms[i].residue.index for i in order)
    return Frames(trajectory.xyz[:, order], topology)


@pytest.mark.filterwarnings("ignore:.*netCDF4")
@pytest.mark.parametrize("ending", BOXED)
@pytest.mark.parametrize("first", [False, True])
def test_a_selection_takes_the_molecule_out_of_its_solvent(
    tmp_path: Path, dipeptide: Molecule, trajectory: Frames, ending: str, first: bool
) -> None:
    full = with_water(trajectory, first=first)
    full.save(str(tmp_path / f"t.{ending}"))
    full[0].save(str(tmp_path / "all.pdb"))
    named = None if ending in ("pdb", "h5", "gro") else tmp_path / "all.pdb"
    for text in ("protein", "not water"):
        options = ReadingOptions(stride=4, selection=text, topology=named)
        frames = read_frames([tmp_path / f"t.{ending}"], dipeptide, options)
        np.testing.assert_allclose(frames.positions, trajectory.xyz[::4], atol=1e-3)
        assert frames.made_whole == 0


@pytest.mark.parametrize("ending", ["dcd", "xtc", "trr"])
def test_a_stride_runs_on_over_the_pieces_in_which_a_file_is_read(
    tmp_path: Path, dipeptide: Molecule, trajectory: Frames, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_CHUNK", 7)
    full = with_water(trajectory)
    full.save(str(tmp_path / f"t.{ending}"))
    full[0].save(str(tmp_path / "all.pdb"))
    for stride in (2, 4, 11, 100):
        options = ReadingOptions(stride=stride, selection="protein", topology=tmp_path / "all.pdb")
        frames = read_frames([tmp_path / f"t.{ending}"], dipeptide, options)
        np.testing.assert_allclose(frames.positions, trajectory.xyz[::stride], atol=1e-3)


@pytest.mark.parametrize("ending", ["pdb", "h5", "xtc"])
def test_solvent_without_a_selection_is_refused_with_the_selection_to_give(
    tmp_path: Path, dipeptide: Molecule, trajectory: Frames, ending: str
) -> None:
    full = with_water(trajectory, first=True)
    path = tmp_path / f"t.{ending}"
    full.save(str(path))
    full[0].save(str(tmp_path / "all.pdb"))
    named = tmp_path / "all.pdb" if ending == "xtc" else None
    with pytest.raises(InputError, match=r"31 atoms, .* has 22: it holds solvent \(3 water molecules\)") as caught:
        read_frames([path], dipeptide, ReadingOptions(topology=named))
    assert '--selection "index 9 to 30"' in caught.value.hint
    options = ReadingOptions(selection="index 9 to 30", topology=named)
    np.testing.assert_allclose(read_frames([path], dipeptide, options).positions, trajectory.xyz, atol=1e-3)


def test_solvent_in_a_file_without_names_says_how_to_strip_it(
    tmp_path: Path, dipeptide: Molecule, trajectory: Frames
) -> None:
    full = with_water(trajectory)
    full.save(str(tmp_path / "t.dcd"))
    full[0].save(str(tmp_path / "all.pdb"))
    with pytest.raises(InputError, match="has 31 atoms") as caught:
        read_frames([tmp_path / "t.dcd"], dipeptide)
    assert "--topology" in caught.value.hint
    assert "--selection" in caught.value.hint
    run_remedy(caught.value.hint, tmp_path)
    stripped = read_frames([tmp_path / "stripped.h5"], dipeptide)
    np.testing.assert_allclose(stripped.positions, trajectory.xyz, atol=1e-3)
    with pytest.raises(InputError, match="names no atoms"):
        read_frames([tmp_path / "t.dcd"], dipeptide, ReadingOptions(selection="protein"))


def run_remedy(hint: str, folder: Path) -> None:
    """The ``python -c "..."`` in a remedy, run as a user would."""
    _, _, code = shlex.split(hint[hint.index("python -c") :])[:3]
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)


def test_several_copies_are_refused_with_the_selection_of_one(
    tmp_path: Path, dipeptide: Molecule, trajectory: Frames
) -> None:
    triple = trajectory.stack(trajectory).stack(trajectory)
    triple.save(str(tmp_path / "t.pdb"))
    with pytest.raises(InputError, match="it holds 3 copies of the molecule") as caught:
        read_frames([tmp_path / "t.pdb"], dipeptide)
    assert '--selection "index 0 to 21"' in caught.value.hint
    with pytest.raises(InputError, match="'protein' picks 66 atoms") as caught:
        read_frames([tmp_path / "t.pdb"], dipeptide, ReadingOptions(selection="protein"))
    assert "the first of 3 copies" in caught.value.hint
    triple.save(str(tmp_path / "t.dcd"))
    with pytest.raises(InputError, match="3 times as many"):
        read_frames([tmp_path / "t.dcd"], dipeptide)


def test_missing_and_extra_atoms_are_named(tmp_path: Path, dipeptide: Molecule, trajectory: Frames) -> None:
    keep = [i for i in range(22) if i != 9]
    trajectory.atom_slice(keep).save(str(tmp_path / "less.h5"))
    name = dipeptide.topology.atoms[9].name
    with pytest.raises(InputError, match=rf"has 21 atoms, .* has 22: {name} \(H\) of ALA 2 is missing"):
        read_frames([tmp_path / "less.h5"], dipeptide)
    heavy = [a.index for a in trajectory.topology.atoms if a.element.symbol != "H"]
    trajectory.atom_slice(heavy).save(str(tmp_path / "heavy.pdb"))
    with pytest.raises(InputError, match="it holds no hydrogens"):
        read_frames([tmp_path / "heavy.pdb"], dipeptide)
    topology = trajectory.topology.copy()
    topology.add_atom("CL", mdtraj.element.chlorine, topology.residue(2))
    Frames(trajectory.xyz[:, [*range(22), 21]], topology).save(str(tmp_path / "more.h5"))
    with pytest.raises(InputError, match=r"has 23 atoms, .* has 22") as caught:
        read_frames([tmp_path / "more.h5"], dipeptide)
    assert '--selection "index 0 to 21"' in caught.value.hint


def test_another_order_names_the_first_atom_and_how_to_reorder(
    tmp_path: Path, dipeptide: Molecule, trajectory: Frames
) -> None:
    order = list(range(22))
    order[8], order[10] = 10, 8  # CA and CB: the same element, so only the names tell
    other = permuted(trajectory, order)
    other.save(str(tmp_path / "t.pdb"))
    other.save(str(tmp_path / "t.dcd"))
    source = data_root() / "systems/alanine-dipeptide-obc1/topology.pdb"
    (tmp_path / "topology.pdb").write_text(source.read_text())
    for path, named in ((tmp_path / "t.pdb", None), (tmp_path / "t.dcd", tmp_path / "t.pdb")):
        with pytest.raises(InputError, match=r"another order: atom 8 is CB \(C\) of ALA 2, not CA \(C\)") as caught:
            read_frames([path], dipeptide, ReadingOptions(topology=named))
        run_remedy(caught.value.hint, tmp_path)
        again = read_frames([tmp_path / "reordered.h5"], dipeptide)
        np.testing.assert_allclose(again.positions, trajectory.xyz, atol=1e-3)
    with pytest.raises(InputError, match=r"The bond .* has a median length"):  # without names the geometry tells
        read_frames([tmp_path / "t.dcd"], dipeptide)


def test_names_of_another_convention_are_accepted(tmp_path: Path, dipeptide: Molecule, trajectory: Frames) -> None:
    other = trajectory[:]
    other.topology = trajectory.topology.copy()
    for index, atom in enumerate(other.topology.atoms):
        atom.name = f"{atom.element.symbol}{index}"
    other.save(str(tmp_path / "t.h5"))
    assert len(read_frames([tmp_path / "t.h5"], dipeptide)) == 30


@pytest.mark.filterwarnings("ignore:.*netCDF4")
@pytest.mark.parametrize("ending", BOXED)
def test_a_broken_molecule_is_made_whole(tmp_path: Path, dipeptide: Molecule, trajectory: Frames, ending: str) -> None:
    wrapped = box_of(trajectory, 2.5)
    wrapped.xyz = wrapped.xyz - np.floor(wrapped.xyz / 2.5) * 2.5  # it stands about the origin: every frame is broken
    path = tmp_path / f"t.{ending}"
    wrapped.save(str(path))
    frames = read_frames([path, path], dipeptide, ReadingOptions(stride=3))
    assert frames.made_whole == len(frames) == 20
    shift = frames.positions[:10] - trajectory.xyz[::3]
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1], shift.shape), atol=3e-3)


def test_a_broken_molecule_without_a_box_is_refused(tmp_path: Path, dipeptide: Molecule, trajectory: Frames) -> None:
    wrapped = trajectory[:]
    wrapped.xyz[[4, 7], :11] += 2.5
    wrapped.save(str(tmp_path / "t.dcd"))
    broken = r"In 2 of 30 frames .* is broken \(bond .* nm\), and the file holds no"
    with pytest.raises(InputError, match=broken) as caught:
        read_frames([tmp_path / "t.dcd"], dipeptide)
    assert "gmx trjconv -pbc whole" in caught.value.hint
    box_of(wrapped, 3.7).save(str(tmp_path / "b.dcd"))  # a box that does not explain the break
    with pytest.raises(InputError, match="its box does not make it whole"):
        read_frames([tmp_path / "b.dcd"], dipeptide)


def test_reading_prints_nothing_on_standard_output(
    tmp_path: Path, dipeptide: Molecule, trajectory: Frames, capfd: pytest.CaptureFixture[str]
) -> None:
    trajectory.save(str(tmp_path / "t.dcd"))
    capfd.readouterr()
    read_frames([tmp_path / "t.dcd"], dipeptide)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("ending", ["dcd", "h5"])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, dipeptide: Molecule, trajectory: Frames, ending: str) -> None:
    path = tmp_path / f"t.{ending}"
    trajectory[:5].save(str(path))
    size = path.stat().st_size
    for left in range(size - 1, 0, -(size // 40)):
        os.truncate(path, left)
        with pytest.raises(InputError, match=r"truncated|cannot be read|no frames"):
            read_frames([path], dipeptide)


def test_nanometre_written_as_angstrom(tmp_path: Path, dipeptide: Molecule, trajectory: Frames) -> None:
    Frames(trajectory.xyz / 10.0, trajectory.topology).save(str(tmp_path / "t.dcd"))
    with pytest.raises(InputError, match="ten times too short"):
        read_frames([tmp_path / "t.dcd"], dipeptide)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # mdtraj leaves a bad file open
def test_bad_options_and_topologies(tmp_path: Path, dipeptide: Molecule, trajectory: Frames) -> None:
    trajectory.save(str(tmp_path / "t.dcd"))
    trajectory[0].save(str(tmp_path / "t.pdb"))
    with pytest.raises(InputError, match="stride of 0"):
        ReadingOptions(stride=0)
    with pytest.raises(InputError, match="no topology file"):
        ReadingOptions(topology=tmp_path / "nothing.pdb")
    (tmp_path / "bad.pdb").write_text("no atom in it\n")
    with pytest.raises(InputError, match=r"bad\.pdb cannot be read as a topology|has 22 atoms, its topology .* has 0"):
        read_frames([tmp_path / "t.dcd"], dipeptide, ReadingOptions(topology=tmp_path / "bad.pdb"))
    trajectory[0].atom_slice(list(range(10))).save(str(tmp_path / "ten.pdb"))
    with pytest.raises(InputError, match=r"has 22 atoms, its topology .* has 10"):
        read_frames([tmp_path / "t.dcd"], dipeptide, ReadingOptions(topology=tmp_path / "ten.pdb"))
    with pytest.raises(InputError, match="selection 'protien' cannot be read"):
        read_frames([tmp_path / "t.pdb"], dipeptide, ReadingOptions(selection="protien"))
    with pytest.raises(InputError, match="picks 0 atoms"):
        read_frames([tmp_path / "t.pdb"], dipeptide, ReadingOptions(selection="water"))
