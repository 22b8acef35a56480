"""`reweight`: from ensembles to populations, free energies and a verdict; the ensembles are never changed."""

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from molgen.ensemble import EnsembleReader
from molgen.errors import InputError, RefusedError, UsageError
from molgen.interruption import Interruption
from molgen.progress import Progress, silent
from molgen.systems.record import system_from_record
from molgen.trajectories.options import EVERYTHING, ReadingOptions
from molgen.workflows.reweight_model import ensemble_file
from molgen.workflows.reweight_one import CHUNK, reweight_one
from molgen.workflows.reweight_request import ReweightRequest
from molgen.workflows.reweight_settings import ReweightSettings


@dataclass(frozen=True)
class ReweightResult:
    """The run directory and what stands in its result.json."""

    directory: Path
    record: Mapping[str, Any]

    @property
    def verdict(self) -> str:
        """``reliable``, ``caution`` or ``refused``: the worst over all estimates."""
        return str(self.record["verdict"])

    def to_json(self) -> dict[str, Any]:
        """The content of result.json."""
        return dict(self.record)


def reweight(
    ensembles: Path | Sequence[Path],
    output: Path,
    *,
    reference: Path | None = None,
    reading: ReadingOptions = EVERYTHING,
    model: Path | None = None,
    states: Mapping[str, str] | None = None,
    temperature_k: float | None = None,
    settings: ReweightSettings | None = None,
    seed: int | None = None,
    workers: int = 1,
    platform: str = "auto",
    progress: Progress = silent,
    interruption: Interruption | None = None,
    allow_refused: bool = False,
    allow_noisy_density: bool = False,
) -> ReweightResult:
    """Weigh the draws in ``ensembles`` to the Boltzmann distribution of their force field.

    ``ensembles`` is the directory of a sample run (or its file), or several such and runs of plain dynamics, which
    are then weighed together (:mod:`molgen.workflows.reweight_together`).
    ``reference``: frames of the target at equilibrium that the model was not trained on; without it a reference that
    the system ships is compared with; ``reading`` says which of its frames and atoms are taken. ``model``: the model's
    directory, found by itself for a sample run's directory.
    ``states`` (name to condition) replace the system's. ``temperature_k`` is the target's, the model's own if None.

    Writes ``result.json``, ``weights.h5``, ``profiles.json`` and ``report.html`` into the run directory ``output``; the
    same call continues an interrupted run. ``InputError`` for unusable inputs, among them log-densities estimated with
    noise unless ``allow_noisy_density`` (they bias the weights, and the verdict says so); ``RefusedError`` if the
    verdict is ``refused`` and ``allow_refused`` is False (all files are written before).
    """
    request = ReweightRequest(
        ensembles=_paths(ensembles),
        output=Path(output),
        reference=reference,
        reading=reading,
        model=model,
        states=states,
        temperature_k=temperature_k,
        settings=settings or ReweightSettings(),
        seed=seed,
        workers=workers,
        platform=platform,
        progress=progress,
        interruption=interruption or Interruption(),
        allow_noisy_density=allow_noisy_density,
    )
    result = ReweightResult(request.output, _weigh(request))
    if result.verdict == "refused" and not allow_refused:
        reasons, report = result.record["reasons"], result.record["report"]
        raise RefusedError(f"The verdict is refused: {reasons[0]}", f"See {report}.")
    return result


def _weigh(request: ReweightRequest) -> Mapping[str, Any]:
    """The record of result.json, by the way that suits what was given."""
    if len(request.ensembles) > 1:
        return _by("reweight_together", request)
    file = ensemble_file(request.ensembles[0])
    kind: str = EnsembleReader(file).header.kind
    if kind == "annealed":
        return _by("reweight_annealed", request)
    return reweight_one(request)


def _by(name: str, request: ReweightRequest) -> Mapping[str, Any]:
    """``name(request)`` of the module of that name."""
    module = f"molgen.workflows.{name}"
    if importlib.util.find_spec(module) is None:
        what = "Several ensembles" if name == "reweight_together" else f"{request.ensembles[0]} was annealed, and such"
        raise InputError(f"{what} cannot be weighed by this molgen.", "Give one ensemble of molgen sample.")
    record: Mapping[str, Any] = getattr(importlib.import_module(module), name)(request)
    return record


def _paths(ensembles: Path | str | Sequence[Path]) -> tuple[Path, ...]:
    paths = (Path(ensembles),) if isinstance(ensembles, (str, Path)) else tuple(Path(item) for item in ensembles)
    if not paths:
        raise UsageError("There is no ensemble to weigh.", "Give the directory of a molgen sample run.")
    return paths


def plan_reweighting(
    ensembles: Path | Sequence[Path], *, reference: Path | None = None, settings: ReweightSettings | None = None
) -> dict[str, Any]:
    """What :func:`reweight` would do: draws, energy evaluations, memory, files."""
    settings = settings or ReweightSettings()
    (ensemble,) = _paths(ensembles)
    reader = EnsembleReader(ensemble_file(ensemble))
    system = system_from_record(dict(reader.header.system_record))
    compared = reference or system.reference_path
    evaluations = len(reader) + min(settings.audit_rows, len(reader))
    chunk = CHUNK * reader.n_particles * 3 * 8 * 4
    return {
        "system": system.name,
        "draws": len(reader),
        "energy_evaluations": {"draws": evaluations, "reference_at_most": settings.reference_energies * bool(compared)},
        "reference": str(compared) if compared is not None else None,
        "memory_mb": round((chunk + 200 * len(reader)) / 1e6 + 300),
        "files": ["result.json", "weights.h5", "profiles.json", "report.html", "energies/"],
    }
