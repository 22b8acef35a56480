"""The guard of training: does every state that the frames visited still have the weight it should have?"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from molgen.arrays import FloatArray, IntArray
from molgen.energies.base import Energy
from molgen.models.spline_flow import SplineFlow
from molgen.observables.states import StateSet
from molgen.observables.table import evaluate_cvs
from molgen.systems.system import System
from molgen.training.labelled import LabelledFrames
from molgen.training.objectives import negative_log_likelihood
from molgen.weights import StateGuard, guard_states, kish_ess, winsorised_ess


@dataclass(frozen=True)
class GuardReport:
    """Effective sample size of fresh draws and the record of every state that has frames."""

    ess: float
    ess_winsorised: float
    states: tuple[StateGuard, ...]

    @property
    def passed(self) -> bool:
        """Whether no state is lost."""
        return all(state.passed for state in self.states)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it did not pass."""
        return tuple(state.reason for state in self.states if not state.passed)


@dataclass(frozen=True)
class Guard:
    """Frames with their labels, states (-1: in none) and lineages, and what is needed to judge fresh draws.

    The frames need local equilibrium within each state only (docs/statistics.md, section 2). A state whose share of the
    target is below ``negligible``, by draws and frames alike, stops nothing.
    """

    system: System
    states: StateSet
    energy: Energy
    frames: LabelledFrames
    frame_states: IntArray
    frame_lineage: IntArray
    negligible: float = 0.0

    def check(self, flow: SplineFlow, draws: int, seed: int) -> GuardReport:
        """Judge ``flow`` by ``draws`` fresh draws (that many energy evaluations) against the frames."""
        sample = flow.sample(draws, torch.Generator().manual_seed(seed))
        positions = sample.positions.numpy()
        reduced = self.energy.reduced(positions, purpose="training")
        with np.errstate(invalid="ignore"):  # inf - inf of a draw without energy and density
            log_weight = -reduced - sample.log_q.numpy()
        log_weight = np.where(sample.in_domain.numpy() & np.isfinite(log_weight), log_weight, -np.inf)
        # The same weight in standard coordinates: the volume element of the chart cancels, the fold's order does not.
        nll = negative_log_likelihood(flow, self.frames.t, self.frames.r).double()
        frame_weight = (-self.frames.potential + nll).numpy() + flow.chart.log_order
        records = guard_states(
            self.states.names,
            log_weight,
            states_of_frames(self.system, self.states, positions),
            frame_weight,
            self.frame_states,
            self.frame_lineage,
        )
        judged = tuple(
            replace(record, passed=True, reason="", negligible=True)
            if record.is_negligible(self.negligible)
            else record
            for record in records
        )
        return GuardReport(kish_ess(log_weight), winsorised_ess(log_weight), judged)


def states_of_frames(system: System, states: StateSet, positions: FloatArray) -> IntArray:
    """The state (n,) of each frame (n, N, D), -1 for none or a frame that is not finite."""
    return states.assign(evaluate_cvs(system, np.asarray(positions, dtype=np.float64)))
