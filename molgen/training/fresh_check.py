"""The check at the end of matching: fresh draws with the energy, beside frames that are carried back to noise.

Both are dear for a continuous flow, so a time limit says how many of each there are.
"""

import time
from dataclasses import replace

import numpy as np
import torch

from molgen.arrays import FloatArray
from molgen.models.base import Draws, SavedModel
from molgen.models.temperature import ROUNDING_K
from molgen.observables.states import build_states
from molgen.progress import ProgressEvent
from molgen.seeds import child_seed
from molgen.training.guard import EvaluatedFrames, Guard, guard_rows, states_of_frames
from molgen.training.keeper import Keeper
from molgen.training.record import TrainingRecord
from molgen.training.task import TrainingTask

STATE_FRAMES = 50
"""Training frames by which a state is judged of which fewer are held out."""
LIMIT_SHARE = 0.2
"""Largest share of a time limit that is kept for the check."""
LEAST_DRAWS = 50
"""Where so many take longer than the whole limit there is no check."""
LEAST_FRAMES = 20
"""With time for fewer frames than this the states are not judged."""
_TIMED_S = 1.0


class FreshCheck:
    """Checks ``model`` after its training; ``reserve_s`` is the time to keep for that, timed on the model as it is."""

    def __init__(self, model: SavedModel, task: TrainingTask) -> None:
        self.model, self.task = model, task
        self._each = 0.0
        self._draws, self.reserve_s = self._planned()

    def run(self, positions: FloatArray, reduced: FloatArray, record: TrainingRecord, keeper: Keeper) -> None:
        """Write effective sample size, states and what is to be noted into ``record``.

        ``positions`` (n, N, D) and ``reduced`` (n,) are all frames of the task with their energies.
        """
        if not self._draws:
            record.notes.append(
                f"There was no time to check the model by fresh draws ({self._each:.1f} s each): nothing is known of "
                "its states."
            )
            return
        started = time.monotonic()
        pieces: list[Draws] = []
        done = 0
        while done < self._draws:
            generator = torch.Generator().manual_seed(child_seed(self.task.seed, "check", len(pieces)))
            pieces.append(self.model.sample(min(self.model.piece, self._draws - done), generator))
            done += len(pieces[-1].log_q)
            self.task.progress(ProgressEvent("check", done, self._draws, "draws"))
            keeper.stop_if_asked()
        guard = self._affordable(_guard(self.task, positions, reduced), started, record)
        report = guard.judge(self.model, _joined(pieces))
        record.states = [state.to_json() for state in report.states]
        record.curve.append(
            {
                "stage": "check",
                "step": record.step,
                "ess": report.ess,
                "ess_winsorised": report.ess_winsorised,
                "guard": {state["name"]: state["disagreement_kt"] for state in record.states},
            }
        )
        record.notes.extend(report.reasons)
        record.guarded = report.passed
        record.seconds["check"] = time.monotonic() - started

    def _affordable(self, guard: Guard[SavedModel], started: float, record: TrainingRecord) -> Guard[SavedModel]:
        """``guard`` with the frames there is time to carry back to noise: a poor model makes that dear."""
        frames, limit = guard.frames, self.task.limit_s
        if limit is None or not guard.states.names or not isinstance(frames, EvaluatedFrames):
            return guard
        few = torch.as_tensor(frames.positions[:2])
        before = time.monotonic()
        self.model.log_prob(few)
        now = time.monotonic()
        left = limit - record.seconds.get("learn", 0.0) - (now - started)
        most = int(left * len(few) / max(now - before, 1e-9))
        if most >= len(frames.positions):
            return guard
        if most < LEAST_FRAMES:
            record.notes.append("There was no time to judge the states by their frames.")
            most = 0
        rows = np.unique(np.linspace(0, len(frames.positions) - 1, most).astype(np.int64))
        states, lineage = guard.frame_states[rows], guard.frame_lineage[rows]
        return replace(guard, frames=frames.rows(rows), frame_states=states, frame_lineage=lineage)

    def _planned(self) -> tuple[int, float]:
        """How many draws the check takes, and the seconds to keep for it where there is a time limit."""
        draws, limit = self.task.settings.check_draws, self.task.limit_s
        if limit is None:
            return draws, 0.0
        each = self._each = self._seconds_a_draw(draws, min(_TIMED_S, 0.25 * LIMIT_SHARE * limit))
        frames = self.task.settings.check_frames if self.task.system.definition.state else 0
        reserve = min(LIMIT_SHARE * limit, each * (draws + frames))
        affordable = max(LEAST_DRAWS, int(reserve / max(each, 1e-9)) - frames)
        # The least may overrun the share that is kept for it, not the limit.
        return (min(draws, affordable), reserve) if affordable * each <= limit else (0, 0.0)

    def _seconds_a_draw(self, most: int, enough_s: float) -> float:
        """Timed on as many draws at once as take ``enough_s``, since few are dearer each than many."""
        generator = torch.Generator().manual_seed(child_seed(self.task.seed, "timing"))
        count = min(4, most)
        while True:
            started = time.monotonic()
            self.model.sample(count, generator)
            seconds = time.monotonic() - started
            if seconds > enough_s or 2 * count > min(most, self.model.piece):
                return seconds / count
            count *= 2


def _guard(task: TrainingTask, positions: FloatArray, reduced: FloatArray) -> Guard[SavedModel]:
    states = build_states(task.system)
    found = states_of_frames(task.system, states, positions)
    # Evidence is that of the target: frames of other temperatures or under a bias say nothing about it.
    judging = np.abs(task.frames.temperature_k - task.system.temperature_k) <= ROUNDING_K
    judging &= task.frames.unbiased
    kept = guard_rows(
        found,
        len(states.names),
        task.rows[judging[task.rows]],
        task.held_out[judging[task.held_out]],
        most=task.settings.check_frames,
        most_of_state=STATE_FRAMES,
        enough=STATE_FRAMES,
    )
    frames = EvaluatedFrames(positions[kept], reduced[kept])
    lineage = task.frames.lineage[kept]
    return Guard(task.system, states, task.energy, frames, found[kept], lineage, task.negligible)


def _joined(pieces: list[Draws]) -> Draws:
    return Draws(
        torch.cat([piece.positions for piece in pieces]),
        torch.cat([piece.log_q for piece in pieces]).double(),
        torch.cat([piece.in_domain for piece in pieces]),
    )
