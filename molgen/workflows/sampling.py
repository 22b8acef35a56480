"""Sample: independent draws of a trained model with their log-density, into an ensemble file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from pydantic import PositiveInt

from molgen.bias.parsing import parse_bias
from molgen.ensemble import Density, Ensemble, EnsembleHeader, EnsembleWriter, Measure
from molgen.errors import UsageError
from molgen.interruption import Interruption
from molgen.models.artifact import LoadedModel, load_model
from molgen.models.base import DrawOptions, Draws, GenerativeModel
from molgen.progress import Progress, ProgressEvent, silent
from molgen.rundir import RunDirectory
from molgen.sampling.annealing import AnnealingSettings
from molgen.sampling.drawing import draw_pieces
from molgen.sampling.guidance import GuidanceSettings
from molgen.sampling.pieces import remove_pieces
from molgen.sampling.tally import Tally
from molgen.settings import Settings, nearest_hint
from molgen.systems.record import system_record
from molgen.workflows.annealing import ANNEALED, anneal, check_annealing, plan_annealing

KIND = "sample"
ENSEMBLE = "ensemble.h5"
AUTO = "auto"
METHODS = (AUTO, "guided", ANNEALED)
"""How a bias pushes the draws; ``annealed`` needs none."""


class SamplingSettings(Settings):
    """``piece`` draws are made and kept at a time (None: what the model prefers); memory and seeds follow it.

    ``steps``, ``density`` and ``probes`` are for models that draw along trajectories
    (:class:`molgen.models.base.DrawOptions`); ``steps`` None is the model's own number. ``guidance`` says how a bias
    is applied by ``guided``, ``annealing`` how ``annealed`` goes from the model to the target.
    """

    piece: PositiveInt | None = None
    steps: PositiveInt | None = None
    density: Density = "exact"
    probes: PositiveInt = 4
    guidance: GuidanceSettings = GuidanceSettings()
    annealing: AnnealingSettings = AnnealingSettings()

    @property
    def options(self) -> DrawOptions:
        """What the model is told."""
        return DrawOptions(self.steps, self.density, self.probes)


@dataclass(frozen=True)
class SamplingResult:
    """What was drawn; ``out_of_domain`` draws are in the file with a flag and will have weight 0.

    ``not_finite`` of them have no finite position or density; ``notes`` say in words what a user should know.
    ``log_q_error`` is the root mean square standard error of log q where it is estimated with noise, else None.
    ``annealing`` are the figures of annealed populations (:func:`molgen.workflows.annealing.summary`).
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
    annealing: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**self.__dict__, "directory": str(self.directory)}


def plan_sampling(
    model: Path, *, n: int, bias: str | None = None, method: str = AUTO, settings: SamplingSettings | None = None
) -> dict[str, Any]:
    """What :func:`sample` would do: size of the file, memory of one piece (MB); no energy is evaluated.

    ``annealed`` spends at least the evaluations given; how many temperatures it needs only its pilot tells.
    """
    loaded, settings = load_model(model), settings or SamplingSettings()
    if method == ANNEALED:
        return plan_annealing(loaded, n, bias, settings.annealing)
    chosen, record = _drawn_from(loaded, bias, method, settings)
    numbers = loaded.system.n_particles * 3
    piece = settings.piece or chosen.piece
    return {
        "system": loaded.system.name,
        "draws": n,
        "pieces": -(-n // piece),
        "density": settings.density,
        "bias": record["text"] if record else None,
        "method": record["method"] if record else None,
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
    and flagged. Finished pieces are kept, so that the same call continues an interrupted run. With a ``bias`` in one
    line (:func:`molgen.bias.parsing.parse_bias`) the draws are pushed by it, by ``method`` (:data:`METHODS`):
    ``guided`` lets its gradient drive a continuous flow; log q is that of what is drawn. ``auto`` takes the one there
    is. ``annealed`` takes populations of draws to the physical target, or to the biased one, by forces; they have
    weights instead of a density (:mod:`molgen.workflows.annealing`). Its energies are shared out over ``workers``
    processes and computed on ``platform``.

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
    chosen, record = _drawn_from(loaded, bias, method, settings)
    piece = settings.piece or chosen.piece
    config = {
        "model": str(Path(model).resolve()),
        "model_sha256": loaded.sha256,
        "n": n,
        "settings": {"piece": piece, **settings.options.chosen()}
        | ({"guidance": settings.guidance.model_dump()} if record else {}),
    }
    if record:
        config |= {"bias": record["text"], "method": record["method"]}
    with RunDirectory.open(output, kind=KIND, config=config, seed=seed) as directory:
        if directory.complete:
            return _stored(directory)
        header = _header(loaded, directory.seed, settings.options, record)
        tally = _draw(chosen, directory, header, n, piece, progress, interruption)
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
            record["text"] if record else None,
            record["method"] if record else None,
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
            annealing=figures,
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


def _drawn_from(
    loaded: LoadedModel, bias: str | None, method: str, settings: SamplingSettings
) -> tuple[GenerativeModel, dict[str, Any] | None]:
    """What is drawn from, and the record of its bias."""
    if method not in METHODS:
        raise UsageError(f"There is no method {method!r}.", nearest_hint(method, METHODS))
    chosen = loaded.model.with_options(settings.options)
    if bias is None:
        if method != AUTO:
            raise UsageError(f"--method {method} has no bias to apply.", 'Give --bias "harmonic(...)", or no --method.')
        return chosen, None
    if settings.density != "exact":
        raise UsageError(f"A guided flow has no {settings.density} density.", "Leave out --set density=...")
    from molgen.sampling.guided_flow import bias_record
    from molgen.sampling.methods import model_of_record

    record = bias_record(parse_bias(bias, loaded.system), settings.guidance)
    drawn: Any = model_of_record(chosen, record, loaded.system, "--bias")
    return drawn, record


def _header(loaded: LoadedModel, seed: int, options: DrawOptions, bias: dict[str, Any] | None) -> EnsembleHeader:
    return EnsembleHeader(
        system_record=system_record(loaded.system),
        temperature_k=loaded.temperature_k,
        measure=cast(Measure, loaded.model.measure),
        model_sha256=loaded.sha256,
        seed=seed,
        bias=bias,
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
