"""Sample: independent draws of a trained model with their log-density, into an ensemble file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from pydantic import PositiveInt

from molgen.bias.parsing import parse_bias
from molgen.ensemble import Ensemble, EnsembleHeader, EnsembleWriter, Measure
from molgen.errors import UsageError
from molgen.interruption import Interruption
from molgen.models.artifact import LoadedModel, load_model
from molgen.models.base import Draws, GenerativeModel
from molgen.progress import Progress, ProgressEvent, silent
from molgen.rundir import RunDirectory
from molgen.sampling.drawing import draw_pieces
from molgen.sampling.guidance import GuidanceSettings
from molgen.settings import Settings, nearest_hint
from molgen.systems.record import system_record

KIND = "sample"
ENSEMBLE = "ensemble.h5"
AUTO = "auto"
METHODS = (AUTO, "guided")
"""How a bias pushes the draws."""


class SamplingSettings(Settings):
    """``piece`` draws are made and written at a time; memory follows it, and so do the seeds.

    ``guidance`` says how a bias is applied by ``guided``.
    """

    piece: PositiveInt = 2000
    guidance: GuidanceSettings = GuidanceSettings()


@dataclass(frozen=True)
class SamplingResult:
    """What was drawn; ``out_of_domain`` draws are in the file with a flag and will have weight 0."""

    directory: Path
    system: str
    n: int
    out_of_domain: int
    seed: int
    model_sha256: str
    bias: str | None = None
    method: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**self.__dict__, "directory": str(self.directory)}


def plan_sampling(
    model: Path, *, n: int, bias: str | None = None, method: str = AUTO, settings: SamplingSettings | None = None
) -> dict[str, Any]:
    """What :func:`sample` would do: size of the file, memory of one piece (MB); no energy is evaluated."""
    loaded, settings = load_model(model), settings or SamplingSettings()
    _, record = _biased(loaded, bias, method, settings)
    numbers = loaded.system.n_particles * 3
    return {
        "system": loaded.system.name,
        "draws": n,
        "bias": record["text"] if record else None,
        "method": record["method"] if record else None,
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
    bias: str | None = None,
    method: str = AUTO,
    settings: SamplingSettings | None = None,
    seed: int | None = None,
    progress: Progress = silent,
    interruption: Interruption | None = None,
) -> SamplingResult:
    """Draw ``n`` frames of the model in ``model`` into ``output/ensemble.h5``, with log q and the domain flag.

    Nothing is left out: a draw outside the system's domain is written and flagged. With a ``bias`` in one line
    (:func:`molgen.bias.parsing.parse_bias`) the draws are pushed by it, by ``method`` (:data:`METHODS`): ``guided``
    lets its gradient drive a continuous flow; log q is that of the guided flow. ``auto`` takes the one there is.

    ``InputError`` for an unusable model, a bias that cannot be read or a model that it cannot push; ``UsageError`` for
    ``n`` < 1; ``InterruptedRunError`` at the time limit (the draws are made anew then).
    """
    if n < 1:
        raise UsageError(f"{n} draws cannot be made.", "Ask for at least one with -n.")
    loaded, settings = load_model(model), settings or SamplingSettings()
    drawn, record = _biased(loaded, bias, method, settings)
    config = {
        "model": str(Path(model).resolve()),
        "model_sha256": loaded.sha256,
        "n": n,
        "settings": settings.model_dump(exclude=set() if record else {"guidance"}),
    }
    if record:
        config |= {"bias": record["text"], "method": record["method"]}
    with RunDirectory.open(output, kind=KIND, config=config, seed=seed) as directory:
        if directory.complete:
            return SamplingResult(**{**directory.manifest.result, "directory": directory.path})
        outside = 0
        header = _header(loaded, directory.seed, record)
        with EnsembleWriter(directory.path / ENSEMBLE, header) as writer:
            done = 0
            for draws in draw_pieces(drawn, n, seed=directory.seed, piece=settings.piece):
                writer.append(_rows(draws, header))
                outside += int((~draws.in_domain).sum())
                done += len(draws.log_q)
                progress(ProgressEvent("sample", done, n, "draws"))
                (interruption or Interruption()).check()
        result = SamplingResult(
            directory.path,
            loaded.system.name,
            n,
            outside,
            directory.seed,
            loaded.sha256,
            bias=record["text"] if record else None,
            method=record["method"] if record else None,
        )
        directory.finish(result.to_json())
    return result


def _biased(
    loaded: LoadedModel, bias: str | None, method: str, settings: SamplingSettings
) -> tuple[GenerativeModel, dict[str, Any] | None]:
    """What is drawn from, and the record of its bias."""
    if method not in METHODS:
        raise UsageError(f"There is no method {method!r}.", nearest_hint(method, METHODS))
    if bias is None:
        if method != AUTO:
            raise UsageError(f"--method {method} has no bias to apply.", 'Give --bias "harmonic(...)", or no --method.')
        return loaded.model, None
    from molgen.sampling.guided_flow import bias_record, model_of_record

    record = bias_record(parse_bias(bias, loaded.system), settings.guidance)
    drawn: Any = model_of_record(loaded.model, record, loaded.system, "--bias")
    return drawn, record


def _header(loaded: LoadedModel, seed: int, bias: dict[str, Any] | None) -> EnsembleHeader:
    return EnsembleHeader(
        system_record=system_record(loaded.system),
        temperature_k=loaded.temperature_k,
        measure=cast(Measure, loaded.model.measure),
        model_sha256=loaded.sha256,
        seed=seed,
        bias=bias,
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
