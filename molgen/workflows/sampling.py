"""Sample: independent draws of a trained model with their log-density, into an ensemble file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from pydantic import PositiveInt

from molgen.ensemble import Ensemble, EnsembleHeader, EnsembleWriter, Measure
from molgen.errors import UsageError
from molgen.interruption import Interruption
from molgen.models.artifact import LoadedModel, load_model
from molgen.models.base import Draws
from molgen.progress import Progress, ProgressEvent, silent
from molgen.rundir import RunDirectory
from molgen.sampling.drawing import draw_pieces
from molgen.settings import Settings
from molgen.systems.record import system_record

KIND = "sample"
ENSEMBLE = "ensemble.h5"


class SamplingSettings(Settings):
    """``piece`` draws are made and written at a time; memory follows it, and so do the seeds."""

    piece: PositiveInt = 2000


@dataclass(frozen=True)
class SamplingResult:
    """What was drawn; ``out_of_domain`` draws are in the file with a flag and will have weight 0."""

    directory: Path
    system: str
    n: int
    out_of_domain: int
    seed: int
    model_sha256: str

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**self.__dict__, "directory": str(self.directory)}


def plan_sampling(model: Path, *, n: int, settings: SamplingSettings | None = None) -> dict[str, Any]:
    """What :func:`sample` would do: size of the file, memory of one piece (MB); no energy is evaluated."""
    loaded, settings = load_model(model), settings or SamplingSettings()
    numbers = loaded.system.n_particles * 3
    return {
        "system": loaded.system.name,
        "draws": n,
        "evaluations": 0,
        "files": 1,
        "disk_mb": round(n * (4 * numbers + 9) / 1e6, 1),
        "memory_mb": round(settings.piece * (8 * numbers * 40) / 1e6, 1),
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

    Nothing is left out: a draw outside the system's domain is written and flagged. ``InputError`` for an unusable
    model, ``UsageError`` for ``n`` < 1, ``InterruptedRunError`` at the time limit (the draws are made anew then).
    """
    if n < 1:
        raise UsageError(f"{n} draws cannot be made.", "Ask for at least one with -n.")
    loaded, settings = load_model(model), settings or SamplingSettings()
    config = {
        "model": str(Path(model).resolve()),
        "model_sha256": loaded.sha256,
        "n": n,
        "settings": settings.model_dump(),
    }
    with RunDirectory.open(output, kind=KIND, config=config, seed=seed) as directory:
        if directory.complete:
            return SamplingResult(**{**directory.manifest.result, "directory": directory.path})
        outside = 0
        header = _header(loaded, directory.seed)
        with EnsembleWriter(directory.path / ENSEMBLE, header) as writer:
            done = 0
            for draws in draw_pieces(loaded.model, n, seed=directory.seed, piece=settings.piece):
                writer.append(_rows(draws, header))
                outside += int((~draws.in_domain).sum())
                done += len(draws.log_q)
                progress(ProgressEvent("sample", done, n, "draws"))
                (interruption or Interruption()).check()
        result = SamplingResult(directory.path, loaded.system.name, n, outside, directory.seed, loaded.sha256)
        directory.finish(result.to_json())
    return result


def _header(loaded: LoadedModel, seed: int) -> EnsembleHeader:
    return EnsembleHeader(
        system_record=system_record(loaded.system),
        temperature_k=loaded.temperature_k,
        measure=cast(Measure, loaded.model.measure),
        model_sha256=loaded.sha256,
        seed=seed,
        evaluations=loaded.training.get("evaluations", {}),
        dim=loaded.system.dim,
    )


def _rows(draws: Draws, header: EnsembleHeader) -> Ensemble:
    return Ensemble(
        positions=draws.positions.double().numpy(),
        log_q=draws.log_q.double().numpy(),
        reduced_energy=None,
        log_weight=None,
        in_domain=draws.in_domain.numpy().astype(np.bool_),
        header=header,
    )
