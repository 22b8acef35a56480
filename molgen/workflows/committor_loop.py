"""The loop of `committor run`: choose, shoot, fit, judge, round after round, each found again on disk."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from molgen.arrays import BoolArray, FloatArray
from molgen.committor.artifact import load_committor, save_committor
from molgen.committor.fitting import LEAST_DECIDED, FittingData, fit_committor
from molgen.committor.likelihood import fidelity, negative_log_likelihood
from molgen.committor.model import Committor
from molgen.energies.base import Energy
from molgen.files import to_plain
from molgen.observables.boundary import Boundary
from molgen.progress import ProgressEvent
from molgen.rundir import RunDirectory, configuration_hash
from molgen.seeds import child_seed
from molgen.workflows.committor_evaluation import RESULT as EVALUATION
from molgen.workflows.committor_evaluation import judge
from molgen.workflows.committor_request import CommittorRunResult, CommittorRunSettings
from molgen.workflows.committor_rounds import Pool, Round
from molgen.workflows.committor_shooting import RoundShooting
from molgen.workflows.shot_data import ShotData, ledger_data


@dataclass(frozen=True, eq=False)
class Loop:
    """The rounds of one run."""

    run: RunDirectory
    boundary: Boundary
    energy: Energy
    record: dict[str, Any]
    shooting: RoundShooting
    bisected: Sequence[Round]
    plan: tuple[Round, ...]
    settings: CommittorRunSettings
    exploring_evaluations: int

    def go(self, executor: Executor, pool: Pool) -> tuple[list[dict[str, Any]], str]:
        """All rounds, those on disk read again; what each came to, and why the last one was the last."""
        ledger, first = self.shooting.ledger, len(self.bisected)
        rounds: list[dict[str, Any]] = []
        for number, entry in enumerate(self.plan):
            if ledger.points_of(first + number) is None:
                usable = pool.below(self.energy, self.settings.ceiling)
                chosen = pool.choose(self._model(number - 1), entry, first + number, self.run.seed, usable)
                ledger.add_points(chosen)
            before = [*self.bisected, *self.plan[:number]]
            self.shooting.shoot(executor, before, entry, f"round {number + 1} of {len(self.plan)}")
            rounds.append(self._learn(number, entry))
            if ended := self._ended(rounds):
                return rounds, ended
            pool = self.shooting.grow(pool, before, entry)
        return rounds, "all shots are spent"

    def _learn(self, number: int, entry: Round) -> dict[str, Any]:
        """Fit to all shots so far and judge by those held out; the round's file is written last."""
        name = f"{_folder(number)}/round.json"
        if (there := self.run.read_json(name)) is not None:
            return dict(there)
        data, held = self.data()
        batches = self.shooting.batches
        batches.progress(ProgressEvent("fit", number, len(self.plan), "rounds"))
        batches.interruption.check()
        fitted = data.part(~held)
        row: dict[str, Any] = {
            "round": number + 1,
            "points": entry.points,
            "held_out_points": entry.held,
            "shots": int(fitted.counts.decided.sum() + fitted.counts.undecided.sum() + fitted.counts.crashed.sum()),
            "evaluations": data.shots.total_steps if data.shots is not None else 0,
            "log_loss": None,
            "log_loss_floor": None,
            "held_out_shots": 0,
            "gain": None,
            "gain_at_most": None,
        }
        last = number + 1 == len(self.plan)
        if last or _both_outcomes(fitted):
            rows = FittingData.of(fitted.positions, fitted.counts, fitted.lineage)
            model = fit_committor(self.boundary, rows, self.settings.fitting, child_seed(self.run.seed, "fit", number))
            judged = data.part(held)
            found = fidelity(model.probability(judged.positions), judged.counts.b, judged.counts.decided)
            row |= {
                "log_loss": found.log_loss,
                "log_loss_floor": found.log_loss_floor,
                "held_out_shots": found.shots,
            }
            row |= self._gain(number, judged, model)
            (self.run.path / _folder(number)).mkdir(parents=True, exist_ok=True)
            save_committor(self.run.path / _folder(number), model, self.record, {"round": number + 1})
        row = to_plain(row)
        self.run.write_json(name, row)
        return row

    def _gain(self, number: int, judged: ShotData, model: Committor) -> dict[str, float]:
        """How much less the log loss of the same held-out shots is than ``patience`` rounds before, and at most."""
        earlier = self._model(number - self.settings.patience)
        if earlier is None:
            return {}
        used = judged.counts.decided > 0
        before, now = (_losses(which, judged)[used] for which in (earlier, model))
        shots = judged.counts.decided[used].sum()
        gain = float((before - now).sum() / shots)
        error = float(np.sqrt(((before - now - gain * judged.counts.decided[used]) ** 2).sum()) / shots)
        return {"gain": gain, "gain_at_most": gain + 1.645 * error}

    def _ended(self, rounds: list[dict[str, Any]]) -> str | None:
        most = self.settings.max_evaluations
        if most is not None and rounds[-1]["evaluations"] + self.exploring_evaluations >= most:
            return "all evaluations are spent"
        gain = rounds[-1]["gain_at_most"]
        if gain is not None and gain < self.settings.least_gain:
            return f"{self.settings.patience} rounds gained less than {self.settings.least_gain:g} nats a held-out shot"
        return None

    def _model(self, number: int) -> Committor | None:
        """The committor of round ``number``; None if there was nothing to fit to."""
        folder = self.run.path / _folder(number)
        return load_committor(folder).model if number >= 0 and (folder / "committor.json").exists() else None

    def data(self) -> tuple[ShotData, BoolArray]:
        """Everything in the ledger, and which of its points are held out."""
        points, shots = self.shooting.points(), self.shooting.ledger.shots()
        assert shots is not None
        return ledger_data(self.boundary, self.record, points, shots, ""), points.held_out

    def result(self, rounds: list[dict[str, Any]], ended: str, platform: str) -> CommittorRunResult:
        """Write the last round's committor as the run's, and what its held-out shots say of it."""
        data, held = self.data()
        assert data.shots is not None
        fitted, judged = data.part(~held), data.part(held)
        # Raises where there is still nothing to fit to; the ledger stays.
        rows = FittingData.of(fitted.positions, fitted.counts, fitted.lineage)
        model = self._model(len(rounds) - 1)
        assert model is not None
        own = fidelity(model.probability(rows.positions), rows.reached, rows.decided)
        record = to_plain(judge(model, judged, self.run.seed))
        undecided, crashed = (int(getattr(data.counts, name).sum()) for name in ("undecided", "crashed"))
        notes = []
        if undecided:
            notes.append(f"{undecided} undecided shots were left out: a longer --limit decides them.")
        if crashed:
            notes.append(f"{crashed} shots left the finite numbers and were left out.")
        digest = save_committor(self.run.path, model, self.record, to_plain({"fidelity": asdict(own), "notes": notes}))
        self.run.write_json(EVALUATION, record)
        return CommittorRunResult(
            directory=self.run.path,
            system=self.boundary.system.name,
            a=self.boundary.a,
            b=self.boundary.b,
            features=self.settings.fitting.model.features,
            rounds=tuple(rounds),
            ended=ended,
            points=len(held),
            shots=len(data.shots),
            held_out_shots=record["shots"],
            undecided=undecided,
            crashed=crashed,
            evaluations=data.shots.total_steps,
            exploring_evaluations=self.exploring_evaluations,
            **{key: record[key] for key in ("log_loss", "log_loss_floor", "slope", "slope_error", "ece", "calibrated")},
            dynamics_sha256=configuration_hash(self.record),
            committor_sha256=digest,
            seed=self.run.seed,
            platform=platform,
            notes=(*notes, *record["reasons"]),
        )


def _both_outcomes(data: ShotData) -> bool:
    """Whether there are enough decided shots to fit to, of both outcomes."""
    hits, total = int(data.counts.b.sum()), int(data.counts.decided.sum())
    return total >= LEAST_DECIDED and 0 < hits < total


def _losses(model: Committor, data: ShotData) -> FloatArray:
    """-ln L (n,) of the shots of each configuration."""
    logit, reached, decided = (
        torch.as_tensor(values) for values in (model.logit(data.positions), data.counts.b, data.counts.decided)
    )
    return np.asarray(negative_log_likelihood(logit, reached, decided))


def _folder(number: int) -> str:
    return f"rounds/{number:04d}"
