"""`committor transition-states`: Boltzmann-weighted frames with q near ½, as an ensemble and as a trajectory."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.committor.artifact import LoadedCommittor, load_committor
from molgen.committor.transition_states import TransitionStates, transition_states
from molgen.ensemble import Ensemble, EnsembleHeader, EnsembleWriter, Measure
from molgen.errors import RefusedError, UsageError
from molgen.observables.table import build_cvs, evaluate_cvs
from molgen.rundir import RunDirectory
from molgen.systems.mdtraj_topology import mdtraj_topology
from molgen.systems.record import system_record
from molgen.systems.system import MolecularSystem
from molgen.trajectories.options import EVERYTHING, ReadingOptions
from molgen.trajectories.writing import FORMATS, write_trajectory
from molgen.weights import normalised
from molgen.workflows.export_source import padded
from molgen.workflows.shooting_source import ShootingFrames, boltzmann_frames, source_identity

KIND = "transition-states"
ENSEMBLE = "ensemble.h5"
RESULT = "result.json"
_NAME = "transition-states"
_CHUNK = 4096


@dataclass(frozen=True)
class TransitionStatesResult:
    """What was written: ``frames`` with ``share`` of all weight, worth ``ess`` independent ones.

    ``mean_q`` is the weighted mean of q̂, ``uncertainty_q`` its weighted mean standard deviation over the members;
    ``variables`` holds mean and standard deviation of every collective variable (circular ones of periodic variables).
    """

    directory: Path
    system: str
    a: str
    b: str
    delta: float
    frames: int
    source_frames: int
    share: float
    ess: float
    inefficiency: float
    largest_share: float
    verdict: str
    reasons: tuple[str, ...]
    mean_q: float
    uncertainty_q: float
    variables: Mapping[str, Mapping[str, float]]
    files: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**self.__dict__, "directory": str(self.directory)}


@dataclass(frozen=True, eq=False)
class _Window:
    """The frames (m, N, D) chosen, ascending in ``row``, with log weights, lineage, q and the members' spread of q."""

    row: np.ndarray
    positions: FloatArray
    log_weight: FloatArray
    lineage: FloatArray
    q: FloatArray
    spread: FloatArray
    variables: dict[str, FloatArray]

    @property
    def share(self) -> FloatArray:
        """Weights (m,) of the sum 1."""
        return normalised(self.log_weight)


def transition_ensemble(
    committor: str | Path,
    ensembles: Sequence[str | Path],
    output: str | Path,
    *,
    delta: float = 0.05,
    ending: str = "dcd",
    reading: ReadingOptions = EVERYTHING,
    allow_refused: bool = False,
) -> TransitionStatesResult:
    """Write the frames of ``ensembles`` with |q̂ − ½| < ``delta``, with their weights, into ``output``.

    ``ensembles`` are a reweight run (or annealed draws), or frames of dynamics at equilibrium: run directories of
    ``simulate --plain`` and trajectories. ``ensemble.h5`` holds frames and weights, and is what ``committor shoot``,
    ``export`` and ``train`` read; the trajectory (``ending`` dcd, xtc or pdb) has its weights in a CSV file beside it.

    ``InputError`` for frames that are no Boltzmann sample or of another system than the committor; ``RefusedError``,
    before anything is written, where they are worth fewer than 100 independent ones or the source's weights are
    refused, unless ``allow_refused``; ``UsageError`` for a ``delta`` outside (0, ½].
    """
    if not 0.0 < delta <= 0.5:
        raise UsageError(f"No committor is within {delta:g} of 1/2.", "Give a --delta between 0 and 0.5.")
    if f".{ending}" not in FORMATS:
        raise UsageError(f"{ending!r} is no format to write.", f"Use one of {', '.join(f[1:] for f in FORMATS)}.")
    if not ensembles:
        raise UsageError("There are no frames to choose from.", "Give a reweight run, or plain dynamics.")
    paths = [Path(path) for path in ensembles]
    loaded = load_committor(committor)
    frames = boltzmann_frames(paths, loaded.model.boundary.system, reading)
    q = _by_chunks(loaded.model.probability, frames.positions)
    found = transition_states(q, frames.log_weight, frames.lineage, frames.origin, delta)
    _check(found, frames, allow_refused)
    window = _window(loaded, frames, found, q)
    config = {
        "committor": loaded.sha256,
        "ensembles": [source_identity(path) for path in paths],
        "delta": delta,
        "format": ending,
        "reading": reading.to_json(),
    }
    with RunDirectory.open(output, kind=KIND, config=config, seed=0) as run:
        if not run.complete:
            files = _write(run, loaded, window, ending)
            result = _result(run.path, loaded, frames, found, window, delta, files)
            run.write_json(RESULT, result.to_json())
            run.finish(result.to_json())
        stored = run.manifest.result
    lists = {"reasons": tuple(stored["reasons"]), "files": tuple(stored["files"])}
    return TransitionStatesResult(**{**stored, **lists, "directory": Path(output)})


