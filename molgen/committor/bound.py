r"""The upper bound that a committor gives for the rate of overdamped dynamics.

Of all functions f that are 0 in A and 1 in B the committor has the least Dirichlet form, which is then the number of
transitions a unit of time; for dynamics that is looked at every δ and obeys detailed balance,

    ν ≤ ⟨(f(x_δ) − f(x_0))²⟩_π / (2 δ)  →  ∫ π D |∇f|²    (δ → 0, f continuous).

The left form is used: it holds at the stride of the dynamics itself, and counts the jumps that a model has at the
edges of the states, where it is pinned. Points lie outside the states; pairs that begin in a state are those that end
in one, turned round, so that these count twice.
"""

import numpy as np

from molgen.arrays import FloatArray
from molgen.committor.model import Committor
from molgen.committor.moves import Moves
from molgen.dynamics.passage import PassageDynamics

NOISES = 16
"""Moves from each point."""


def dirichlet_terms(model: Committor, dynamics: PassageDynamics, positions: FloatArray, seed: int) -> FloatArray:
    """What each of ``positions`` (P, N, D), outside the states, adds to the bound (P,), by ``NOISES`` moves of δ."""
    moves = Moves.make(dynamics, positions, NOISES, seed)
    change = model.probability(moves.after) - np.repeat(model.probability(moves.before), NOISES)
    terms = moves.times * change**2 / (2.0 * moves.lag_ps)
    return np.asarray(terms.reshape(-1, NOISES).mean(axis=1))
