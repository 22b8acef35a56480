"""Sample: independent draws of a trained model with their log-density, into an ensemble file."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from pydantic import PositiveFloat, PositiveInt

from molgen.ensemble import Density, Ensemble, EnsembleHeader, EnsembleWriter, Measure
from molgen.errors import UsageError
from molgen.interruption import Interruption
from molgen.models.artifact import LoadedModel, load_model
from molgen.models.base import DrawOptions, Draws
from molgen.progress import Progress, ProgressEvent, silent
from molgen.rundir import RunDirectory
from molgen.sampling.annealing import AnnealingSettings
from molgen.sampling.drawing import draw_pieces
from molgen.sampling.flattening import FlatteningSettings
from molgen.sampling.guidance import GuidanceSettings
from molgen.sampling.latent_proposal import LatentSettings
from molgen.sampling.methods import PushedModel
from molgen.sampling.pieces import remove_pieces
from molgen.sampling.tally import Tally
from molgen.settings import Settings
from molgen.systems.record import system_record
from molgen.workflows.annealing import ANNEALED, anneal, check_annealing, plan_annealing
from molgen.workflows.sampling_bias import AUTO, BiasPlan, Pushed, plan_bias, push

KIND = "sample"
ENSEMBLE = "ensemble.h5"


class SamplingSettings(Settings):
    """``piece`` draws are made and kept at a time (None: what the model prefers); memory and seeds follow it.

    ``steps``, ``density`` and ``probes`` are for models that draw along trajectories
    (:class:`molgen.models.base.DrawOptions`); ``steps`` None is the model's own number, ``temperature_k`` None its own
    temperature, others are for models of several. ``guidance`` and ``latent`` say how a bias is applied by the methods
    of that name, ``flattening`` how ``auto:CV`` finds one, ``annealing`` how ``annealed`` goes to the target.
    """

    piece: PositiveInt | None = None
    steps: PositiveInt | None = None
    density: Density = "exact"
    probes: PositiveInt = 4
    temperature_k: PositiveFloat | None = None
    guidance: GuidanceSettings = GuidanceSettings()
    latent: LatentSettings = LatentSettings()
    flattening: FlatteningSettings = FlatteningSettings()
    annealing: AnnealingSettings = AnnealingSettings()

    @property
    def options(self) -> DrawOptions:
        """What the model is told."""
        return DrawOptions(self.steps, self.density, self.probes, self.temperature_k)


@dataclass(frozen=True)
class SamplingResult:
    """What was drawn; ``out_of_domain`` draws are in the file with a flag and will have weight 0.

    ``not_finite`` of them have no finite position or density; ``notes`` say in words what a user should know.
    ``log_q_error`` is the root mean square standard error of log q where it is estimated with noise, else None;
    ``evaluations`` are the energies spent on finding a bias or on annealing, ``annealing`` the figures of annealed
    populations (:func:`molgen.workflows.annealing.summary`).
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
    bias: str | None = None
    method: str | None = None
    evaluations: int = 0
    annealing: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**self.__dict__, "directory": str(self.directory)}


def plan_sampling(
    model: Path, *, n: int, bias: str | None = None, method: str = AUTO, settings: SamplingSettings | None = None
) -> dict[str, Any]:
    """What :func:`sample` would do: size of the file, memory of one piece (MB), the most energies a bias costs.

    ``annealed`` spends at least the evaluations given; how many temperatures it needs only its pilot tells.
    """
    loaded, settings = load_model(model), settings or SamplingSettings()
    if method == ANNEALED:
        return plan_annealing(loaded, n, bias, settings.annealing)
    planned = _planned(loaded, bias, method, settings)
    numbers = loaded.system.n_particles * 3
    piece = settings.piece or planned.piece
    return {
        "system": loaded.system.name,
        "draws": n,
        "pieces": -(-n // piece),
        "density": settings.density,
        "bias": planned.line,
        "method": planned.method,
        "evaluations": planned.evaluations,
        "files": 1,
        "disk_mb": round(n * (4 * numbers + 9) / 1e6, 1),
        "memory_mb": round(piece * (8 * numbers * 40) / 1e6, 1),
    }


def sample(
    model: str | Path,
    output: str | Path,
    *,
    n: int,
    bias: str | None = None,
    method: str = AUTO,
    settings: SamplingSettings | None = None,
    seed: int | None = None,
    workers: int = 1,
    platform: str = "auto",
    progress: Progress = silent,
    interruption: Interruption | None = None,
) -> SamplingResult:
    """Draw ``n`` frames of the model in ``model`` into ``output/ensemble.h5``, with log q and the domain flag.

    Nothing is left out: a draw outside the system's domain, or one whose trajectory stopped being finite, is written
    and flagged. Finished pieces are kept, so that the same call continues an interrupted run.

    With a ``bias`` the draws are pushed by it: one line (:func:`molgen.bias.parsing.parse_bias`), the name of a TOML
    file, or ``auto:CV``, which levels the free-energy profile along a variable and costs energies to find it, computed
    by ``workers`` processes on ``platform``. ``method`` (:data:`molgen.sampling.methods.METHODS`): ``latent`` adapts
    the latent distribution of a spline flow, ``guided`` lets the bias's gradient drive a continuous flow; log q is that
    of what is drawn. ``auto`` takes the one that suits the model, and the notes say which and why.
    ``annealed`` takes populations of draws to the physical target, or to the biased one, by forces; they have weights
    instead of a density (:mod:`molgen.workflows.annealing`).

    ``InputError`` for an unusable model, a bias that cannot be read or a model that it cannot push; ``UsageError`` for
    ``n`` < 1 or a choice the model has not; ``InterruptedRunError`` at the time limit and ``PartialError`` if most
    trajectories of a piece stop being finite (the pieces stay).
    """
    if n < 1:
        raise UsageError(f"{n} draws cannot be made.", "Ask for at least one with -n.")
    loaded, settings = load_model(model), settings or SamplingSettings()
    interruption = interruption or Interruption()
    if method == ANNEALED:
        return _anneal(loaded, model, output, n, bias, settings, seed, workers, platform, progress, interruption)
    planned = _planned(loaded, bias, method, settings)
    piece = settings.piece or planned.piece
    config = {
        "model": str(Path(model).resolve()),
        "model_sha256": loaded.sha256,
        "n": n,
        "settings": {"piece": piece, **settings.options.chosen(), **planned.settings},
    }
    if planned.line is not None:
        config |= {"bias": planned.line, "method": planned.method}
    with RunDirectory.open(output, kind=KIND, config=config, seed=seed) as directory:
        if directory.complete:
            return _stored(directory)
        drawn_at = replace(loaded, temperature_k=settings.temperature_k or loaded.temperature_k)
        pushed = push(planned, drawn_at, directory, workers, platform, progress, interruption)
        header = _header(loaded, directory.seed, settings.options, pushed)
        tally = _draw(pushed.model, directory, header, n, piece, progress, interruption)
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
            (*pushed.notes, *tally.notes(n)),
            planned.line,
            planned.method,
            pushed.evaluations,
        )
        directory.finish(result.to_json())
    return result


