"""Molecules are made whole along their bonds, in rectangular and in skewed boxes."""

import numpy as np
import pytest

from molgen.systems import MolecularSystem
from molgen.trajectories.periodic import bond_tree, make_whole

SKEWED = np.array([[2.0, 0.0, 0.0], [0.9, 1.7, 0.0], [-0.6, 0.8, 1.6]])


@pytest.mark.parametrize("box", [2.0 * np.eye(3), SKEWED])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_wrapped_molecules_come_back(dipeptide: MolecularSystem, box: np.ndarray, dtype: type) -> None:
    rng = np.random.default_rng(2)
    true = dipeptide.positions + rng.uniform(-3.0, 3.0, (50, 1, 3))
    wrapped = true - np.floor(true @ np.linalg.inv(box)) @ box
    broken = np.ptp(wrapped - dipeptide.positions, axis=1).max(axis=1) > 0.1
    whole, changed = make_whole(wrapped.astype(dtype), np.tile(box, (50, 1, 1)), dipeptide.topology)
    assert broken.sum() > 10
    np.testing.assert_array_equal(changed, broken)
    assert whole.dtype == dtype
    shift = (whole - dipeptide.positions).astype(np.float64)
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1], shift.shape), atol=2e-6)


def test_frames_without_a_usable_box_stay_as_they_are(dipeptide: MolecularSystem) -> None:
    positions = np.stack([dipeptide.positions] * 4)
    positions[:, 5] += 2.0
    boxes = np.tile(2.0 * np.eye(3), (4, 1, 1))
    boxes[1] = 0.0
    boxes[2] = np.nan
    positions[3, 2, 0] = np.nan
    whole, changed = make_whole(positions, boxes, dipeptide.topology)
    assert changed.tolist() == [True, False, False, False]
    np.testing.assert_array_equal(whole[1:], positions[1:])
    np.testing.assert_allclose(whole[0], dipeptide.positions, atol=1e-12)


def test_the_bond_tree_reaches_every_atom_of_every_molecule_once() -> None:
    ring_and_pair = ((1, 2, 3), (0, 2), (0, 1), (0,), (5,), (4,))
    tree = bond_tree(ring_and_pair)
    assert len(tree) == 4
    placed = {0, 4}
    for parent, child in tree:
        assert parent in placed
        assert child not in placed
        placed.add(child)
    assert placed == set(range(6))
