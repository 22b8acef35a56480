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
from molgen.rundir import MANIFEST, read_manifest
from molgen.systems.loading import load_system
from molgen.systems.record import system_from_record
from molgen.systems.system import System
from molgen.trajectories.options import EVERYTHING, ReadingOptions
from molgen.workflows.reweight_model import ensemble_file
from molgen.workflows.reweight_one import CHUNK, reweight_one
from molgen.workflows.reweight_request import ReweightRequest
from molgen.workflows.reweight_restraints import open_restraints
from molgen.workflows.reweight_settings import ReweightSettings
from molgen.workflows.reweight_target import target_system


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
    system: System | Path | str | None = None,
    restrain: Path | None = None,
    observables: Path | None = None,
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
    ``system`` is another force field to weigh to (a ``system.toml`` or a system): the result then also says by how much
    each state's free energy differs between the two (:mod:`molgen.workflows.reweight_target`).
    ``restrain`` is a table of measured averages, ``observables`` one of values of each draw computed elsewhere: the
    weighed ensemble is changed as little as agreement needs (:mod:`molgen.workflows.reweight_restraints`).

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
        other=_loaded(system),
        restraints=open_restraints(restrain, observables),
    )
    result = ReweightResult(request.output, _weigh(request))
    if result.verdict == "refused" and not allow_refused:
        reasons, report = result.record["reasons"], result.record["report"]
        raise RefusedError(f"The verdict is refused: {reasons[0]}", f"See {report}.")
    return result


def _weigh(request: ReweightRequest) -> Mapping[str, Any]:
    """The record of result.json, by the way that suits what was given."""
    if len(request.ensembles) > 1:
        from molgen.workflows.reweight_together import reweight_together

        return reweight_together(request)
    (path,) = request.ensembles
    if (path / MANIFEST).is_file() and read_manifest(path).kind == "simulate":
        raise InputError(
            f"{path} holds frames of dynamics, which alone have nothing to be weighed by.",
            "Give it together with other ensembles, or compare with it by --reference.",
        )
    kind: str = EnsembleReader(ensemble_file(path)).header.kind
    if kind == "part":
        raise InputError(
            f"{path} holds a part of an ensemble, whose weights are known already.", "Reweight the whole ensemble."
        )
    if kind == "annealed":
        return _annealed(request)
    return reweight_one(request)


def _annealed(request: ReweightRequest) -> Mapping[str, Any]:
    module = "molgen.workflows.reweight_annealed"
    if importlib.util.find_spec(module) is None:
        raise InputError(
            f"{request.ensembles[0]} was annealed, and such ensembles cannot be weighed by this molgen.",
            "Draw it by another method.",
        )
    record: Mapping[str, Any] = importlib.import_module(module).reweight_annealed(request)
    return record


def _paths(ensembles: Path | str | Sequence[Path]) -> tuple[Path, ...]:
    paths = (Path(ensembles),) if isinstance(ensembles, (str, Path)) else tuple(Path(item) for item in ensembles)
    if not paths:
        raise UsageError("There is no ensemble to weigh.", "Give the directory of a molgen sample run.")
    return paths


def plan_reweighting(
    ensembles: Path | Sequence[Path],
    *,
    reference: Path | None = None,
    system: System | Path | str | None = None,
    restrain: Path | None = None,
    observables: Path | None = None,
    settings: ReweightSettings | None = None,
) -> dict[str, Any]:
    """What :func:`reweight` would do: draws, evaluations, memory, files; it refuses unusable targets and data."""
    settings = settings or ReweightSettings()
    sizes, drawn = _sizes(_paths(ensembles))
    target = target_system(_loaded(system), drawn)
    restraints = open_restraints(restrain, observables)
    if restraints is not None:
        restraints.restraints(target)
    compared = reference or target.reference_path
    draws = sum(sizes)
    evaluations = draws * (1 if system is None else 2) + sum(min(settings.audit_rows, size) for size in sizes)
    a_row = 200.0 if len(sizes) == 1 else 200.0 + 8.0 * len(sizes) + 4.0 * settings.bootstrap_repeats
    chunk = CHUNK * drawn.n_particles * 3 * 8 * 4
    return {
        "system": target.name,
        "draws": draws,
        "energy_evaluations": {"draws": evaluations, "reference_at_most": settings.reference_energies * bool(compared)},
        "reference": str(compared) if compared is not None else None,
        "restraints": len(restraints.lines) if restraints is not None else 0,
        "memory_mb": round((chunk + a_row * draws) / 1e6 + 300),
        "files": ["result.json", "weights.h5", "profiles.json", "report.html", "energies/"],
    }


def _loaded(system: System | Path | str | None) -> System | None:
    return load_system(system) if isinstance(system, (str, Path)) else system


def _sizes(paths: tuple[Path, ...]) -> tuple[list[int], System]:
    """Rows of each ensemble, at most so many where frames will be thinned out, and their system."""
    if len(paths) > 1:
        from molgen.workflows.reweight_opening import open_members

        members = open_members(paths, None)
        drawn = [len(member.reader) for member in members.models]
        return [*drawn, *(member.frames for member in members.equilibria)], members.system
    reader = EnsembleReader(ensemble_file(paths[0]))
    return [len(reader)], system_from_record(dict(reader.header.system_record))
