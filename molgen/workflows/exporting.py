"""`export`: frames for other programs, weighted or drawn by their weights, as XTC, DCD or PDB."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molgen import seeds
from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.errors import InputError, RefusedError, UsageError
from molgen.files import write_atomically
from molgen.progress import Progress, ProgressEvent, silent
from molgen.sampling.resampling import systematic_resampling
from molgen.settings import nearest_hint
from molgen.systems.mdtraj_topology import mdtraj_topology
from molgen.trajectories.writing import check_format, write_trajectory
from molgen.weights import effective_count, normalised
from molgen.workflows.export_source import ExportSource, open_source

DEFAULT_FRAMES = 1000
"""Frames drawn by weight where no number is asked for."""


@dataclass(frozen=True)
class ExportResult:
    """What was written: ``distinct`` of ``frames`` are different rows, ``ess`` the effective samples behind them."""

    directory: Path
    system: str
    temperature_k: float
    source: str
    state: str | None
    frames: int
    distinct: int
    duplicates: int
    ess: float | None
    verdict: str | None
    warnings: tuple[str, ...]
    files: tuple[str, ...]
    seed: int | None

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**asdict(self), "directory": str(self.directory)}


def export(
    source: str | Path,
    output: str | Path,
    *,
    n: int | None = None,
    state: str | None = None,
    weighted: bool = False,
    raw: bool = False,
    ensemble: Path | None = None,
    allow_refused: bool = False,
    force: bool = False,
    seed: int | None = None,
    progress: Progress = silent,
) -> ExportResult:
    """Write frames of ``source`` (a reweight, sample or simulate run, or an ensemble file) to ``output``.

    The ending of ``output`` (.xtc, .dcd, .pdb) chooses the format; a topology stands beside the first two. Weighted
    draws are resampled, ``n`` of them, or with ``weighted`` written all, with ``<output>.weights.csv`` beside. Draws
    of a model without weights and frames of an umbrella run need ``raw``; they and frames of dynamics are written as
    they are, ``n`` at even distance. ``state`` takes one state only. ``ensemble`` says where a reweighting's draws are,
    if they were moved.

    ``InputError`` for what cannot be exported or a file in the way (unless ``force``); ``RefusedError``, before
    anything is written, where the verdict is ``refused`` and ``allow_refused`` is False.
    """
    job = _prepare(Path(source), Path(output), _Choice(n, state, weighted, raw, ensemble, allow_refused, force), seed)
    opened, rows = job.source, job.rows
    topology = mdtraj_topology(opened.system)
    if job.topology is not None:
        write_trajectory(job.topology, topology, opened.blocks(rows[:1]))
    if job.weights is not None:
        write_atomically(job.weights, _weights_csv(opened, rows))
    write_trajectory(job.path, topology, _watched(opened.blocks(rows), len(rows), progress))
    distinct = len(np.unique(rows))
    return ExportResult(
        directory=job.path.parent,
        system=opened.system.name,
        temperature_k=opened.temperature_k,
        source=opened.kind,
        state=state,
        frames=len(rows),
        distinct=distinct,
        duplicates=len(rows) - distinct,
        ess=job.ess,
        verdict=opened.verdict,
        warnings=tuple(_warnings(opened, len(rows), None if job.seed is None else job.ess)),
        files=tuple(str(file) for file in job.files),
        seed=job.seed,
    )


def plan_export(
    source: str | Path,
    output: str | Path,
    *,
    n: int | None = None,
    state: str | None = None,
    weighted: bool = False,
    raw: bool = False,
    ensemble: Path | None = None,
    allow_refused: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """What :func:`export` would write; it refuses what that would refuse."""
    job = _prepare(Path(source), Path(output), _Choice(n, state, weighted, raw, ensemble, allow_refused, force), 0)
    size = {".xtc": 5, ".dcd": 12, ".pdb": 81}[job.path.suffix.lower()]
    return {
        "system": job.source.system.name,
        "source": job.source.kind,
        "frames": len(job.rows),
        "evaluations": 0,
        "disk_mb": round(len(job.rows) * job.source.system.n_particles * size / 1e6, 1),
        "files": [str(file) for file in job.files],
    }


@dataclass(frozen=True)
class _Choice:
    """What is asked for, as :func:`export` takes it."""

    n: int | None
    state: str | None
    weighted: bool
    raw: bool
    ensemble: Path | None
    allow_refused: bool
    force: bool


@dataclass(frozen=True)
class _Job:
    """Rows and files of one export; ``seed`` only where rows are drawn by weight, ``ess`` of those to choose from."""

    source: ExportSource
    rows: IntArray
    path: Path
    topology: Path | None
    weights: Path | None
    ess: float | None
    seed: int | None

    @property
    def files(self) -> list[Path]:
        return [file for file in (self.path, self.topology, self.weights) if file is not None]


def _prepare(source: Path, path: Path, choice: _Choice, seed: int | None) -> _Job:
    """Everything that is refused is refused here, before anything is written."""
    ending = check_format(path)
    if choice.n is not None and choice.n < 1:
        raise UsageError(f"{choice.n} frames cannot be written.", "Ask for at least one with -n.")
    topology = path.with_suffix(".pdb") if ending != ".pdb" else None
    weights = path.with_suffix(".weights.csv") if choice.weighted else None
    check_absent([file for file in (path, topology, weights) if file is not None], choice.force)
    opened = open_source(source, choice.ensemble)
    _check_kind(opened, source, choice)
    check_verdict(opened, choice.allow_refused)
    inside = _of_state(opened, choice.state)
    ess = None if opened.log_weight is None else effective_count(opened.log_weight[inside])
    if opened.log_weight is None or choice.weighted:
        return _Job(opened, _evenly(inside, choice.n), path, topology, weights, ess, None)
    root = seeds.new_root_seed() if seed is None else seed
    share = normalised(np.where(inside, opened.log_weight, -np.inf))
    rows = systematic_resampling(share, choice.n or DEFAULT_FRAMES, seeds.numpy_generator(root, "export"))
    return _Job(opened, rows, path, topology, weights, ess, root)


def _evenly(inside: BoolArray, n: int | None) -> IntArray:
    """The rows of ``inside`` (n,), or as many as asked for at even distance."""
    rows = np.flatnonzero(inside).astype(np.int64)
    return rows if n is None or n >= len(rows) else rows[np.arange(n) * len(rows) // n]


def _watched(blocks: Iterator[FloatArray], total: int, progress: Progress) -> Iterator[FloatArray]:
    done = 0
    for block in blocks:
        yield block
        done += len(block)
        progress(ProgressEvent("export", done, total, "frames"))


def check_absent(files: Sequence[Path], force: bool) -> None:
    """``InputError`` if one of ``files`` is there already, unless ``force``."""
    present = [str(file) for file in files if file.exists()]
    if present and not force:
        raise InputError(f"{present[0]} exists already.", "Choose another -o, or give --force to replace it.")


def check_verdict(source: ExportSource, allow_refused: bool) -> None:
    """``RefusedError`` where the weights must not be believed."""
    if source.verdict == "refused" and not allow_refused:
        reason = source.reasons[0] if source.reasons else ""
        raise RefusedError(
            f"The verdict is refused: {reason} Nothing was written.", "--allow-refused writes the frames all the same."
        )


def _check_kind(source: ExportSource, path: Path, choice: _Choice) -> None:
    if source.kind == "raw" and not choice.raw:
        raise InputError(
            f"{path} holds raw draws of a model, which are not the Boltzmann ensemble.",
            "Run molgen reweight first and export its directory, or give --raw.",
        )
    if source.kind == "umbrella" and not choice.raw:
        raise InputError(
            f"{path} holds frames made under the bias {source.bias}, which are not the Boltzmann ensemble.",
            "Run molgen reweight with other ensembles and export its directory, or give --raw.",
        )
    if source.kind not in ("raw", "umbrella") and choice.raw:
        raise UsageError(f"{path} holds no raw draws.", "Leave out --raw, or give the directory of a sample run.")
    if source.kind != "weighted" and choice.weighted:
        raise UsageError(f"The frames in {path} carry no weights.", "Leave out --weighted, or export a reweight run.")
    if choice.weighted and choice.n is not None:
        raise UsageError("--weighted writes every frame that has weight.", "Leave out -n or --weighted.")


def _of_state(source: ExportSource, state: str | None) -> BoolArray:
    """The usable rows (n,), of one state if asked; ``InputError`` if there are none."""
    if state is None:
        inside = source.usable
    elif state in source.states:
        inside = source.usable & (source.label == source.states.index(state))
    else:
        hint = nearest_hint(state, source.states) if source.states else "Leave out --state."
        raise InputError(f"{source.system.name} has no state {state!r}.", hint)
    if not np.any(inside):
        where = "" if state is None else f" in the state {state!r}"
        raise InputError(f"There is no frame{where} to export.", "Take another state or source.")
    return inside


def _warnings(source: ExportSource, frames: int, ess: float | None) -> list[str]:
    found = []
    if source.kind == "raw":
        found.append("These are raw draws of a model: averages over them are not Boltzmann averages.")
    if source.kind == "umbrella":
        found.append(
            f"These frames were made under the bias {source.bias}: averages over them are not Boltzmann averages."
        )
    if ess is not None and frames > ess:
        found.append(f"{frames} frames are more than the {ess:.0f} effective samples behind them: many repeat.")
    if source.verdict == "refused":
        found.append("The verdict on these weights is refused.")
    left_out = int(np.sum(~source.usable))
    if left_out:
        found.append(f"{left_out} of {source.n} frames have no weight or lie outside the domain, and were left out.")
    return found


def _weights_csv(source: ExportSource, rows: IntArray) -> bytes:
    """Row, weight (share of the whole ensemble), log weight and state of each frame written."""
    assert source.log_weight is not None
    share: FloatArray = normalised(source.log_weight)
    buffer = io.StringIO()
    table = csv.writer(buffer, lineterminator="\n")
    table.writerow(("row", "weight", "log_weight", "state"))
    for row in rows:
        label = int(source.label[row])
        name = source.states[label] if label >= 0 else ""
        table.writerow((int(row), repr(float(share[row])), repr(float(source.log_weight[row])), name))
    return buffer.getvalue().encode()
