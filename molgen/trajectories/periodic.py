"""Molecules broken across a periodic box, made whole along their bonds."""

from collections.abc import Sequence

import numpy as np

from molgen.arrays import BoolArray, FloatArray
from molgen.systems.topology import MolecularTopology
from molgen.trajectories.frames import AnyFloatArray


def make_whole(
    positions: AnyFloatArray, vectors: FloatArray, topology: MolecularTopology
) -> tuple[AnyFloatArray, BoolArray]:
    """``positions`` (n, N, 3) with every atom in the periodic image nearest to the atom it is bonded to.

    ``vectors`` (n, 3, 3) are the rows a, b, c of each frame's box in nm; a frame whose box is not finite or has no
    volume stays as it is. Also gives which frames were changed (n,). Bonds are far shorter than half a box, so
    rounding in fractional coordinates finds the right image in a skewed box too.
    """
    finite = np.isfinite(vectors).all(axis=(1, 2)) & np.isfinite(positions).all(axis=(1, 2))
    volumes = np.linalg.det(np.where(np.asarray(finite)[:, None, None], vectors, 0.0))
    usable = np.asarray(finite & (np.abs(volumes) > 1e-6), dtype=np.bool_)
    boxes = np.asarray(vectors[usable], dtype=np.float64)
    inverse = np.linalg.inv(boxes)
    frames = np.asarray(positions[usable], dtype=np.float64)
    moved = np.zeros(len(frames), dtype=np.bool_)
    for parent, child in bond_tree(topology.neighbours()):
        fractional = np.einsum("ni,nij->nj", frames[:, child] - frames[:, parent], inverse)
        images = np.rint(fractional)
        crossed = images.any(axis=1)
        frames[crossed, child] -= np.einsum("ni,nij->nj", images[crossed], boxes[crossed])
        moved |= crossed
    changed = np.zeros(len(positions), dtype=np.bool_)
    changed[np.flatnonzero(usable)[moved]] = True
    if not changed.any():
        return positions, changed
    whole = positions.copy()
    whole[changed] = frames[moved]
    return whole, changed


def bond_tree(neighbours: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Bonds (parent, child) of a spanning tree of each molecule, parents first."""
    seen: set[int] = set()
    tree = []
    for start in range(len(neighbours)):
        if start in seen:
            continue
        seen.add(start)
        queue = [start]
        for parent in queue:
            for child in neighbours[parent]:
                if child not in seen:
                    seen.add(child)
                    tree.append((parent, child))
                    queue.append(child)
    return tree