def _stored(directory: RunDirectory) -> SamplingResult:
    """The result of a run that was finished before."""
    stored = directory.manifest.result
    return SamplingResult(**{**stored, "directory": directory.path, "notes": tuple(stored.get("notes", ()))})


def _anneal(
    loaded: LoadedModel,
    model: str | Path,
    output: str | Path,
    n: int,
    bias: str | None,
    settings: SamplingSettings,
    seed: int | None,
    workers: int,
    platform: str,
    progress: Progress,
    interruption: Interruption,
) -> SamplingResult:
    """:func:`sample` by ``annealed``."""
    loaded.model.with_options(settings.options)  # refuses what has no meaning for the model
    text = check_annealing(loaded, n, bias, settings.annealing)
    config = {
        "model": str(Path(model).resolve()),
        "model_sha256": loaded.sha256,
        "n": n,
        "settings": {"annealing": settings.annealing.model_dump()},
        "platform": platform,
        "bias": text,
        "method": ANNEALED,
    }
    with RunDirectory.open(output, kind=KIND, config=config, seed=seed) as directory:
        if directory.complete:
            return _stored(directory)
        figures = anneal(
            loaded,
            directory,
            ENSEMBLE,
            n=n,
            bias=text,
            settings=settings.annealing,
            workers=workers,
            platform=platform,
            progress=progress,
            interruption=interruption,
        )
        result = SamplingResult(
            directory.path,
            loaded.system.name,
            n,
            figures.pop("out_of_domain"),
            directory.seed,
            loaded.sha256,
            density="none",
            notes=figures.pop("notes"),
            bias=text,
            method=ANNEALED,
            evaluations=figures["evaluations"],
            annealing=figures,
        )
        directory.finish(result.to_json())
    return result


def _draw(
    model: PushedModel,
    directory: RunDirectory,
    header: EnsembleHeader,
    n: int,
    piece: int,
    progress: Progress,
    interruption: Interruption,
) -> Tally:
    """Draw all pieces, keep each, and write them as one ensemble."""
    tally = Tally()
    with EnsembleWriter(directory.path / ENSEMBLE, header) as writer:
        for draws in draw_pieces(model, n, seed=directory.seed, piece=piece, keep=directory.path):
            rows = _rows(draws, header)
            tally.add(draws, rows)
            writer.append(rows)
            progress(ProgressEvent("sample", tally.done, n, "draws"))
            if tally.done < n:
                interruption.check()
    return tally


def _planned(loaded: LoadedModel, bias: str | None, method: str, settings: SamplingSettings) -> BiasPlan:
    """What will be drawn from, so far as it is known before anything is computed."""
    model = loaded.model.with_options(settings.options)
    if bias is not None and settings.density != "exact":
        raise UsageError(f"Biased draws have no {settings.density} density.", "Leave out --set density=...")
    by_method = {"guided": settings.guidance, "latent": settings.latent}
    return plan_bias(model, loaded.system, bias, method, by_method, settings.flattening)


def _header(loaded: LoadedModel, seed: int, options: DrawOptions, pushed: Pushed) -> EnsembleHeader:
    spent = dict(loaded.training.get("evaluations", {}))
    if pushed.evaluations:
        spent["sampling"] = int(spent.get("sampling", 0)) + pushed.evaluations
    return EnsembleHeader(
        system_record=system_record(loaded.system),
        temperature_k=options.temperature_k or loaded.temperature_k,
        measure=cast(Measure, loaded.model.measure),
        model_sha256=loaded.sha256,
        seed=seed,
        bias=pushed.record,
        evaluations=spent,
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
