"""The guard of training: does every state that the frames visited still have the weight it should have?"""

import math
from dataclasses import dataclass, replace
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
import torch

from molgen.arrays import FloatArray, IntArray
from molgen.energies.base import Energy
from molgen.models.base import Draws, GenerativeModel
from molgen.observables.states import StateSet
from molgen.observables.table import evaluate_cvs
from molgen.systems.system import System
from molgen.weights import StateGuard, guard_states, kish_ess, trimmed_ess, winsorised_ess

GUARD_FRAMES = 8192
"""Most frames of one kind that are judged by."""
GUARD_STATE_FRAMES = 100
"""A state with fewer held-out frames than this is judged by its training frames too."""

Model_contra = TypeVar("Model_contra", bound=GenerativeModel, contravariant=True)
Model = TypeVar("Model", bound=GenerativeModel)


class JudgingFrames(Protocol[Model_contra]):
    """Frames that can say what they weigh under a model."""

    def importance(self, model: Model_contra) -> FloatArray:
        """log w (n,) = -u - log q of each frame."""
        ...


@dataclass(frozen=True)
class EvaluatedFrames:
    """Frames (n, N, D) with their reduced energies (n,): judging frames for any model."""

    positions: FloatArray
    reduced: FloatArray

    def importance(self, model: GenerativeModel) -> FloatArray:
        """See :class:`JudgingFrames`; in pieces of the size the model prefers."""
        frames = torch.as_tensor(np.asarray(self.positions, dtype=np.float64))
        pieces = [model.log_prob(piece).double() for piece in torch.split(frames, model.piece)]
        log_q = torch.cat(pieces).numpy() if len(frames) else np.zeros(0)
        return np.asarray(-self.reduced - log_q, dtype=np.float64)

    def rows(self, index: IntArray) -> Self:
        """The frames ``index``."""
        return type(self)(self.positions[index], self.reduced[index])


@dataclass(frozen=True)
class GuardReport:
    """Effective sample sizes (fractions) of fresh draws and the record of every state that has frames.

    ``ess_trimmed``, without the heaviest 0.2 %, scatters least: training compares its checks by it.
    """

    ess: float
    ess_winsorised: float
    ess_trimmed: float
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
class Guard(Generic[Model]):
    """Frames, their states (-1: in none) and lineages, and what is needed to judge fresh draws.

    The frames need local equilibrium within each state only (docs/statistics.md, section 2). A state whose share of the
    target is below ``negligible``, by draws and frames alike, stops nothing.
    """

    system: System
    states: StateSet
    energy: Energy
    frames: JudgingFrames[Model]
    frame_states: IntArray
    frame_lineage: IntArray
    negligible: float = 0.0

    def check(self, model: Model, draws: int, seed: int) -> GuardReport:
        """Judge ``model`` by ``draws`` fresh draws (that many energy evaluations) against the frames."""
        return self.judge(model, model.sample(draws, torch.Generator().manual_seed(seed)))

    def judge(self, model: Model, sample: Draws) -> GuardReport:
        """Judge ``model`` by draws of it that no training has seen."""
        positions = sample.positions.double().numpy()
        reduced = self.energy.reduced(positions, purpose="training")
        with np.errstate(invalid="ignore"):  # inf - inf of a draw without energy and density
            log_weight = -reduced - sample.log_q.numpy()
        log_weight = np.where(sample.in_domain.numpy() & np.isfinite(log_weight), log_weight, -np.inf)
        # Without states nothing is asked of the frames, whose densities may be dear.
        frame_weight = self.frames.importance(model) if self.states.names else np.zeros(len(self.frame_states))
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
        return GuardReport(kish_ess(log_weight), winsorised_ess(log_weight), trimmed_ess(log_weight), judged)


def states_of_frames(system: System, states: StateSet, positions: FloatArray) -> IntArray:
    """The state (n,) of each frame (n, N, D), -1 for none or a frame that is not finite."""
    return states.assign(evaluate_cvs(system, np.asarray(positions, dtype=np.float64)))


def guard_rows(
    found: IntArray,
    states: int,
    training: IntArray,
    held_out: IntArray,
    *,
    most: int = GUARD_FRAMES,
    most_of_state: int = GUARD_FRAMES,
    enough: int = GUARD_STATE_FRAMES,
) -> IntArray:
    """Rows of the frames by which the guard judges, given each frame's state ``found`` (n,).

    Frames that were learned from flatter the model, so at most ``most`` of those held out are asked; only a state of
    which fewer than ``enough`` are held out is judged by at most ``most_of_state`` of its training frames too.
    """
    chosen = [held_out[:: max(1, math.ceil(len(held_out) / most))]]
    for state in range(states):
        if int((found[chosen[0]] == state).sum()) < enough:
            learned = training[found[training] == state]
            chosen.append(learned[:: max(1, math.ceil(len(learned) / most_of_state))])
    return np.unique(np.concatenate(chosen))