def _check(found: TransitionStates, frames: ShootingFrames, allow_refused: bool) -> None:
    if allow_refused and found.inside.any():
        return
    if not found.inside.any():
        raise RefusedError(found.reasons[0], "Give more frames between the states, or a larger --delta.")
    if frames.refused:
        raise RefusedError(
            f"The weights of these frames are refused: {frames.refused[0]} Nothing was written.",
            "--allow-refused writes the frames all the same.",
        )
    if found.verdict == "refused":
        raise RefusedError(
            f"{found.reasons[0]} Nothing was written.",
            "Give more frames, draws made with --bias, or a larger --delta; --allow-refused writes them all the same.",
        )


def _window(loaded: LoadedCommittor, frames: ShootingFrames, found: TransitionStates, q: FloatArray) -> _Window:
    weight = np.zeros(len(q)) if frames.log_weight is None else frames.log_weight
    row = np.flatnonzero(found.inside & np.isfinite(weight))
    positions = frames.positions[row]
    q = q[row]
    spread = np.sqrt(_by_chunks(loaded.model.disagreement, positions))
    variables = evaluate_cvs(loaded.model.boundary.system, positions)
    return _Window(row, positions, weight[row], frames.lineage[row].astype(np.float64), q, spread, variables)


def _by_chunks(function: Any, positions: FloatArray) -> FloatArray:
    parts = [function(positions[start : start + _CHUNK]) for start in range(0, len(positions), _CHUNK)]
    return np.concatenate(parts) if parts else np.zeros(0)


def _write(run: RunDirectory, loaded: LoadedCommittor, window: _Window, ending: str) -> list[str]:
    system = loaded.model.boundary.system
    measure: Measure = "internal-coordinates" if isinstance(system, MolecularSystem) else "external"
    header = EnsembleHeader(system_record(system), system.temperature_k, measure, kind="part", dim=system.dim)
    inside = np.ones(len(window.q), dtype=np.bool_)
    rows = Ensemble(window.positions, None, None, window.log_weight, inside, header, lineage=window.lineage)
    with EnsembleWriter(run.path / ENSEMBLE, header) as writer:
        writer.append(rows)
    names, topology = [ENSEMBLE, f"{_NAME}.{ending}"], mdtraj_topology(system)
    if ending != "pdb":
        names.append(f"{_NAME}.pdb")
        write_trajectory(run.path / names[-1], topology, [padded(window.positions[:1])])
    write_trajectory(run.path / names[1], topology, _blocks(window.positions))
    names.append(f"{_NAME}.weights.csv")
    run.write_bytes(names[-1], _weights_csv(window))
    return names


def _blocks(positions: FloatArray) -> Iterator[FloatArray]:
    for start in range(0, len(positions), _CHUNK):
        yield padded(positions[start : start + _CHUNK])


def _weights_csv(window: _Window) -> bytes:
    """Row among the usable frames, weight (of all here), log weight, q and its spread, and the variables."""
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(("row", "weight", "log_weight", "q", "q_spread", *window.variables))
    columns = (window.share, window.log_weight, window.q, window.spread, *window.variables.values())
    for row, *values in zip(window.row, *columns, strict=True):
        table.writerow((int(row), *(repr(float(value)) for value in values)))
    return buffer.getvalue().encode()


def _result(
    path: Path,
    loaded: LoadedCommittor,
    frames: ShootingFrames,
    found: TransitionStates,
    window: _Window,
    delta: float,
    files: list[str],
) -> TransitionStatesResult:
    boundary, share = loaded.model.boundary, window.share
    reasons = found.reasons + tuple(f"The weights of the source are refused: {text}" for text in frames.refused)
    return TransitionStatesResult(
        directory=path,
        system=boundary.system.name,
        a=boundary.a,
        b=boundary.b,
        delta=delta,
        frames=len(window.q),
        source_frames=len(frames.positions),
        share=found.share,
        ess=found.ess,
        inefficiency=found.inefficiency,
        largest_share=found.largest_share,
        verdict="refused" if frames.refused else found.verdict,
        reasons=reasons,
        mean_q=float(share @ window.q),
        uncertainty_q=float(share @ window.spread),
        variables=_summary(loaded, window),
        files=tuple(files),
    )


def _summary(loaded: LoadedCommittor, window: _Window) -> dict[str, dict[str, float]]:
    """Weighted mean and standard deviation of every variable; of periodic ones √(−2 ln R), R the mean resultant."""
    share, found = window.share, {}
    for name, variable in build_cvs(loaded.model.boundary.system).items():
        values = window.variables[name]
        if variable.periodic:
            resultant = complex(share @ np.exp(1j * values))
            deviation = np.sqrt(-2.0 * np.log(min(abs(resultant), 1.0)))
            found[name] = {"mean": float(np.angle(resultant)), "deviation": float(deviation)}
        else:
            mean = float(share @ values)
            found[name] = {"mean": mean, "deviation": float(np.sqrt(share @ (values - mean) ** 2))}
    return found
