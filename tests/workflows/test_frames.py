"""Frames as a workflow takes them: labels matched, what is outside the domain left out, counted and named."""

from pathlib import Path

import mdtraj
import numpy as np
import pytest

from molgen.errors import InputError
from molgen.systems.loading import load_system
from molgen.systems.mdtraj_topology import mdtraj_topology
from molgen.systems.system import MolecularSystem
from molgen.trajectories.frames import FrameSet
from molgen.trajectories.options import ReadingOptions
from molgen.workflows.frames import open_frames, usable_frames

MIRROR = np.array([-1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def dipeptide() -> MolecularSystem:
    system = load_system("alanine-dipeptide")
    assert isinstance(system, MolecularSystem)
    return system


def frames_of(positions: np.ndarray, weight: np.ndarray | None = None) -> FrameSet:
    return FrameSet(positions, np.arange(len(positions)) // 5, "equilibrium", np.full(len(positions), 300.0), weight)


def shaken(system: MolecularSystem, n: int = 20) -> np.ndarray:
    return np.asarray(system.positions + 0.002 * np.random.default_rng(1).normal(size=(n, system.n_particles, 3)))


def test_labels_are_matched_and_frames_outside_left_out_with_their_rows(dipeptide: MolecularSystem) -> None:
    positions = shaken(dipeptide)
    positions[3:5] *= MIRROR
    positions[10:16, [11, 12]] = positions[10:16, [12, 11]]
    usable = usable_frames(frames_of(positions), dipeptide)
    assert (usable.total, usable.outside, len(usable.frames)) == (20, 2, 18)
    assert usable.frames.lineage.tolist() == [0] * 3 + [1] * 5 + [2] * 5 + [3] * 5
    assert usable.relabelled["CB of ALA 2"] == 8  # the mirrored methyls are relabelled too, and stay mirrored
    labels, outside = usable.notes
    assert "CB of ALA 2 in 8" in labels
    assert "2 frames outside the domain were left out: handedness at the stereocentre CA of ALA 2 (2 frames)" in outside
    np.testing.assert_array_equal(usable.frames.positions[8, 11], positions[10, 12])


def test_more_than_half_outside_is_refused_with_the_place(dipeptide: MolecularSystem) -> None:
    positions = shaken(dipeptide)
    positions[:10] *= MIRROR
    assert usable_frames(frames_of(positions), dipeptide).outside == 10
    positions[10] *= MIRROR
    with pytest.raises(InputError, match=r"11 of 20 frames .* handedness at the stereocentre CA of ALA 2") as caught:
        usable_frames(frames_of(positions), dipeptide)
    assert "stereoisomer" in caught.value.hint


def test_turned_peptide_bonds_are_refused_with_their_remedy(dipeptide: MolecularSystem) -> None:
    names = [(atom.name, atom.residue_name) for atom in dipeptide.topology.atoms]
    carbon, nitrogen = names.index(("C", "ALA")), names.index(("N", "NME"))
    moved = [k for k, (_, residue) in enumerate(names) if residue == "NME" and k != nitrogen]
    positions = shaken(dipeptide)
    axis = positions[:, nitrogen] - positions[:, carbon]
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    relative = positions[:, moved] - positions[:, [carbon]]
    along = (relative * axis[:, None]).sum(-1, keepdims=True) * axis[:, None]
    positions[:, moved] = positions[:, [carbon]] + 2.0 * along - relative
    with pytest.raises(InputError, match="cis-trans at the peptide bond C of ALA 2 - N of NME 3") as caught:
        usable_frames(frames_of(positions), dipeptide)
    assert 'cis_trans = "free"' in caught.value.hint


def test_frames_of_weight_zero_are_dropped_but_not_counted(dipeptide: MolecularSystem) -> None:
    positions = shaken(dipeptide)
    positions[:15] *= MIRROR
    weight = np.zeros(20)
    weight[:15] = -np.inf
    usable = usable_frames(frames_of(positions, weight), dipeptide)
    assert (usable.total, usable.outside, len(usable.frames)) == (5, 0, 5)


def test_sources_are_thinned_strided_and_selected(tmp_path: Path, dipeptide: MolecularSystem) -> None:
    path = tmp_path / "t.dcd"
    mdtraj.Trajectory(shaken(dipeptide, 40).astype(np.float32), mdtraj_topology(dipeptide)).save(str(path))
    assert len(open_frames([path, path], dipeptide).frames) == 80
    assert len(open_frames([path], dipeptide, ReadingOptions(stride=3)).frames) == 14
    assert len(open_frames([path], dipeptide, most=15).frames) == 14
    assert open_frames([path, path], dipeptide).notes == ()
