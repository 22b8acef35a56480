"""Moves for the variational term of a fit, from Boltzmann-weighted frames."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from molgen.committor.moves import Moves
from molgen.committor.variational import WeightedMoves
from molgen.dynamics.passage import PassageDynamics
from molgen.errors import InputError
from molgen.observables.boundary import NEITHER, Boundary
from molgen.seeds import child_seed, numpy_generator
from molgen.trajectories.options import ReadingOptions
from molgen.weights import normalised
from molgen.workflows.shooting_source import boltzmann_frames

MOST, LEAST = 10_000, 100
"""Frames outside the states that are moved, and without how many there is no term."""
MOVES_EACH = 16
"""So many that a fit does not see one of them often."""


def moves_from(
    ensemble: Sequence[Path], boundary: Boundary, dynamics: PassageDynamics, reading: ReadingOptions, seed: int
) -> tuple[WeightedMoves, tuple[str, ...]]:
    """Short moves of ``dynamics`` from each frame of ``ensemble`` outside the states, and notes on the frames.

    ``MOST`` frames drawn by chance are enough. Weights that are refused get a note: a fit is judged by its shots.
    ``InputError`` for frames that are no Boltzmann sample, or fewer than ``LEAST`` outside the states.
    """
    frames = boltzmann_frames(ensemble, boundary.system, reading)
    weight = np.zeros(len(frames.positions)) if frames.log_weight is None else frames.log_weight
    rows = np.flatnonzero((boundary.assign(frames.positions) == NEITHER) & np.isfinite(weight))
    if len(rows) < LEAST:
        raise InputError(
            f"{len(rows)} frames of {ensemble[0]} lie between the states, too few for a variational term.",
            f"Give at least {LEAST}: draws pushed there by sample --bias and reweighted.",
        )
    if len(rows) > MOST:
        rows = np.sort(numpy_generator(seed, "frames").choice(rows, MOST, replace=False))
    moves = Moves.make(dynamics, frames.positions[rows], MOVES_EACH, child_seed(seed, "moves"))
    refused = tuple(f"The weights of the ensemble are refused: {reason}" for reason in frames.refused[:1])
    return WeightedMoves(moves, normalised(weight[rows])), (*frames.notes, *refused)
