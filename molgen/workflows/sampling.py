"""Sample: independent draws of a trained model with their log-density, into an ensemble file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from pydantic import PositiveInt

from molgen.ensemble import Density, Ensemble, EnsembleHeader, EnsembleWriter, Measure
from molgen.errors import PartialError, UsageError
from molgen.interruption import Interruption
from molgen.models.artifact import LoadedModel, load_model
from molgen.models.base import DrawOptions, Draws, GenerativeModel
from molgen.progress import Progress, ProgressEvent, silent
from molgen.rundir import RunDirectory
from molgen.sampling.drawing import draw_pieces
from molgen.sampling.pieces import remove_pieces
from molgen.settings import Settings
from molgen.systems.record import system_record

KIND = "sample"
ENSEMBLE = "ensemble.h5"
MAX_STOPPED = 0.5
"""Share of a piece whose trajectories may stop being finite before the run is given up."""


class SamplingSettings(Settings):
    """``piece`` draws are made and kept at a time (None: what the model prefers); memory and seeds follow it.

    ``steps``, ``density`` and ``probes`` are for models that draw along trajectories
    (:class:`molgen.models.base.DrawOptions`); ``steps`` None is the model's own number.
    """

    piece: PositiveInt | None = None
    steps: PositiveInt | None = None
    density: Density = "exact"
    probes: PositiveInt = 4

    @property
    def options(self) -> DrawOptions:
        """What the model is told."""
        return DrawOptions(self.steps, self.density, self.probes)


@dataclass(frozen=True)
class SamplingResult:
    """What was drawn; ``out_of_domain`` draws are in the file with a flag and will have weight 0.

    ``not_finite`` of them have no finite position or density; ``notes`` say in words what a user should know.
    ``log_q_error`` is the root mean square standard error of log q where it is estimated with noise, else None.
    """

    directory: Path
    system: str
    n: int
    out_of_domain: int
    seed: int
    model_sha256: str
    not_finite: int = 0
    density: str = "exact"
    log_q_error: float | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**self.__dict__, "directory": str(self.directory)}


def plan_sampling(model: Path, *, n: int, settings: SamplingSettings | None = None) -> dict[str, Any]:
    """What :func:`sample` would do: size of the file, memory of one piece (MB); no energy is evaluated."""
    loaded, settings = load_model(model), settings or SamplingSettings()
    chosen = loaded.model.with_options(settings.options)
    numbers = loaded.system.n_particles * 3
    piece = settings.piece or chosen.piece
    return {
        "system": loaded.system.name,
        "draws": n,
        "pieces": -(-n // piece),
        "density": settings.density,
        "evaluations": 0,
        "files": 1,
        "disk_mb": round(n * (4 * numbers + 9) / 1e6, 1),
        "memory_mb": round(piece * (8 * numbers * 40) / 1e6, 1),
    }


def sample(
    model: str | Path,
    output: str | Path,
    *,
    n: int,
    settings: SamplingSettings | None = None,
    seed: int | None = None,
    progress: Progress = silent,
    interruption: Interruption | None = None,
) -> SamplingResult:
    """Draw ``n`` frames of the model in ``model`` into ``output/ensemble.h5``, with log q and the domain flag.

    Nothing is left out: a draw outside the system's domain, or one whose trajectory stopped being finite, is written
    and flagged. Finished pieces are kept, so that the same call continues an interrupted run. ``InputError`` for an
    unusable model, ``UsageError`` for ``n`` < 1 or a choice the model has not, ``InterruptedRunError`` at the time
    limit, ``PartialError`` if most trajectories of a piece stop being finite (the pieces stay).
    """
    if n < 1:
        raise UsageError(f"{n} draws cannot be made.", "Ask for at least one with -n.")
    loaded, settings = load_model(model), settings or SamplingSettings()
    chosen = loaded.model.with_options(settings.options)
    piece = settings.piece or chosen.piece
    config = {
        "model": str(Path(model).resolve()),
        "model_sha256": loaded.sha256,
        "n": n,
        "settings": {"piece": piece, **settings.options.chosen()},
    }
    with RunDirectory.open(output, kind=KIND, config=config, seed=seed) as directory:
        if directory.complete:
            stored = directory.manifest.result
            notes = tuple(stored.get("notes", ()))
            return SamplingResult(**{**stored, "directory": directory.path, "notes": notes})
        header = _header(loaded, directory.seed, settings.options)
        tally = _draw(chosen, directory, header, n, piece, progress, interruption or Interruption())
        remove_pieces(directory.path)
        result = SamplingResult(
            directory.path,
            loaded.system.name,
            n,
            tally.outside,
            directory.seed,
            loaded.sha256,
            tally.not_finite,
            settings.density,
            tally.log_q_error,
            tally.notes(n),
        )
        directory.finish(result.to_json())
    return result


def _draw(
    model: GenerativeModel,
    directory: RunDirectory,
    header: EnsembleHeader,
    n: int,
    piece: int,
    progress: Progress,
    interruption: Interruption,
) -> "_Tally":
    """Draw all pieces, keep each, and write them as one ensemble."""
    tally = _Tally()
    with EnsembleWriter(directory.path / ENSEMBLE, header) as writer:
        for draws in draw_pieces(model, n, seed=directory.seed, piece=piece, keep=directory.path):
            rows = _rows(draws, header)
            tally.add(draws, rows)
            writer.append(rows)
            progress(ProgressEvent("sample", tally.done, n, "draws"))
            if tally.done < n:
                interruption.check()
    return tally


@dataclass
class _Tally:
    """Counts over the pieces drawn so far; ``first`` is the first draw that stopped being finite and the time then."""

    done: int = 0
    outside: int = 0
    not_finite: int = 0
    stopped: int = 0
    first: tuple[int, float] | None = None
    earliest: float = np.inf
    squares: float = 0.0
    noisy: int = 0

    def add(self, draws: Draws, rows: Ensemble) -> None:
        """Count a piece; ``PartialError`` if most of its trajectories stopped."""
        assert rows.log_q is not None
        start, size = self.done, len(rows)
        self.done += size
        self.outside += int((~rows.in_domain).sum())
        self.not_finite += int((~(np.isfinite(rows.positions).all(axis=(1, 2)) & np.isfinite(rows.log_q))).sum())
        if rows.log_q_error is not None:
            known = rows.log_q_error[np.isfinite(rows.log_q_error)]
            self.squares, self.noisy = self.squares + float(np.sum(known**2)), self.noisy + len(known)
        if draws.stopped_at is None:
            return
        times = draws.stopped_at.double().numpy()
        stopped = np.flatnonzero(np.isfinite(times))
        if not len(stopped):
            return
        self.stopped += len(stopped)
        self.earliest = min(self.earliest, float(times[stopped].min()))
        self.first = self.first or (start + int(stopped[0]), float(times[stopped[0]]))
        if len(stopped) > MAX_STOPPED * size:
            raise PartialError(
                f"{self._sentence(self.done)} Most draws of a piece were lost, so the run was given up.",
                "Take more steps (--set steps=...), or train longer.",
            )

    @property
    def log_q_error(self) -> float | None:
        """Root mean square of the standard errors of log q, None where it has none."""
        return float(np.sqrt(self.squares / self.noisy)) if self.noisy else None

    def notes(self, n: int) -> tuple[str, ...]:
        """What a user should know, in sentences."""
        return (self._sentence(n),) if self.first is not None else ()

    def _sentence(self, n: int) -> str:
        assert self.first is not None
        number, when = self.first
        what = "draw was" if self.stopped == 1 else "draws were"
        return (
            f"{self.stopped} of {n} {what} no longer finite before the end of the trajectory: first draw {number} "
            f"(counted from 0) at time {when:.3g}, none before time {self.earliest:.3g}."
        )


def _header(loaded: LoadedModel, seed: int, options: DrawOptions) -> EnsembleHeader:
    return EnsembleHeader(
        system_record=system_record(loaded.system),
        temperature_k=loaded.temperature_k,
        measure=cast(Measure, loaded.model.measure),
        model_sha256=loaded.sha256,
        seed=seed,
        evaluations=loaded.training.get("evaluations", {}),
        dim=loaded.system.dim,
        density=options.density,
        drawing=options.chosen(),
    )


def _rows(draws: Draws, header: EnsembleHeader) -> Ensemble:
    error = draws.log_q_error
    return Ensemble(
        positions=draws.positions.double().numpy(),
        log_q=draws.log_q.double().numpy(),
        reduced_energy=None,
        log_weight=None,
        in_domain=draws.in_domain.numpy().astype(np.bool_),
        header=header,
        log_q_error=None if error is None else error.double().numpy(),
    )
