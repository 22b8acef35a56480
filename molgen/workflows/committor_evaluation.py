"""`committor evaluate`: predictions beside shots that took no part in the fit."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molgen import seeds
from molgen.committor.artifact import LoadedCommittor, load_committor
from molgen.committor.likelihood import expected_calibration_error, fidelity, recalibrate, reliability
from molgen.committor.model import Committor
from molgen.committor.pairs import pair_correlation
from molgen.committor.spread import histogram_test
from molgen.errors import InputError, UsageError
from molgen.files import to_plain
from molgen.observables.rows import VariableRows
from molgen.rundir import RunDirectory, configuration_hash, read_manifest
from molgen.systems.system import System
from molgen.workflows.committor_fitting import KIND as COMMITTOR
from molgen.workflows.committor_mechanism import mechanism
from molgen.workflows.committor_report import report_committor
from molgen.workflows.shot_data import RUN, ShotData, mostly_decided, open_shots

KIND = "committor-evaluation"
RESULT = "evaluation.json"
MAX_ECE, MAX_SLOPE = 0.03, 0.05
"""Calibrated: expected calibration error and |slope − 1| (beyond 1.96 standard errors) no larger."""
MAX_SLOPE_ERROR = 0.5
"""A slope known no better than this is not determined."""


@dataclass(frozen=True)
class CommittorEvaluation:
    """The run directory and what stands in its evaluation.json, with the path of the ``report``."""

    directory: Path
    record: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The content of evaluation.json."""
        return dict(self.record)


def evaluate_committor(
    committor: str | Path,
    shots: str | Path | None,
    output: str | Path,
    *,
    system: System | None = None,
    seed: int | None = None,
) -> CommittorEvaluation:
    """Judge ``committor`` by ``shots`` (what :func:`molgen.workflows.shot_data.open_shots` reads) it was not fitted to.

    Log loss beside its floor, Brier score, reliability diagram with Wilson's intervals, recalibration with errors that
    know how alike shots of a configuration are, the histogram test at q̂ = ½, and the mechanism: the variables that q̂
    depends on and a sparse formula. All of it stands in a report too. Without ``shots`` a committor of
    ``committor run`` is judged by those that run kept for it. ``InputError`` for shots of another dynamics or other
    states, and for those the committor was fitted to; ``UsageError`` if there are none to judge by.
    """
    loaded = load_committor(committor)
    model = loaded.model
    if shots is None:
        if read_manifest(committor).kind != RUN:
            raise UsageError(f"{committor} kept no shots to be judged by.", "Give shots that it was not fitted to.")
        shots = committor
    data = open_shots(Path(shots), system, model.boundary.a, model.boundary.b, judging=True)
    _check(loaded, data, Path(committor), Path(shots))
    config = {"committor": loaded.sha256, "shots": data.source}
    with RunDirectory.open(output, kind=KIND, config=config, seed=seed) as run:
        record = run.read_json(RESULT) if run.complete else None
        if record is None:
            record = to_plain(judge(model, data, run.seed) | {"mechanism": mechanism(model, data, run.seed)})
            run.write_json(RESULT, record)
            summary = {key: record[key] for key in ("calibrated", "log_loss", "slope", "ece")}
            run.finish(summary, artifacts=[RESULT])
            record = run.read_json(RESULT)
        assert record is not None
        # Written anew every time: rates may have come since.
        report = report_committor(loaded, data, record, Path(committor), Path(shots), run.path)
    return CommittorEvaluation(Path(output), record | {"report": str(report)})


def _check(loaded: LoadedCommittor, data: ShotData, committor: Path, shots: Path) -> None:
    if configuration_hash(data.record) != loaded.dynamics_sha256:
        differing = [key for key in loaded.record if loaded.record[key] != data.record.get(key)]
        raise InputError(
            f"The shots in {shots} are of another {' and '.join(differing)} than the committor.",
            "A committor belongs to its dynamics and states: fit one to shots of these.",
        )
    if isinstance(data.positions, VariableRows):
        wanted = loaded.model.features.variables
        missing = [name for name in wanted or () if name not in data.positions.values]
        if wanted is None or missing:
            what = "all coordinates" if wanted is None else missing[0]
            raise InputError(
                f"The committor is a function of {what}, which {shots} does not hold.",
                "Give structures (NPZ), or fit a committor to variables.",
            )
    manifest = read_manifest(committor)
    if manifest.kind != RUN and read_manifest(committor, COMMITTOR).config["source"] == data.source:
        raise InputError(
            f"The committor was fitted to the shots in {shots}.",
            "Judge it by others, made with another --seed.",
        )


def judge(model: Committor, data: ShotData, seed: int) -> dict[str, Any]:
    """The figures of ``model`` on the shots of ``data``: what evaluation.json says."""
    logit = model.logit(data.positions)
    q = model.probability(data.positions)
    reached, decided = data.counts.b, data.counts.decided
    found = fidelity(q, reached, decided)
    again = recalibrate(logit, reached, decided)
    rows = reliability(q, reached, decided)
    ece = expected_calibration_error(rows)
    pairs = pair_correlation(data.shots, q) if data.shots is not None else None
    spread = None
    if data.shots is not None:
        spread = histogram_test(data.shots, q, seeds.numpy_generator(seed, "histogram"))
    # An error of the slope's own size says nothing, least of all that the slope may be 1.
    off = abs(again.slope - 1.0) - 1.96 * again.slope_error if again.slope_error < MAX_SLOPE_ERROR else math.nan
    undecided, share = int(data.counts.undecided.sum()), data.counts.undecided_share
    decided_enough = mostly_decided(data.counts)
    calibrated = bool(math.isfinite(off) and off <= MAX_SLOPE and ece <= MAX_ECE and decided_enough)
    reasons = []
    if not math.isfinite(off):
        reasons.append("The shots do not determine a slope.")
    elif off > MAX_SLOPE:
        reasons.append(f"The slope of the recalibration is {again.slope:.2f}, not 1.")
    if not ece <= MAX_ECE:
        reasons.append(f"The expected calibration error is {ece:.3f}, above {MAX_ECE:g}.")
    if not decided_enough:
        reasons.append(f"{share:.1%} of the shots are undecided and were left out: q is not known to better than that.")
    return {
        "system": model.boundary.system.name,
        "a": model.boundary.a,
        "b": model.boundary.b,
        "calibrated": calibrated,
        "reasons": reasons,
        **asdict(found),
        "undecided": undecided,
        "slope": again.slope,
        "slope_error": again.slope_error,
        "intercept": again.intercept,
        "intercept_error": again.intercept_error,
        "ece": ece,
        "reliability": [asdict(row) for row in rows],
        "pairs": None if pairs is None else asdict(pairs),
        "histogram": None if spread is None else asdict(spread),
        "uncertainty_logit": float(np.median(model.uncertainty(data.positions))),
    }
