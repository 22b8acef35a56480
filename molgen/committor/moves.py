"""Short moves of the dynamics from configurations outside the states: what a committor's Dirichlet form is made of."""

from dataclasses import dataclass

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.dynamics.passage import CRASHED, PassageDynamics, PhasePoints
from molgen.errors import InputError
from molgen.observables.boundary import NEITHER
from molgen.seeds import child_seed, numpy_generator


@dataclass(frozen=True, eq=False)
class Moves:
    """Moves of ``lag_ps`` from configurations ``before`` (n, N, D) outside the states to ``after`` (n · r, N, D).

    Those of a configuration stand together; ``label`` (n · r,) says in which state they end.
    """

    before: FloatArray
    after: FloatArray
    label: IntArray
    lag_ps: float

    @property
    def each(self) -> int:
        """Moves r from each configuration."""
        return len(self.after) // len(self.before)

    @property
    def times(self) -> FloatArray:
        """How often each move (n · r,) counts: one that ends in a state begins there, turned round."""
        return np.where(self.label == NEITHER, 1.0, 2.0)

    @classmethod
    def make(cls, dynamics: PassageDynamics, positions: FloatArray, each: int, seed: int) -> "Moves":
        """``each`` moves from ``positions`` (n, N, D) outside the states, as long as dynamics goes between two looks.

        Velocities are Maxwell-Boltzmann's. ``InputError`` where dynamics leaves the finite numbers.
        """
        start = np.repeat(positions, each, axis=0)
        velocities = dynamics.velocities(start, numpy_generator(seed, "velocities"))
        found = dynamics.run(PhasePoints(start, velocities), dynamics.check_every, child_seed(seed, "moves"))
        crashed = int((found.label == CRASHED).sum())
        if crashed:
            raise InputError(
                f"{crashed} of {len(start)} short moves from these frames left the finite numbers.",
                "Give frames that the force field can live with: without clashes, in nm.",
            )
        lag = dynamics.check_every * dynamics.timestep_ps
        return cls(positions, found.end.positions, np.asarray(found.label), lag)
