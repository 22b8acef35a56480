"""`sample --method annealed`: populations of the model annealed to the physical target, into an ensemble file."""

from dataclasses import asdict
from typing import Any, cast

import numpy as np

from molgen.bias.reading import bias_line
from molgen.energies.factory import open_energy
from molgen.engines.executors import open_executor
from molgen.ensemble import Ensemble, EnsembleHeader, EnsembleWriter, Measure
from molgen.errors import InputError, UsageError
from molgen.interruption import Interruption
from molgen.models.artifact import LoadedModel
from molgen.models.threads import one_thread
from molgen.progress import Progress, ProgressEvent
from molgen.rundir import RunDirectory
from molgen.sampling.annealing import AnnealingSettings, Schedule
from molgen.sampling.flattening import parse_auto
from molgen.sampling.latent_target import LatentMap, LatentTarget
from molgen.sampling.populations import KeptPopulation, anneal_populations, remove_populations
from molgen.systems.record import system_record
from molgen.weights import effective_count, log_mean_exp
from molgen.workflows.bias_functions import FUNCTIONS, read_bias

ANNEALED = "annealed"
MIN_PARTICLES = 20
"""Least particles of a population."""
MIN_ACCEPTANCE = 0.2
"""Below this part of accepted moves a user is told."""


def check_annealing(loaded: LoadedModel, n: int, bias: str | None, settings: AnnealingSettings) -> str | None:
    """The line of the bias, if any, as its own parser writes it.

    ``InputError`` for a model without a differentiable latent map and a bias that cannot be read, ``UsageError`` for
    too few draws.
    """
    if not isinstance(loaded.model, LatentMap):
        raise InputError(
            "Annealing moves the latent numbers of a spline flow; the map of this model is too dear for that.",
            "Train one with --model spline, or leave out --method annealed.",
        )
    if n < MIN_PARTICLES * settings.populations:
        raise UsageError(
            f"{n} draws are too few for {settings.populations} populations.",
            f"Ask for at least {MIN_PARTICLES * settings.populations} with -n.",
        )
    if bias is None:
        return None
    text, folder = bias_line(bias)
    if parse_auto(text, loaded.system, folder, FUNCTIONS) is not None:
        raise UsageError(
            f"{text} has to be found first, which annealing does not do.",
            "Draw with --method auto, or give a grid(...) of a reweighted profile.",
        )
    return read_bias(text, loaded.system, folder=folder).text


def plan_annealing(loaded: LoadedModel, n: int, bias: str | None, settings: AnnealingSettings) -> dict[str, Any]:
    """What :func:`anneal` would do; how many temperatures it needs, and so what it spends, only its pilot tells."""
    text = check_annealing(loaded, n, bias, settings)
    numbers = loaded.system.n_particles * 3
    pilot = settings.pilot * (1 + settings.tuning * settings.leapfrogs)
    return {
        "system": loaded.system.name,
        "draws": n,
        "populations": settings.populations,
        "bias": text,
        "method": ANNEALED,
        "evaluations_at_least": n * (1 + settings.moves * settings.leapfrogs) + pilot,
        "files": 1,
        "disk_mb": round(n * (4 * numbers + 41) / 1e6, 1),
        "memory_mb": round(n / settings.populations * (8 * numbers * 40) / 1e6, 1),
    }


@one_thread
def anneal(
    loaded: LoadedModel,
    directory: RunDirectory,
    file: str,
    *,
    n: int,
    bias: str | None,
    settings: AnnealingSettings,
    workers: int,
    platform: str,
    progress: Progress,
    interruption: Interruption,
) -> dict[str, Any]:
    """Write ``file`` in ``directory``: ``n`` particles of the model annealed to e^{−u}, or e^{−u − B} with a ``bias``.

    Gives the figures of :func:`summary`. Finished populations are kept, so that the same call continues an interrupted
    run to the same particles. ``InputError`` if the target is out of reach, ``InterruptedRunError`` between two
    populations.
    """
    pushed = read_bias(bias, loaded.system) if bias is not None else None
    with open_executor(workers) as executor:
        energy = open_energy(loaded.system, executor=executor, platform=platform, temperature_k=loaded.temperature_k)
        directory.record(platform=energy.platform)
        target = LatentTarget(cast(LatentMap, loaded.model), energy, pushed)
        progress(ProgressEvent("pilot", 0, 1, "populations"))
        schedule, finished = anneal_populations(
            target, settings, n, seed=directory.seed, keep=directory.path, interruption=interruption
        )
        progress(ProgressEvent("pilot", 1, 1, "populations", {"temperatures": float(len(schedule.temperatures))}))
        populations = []
        for population in finished:
            populations.append(population)
            figures = {"ln Z": population.history.log_z}
            progress(ProgressEvent("populations", len(populations), settings.populations, "populations", figures))
    figures = summary(schedule, populations)
    header = _header(loaded, directory.seed, pushed.text if pushed is not None else None, schedule, populations)
    with EnsembleWriter(directory.path / file, header) as writer:
        for number, population in enumerate(populations):
            writer.append(_rows(number, population, header))
    remove_populations(directory.path)
    return figures


def summary(schedule: Schedule, populations: list[KeptPopulation]) -> dict[str, Any]:
    """What a user is told of a finished run: ln Z, effective particles and populations, moves, evaluations, notes."""
    log_weight = np.concatenate([population.log_weight for population in populations])
    evidence = np.array([population.history.log_z for population in populations])
    rates = [population.history.acceptance for population in populations if population.history.acceptance]
    acceptance = float(np.mean(np.concatenate(rates))) if rates else 0.0
    lowest = min((min(rate) for rate in rates), default=0.0)
    notes = []
    if lowest < MIN_ACCEPTANCE:
        notes.append(f"At one temperature only {lowest:.0%} of the moves of a population were accepted.")
    return {
        "log_z": log_mean_exp(log_weight),
        "ess": effective_count(log_weight) / len(log_weight),
        "populations": len(populations),
        "effective_populations": effective_count(evidence),
        "temperatures": len(schedule.temperatures),
        "acceptance": acceptance,
        "evaluations": evaluations(schedule, populations),
        "out_of_domain": int(sum((~population.in_domain).sum() for population in populations)),
        "notes": tuple(notes),
    }


def evaluations(schedule: Schedule, populations: list[KeptPopulation]) -> int:
    """Energies and forces spent by the pilot and all populations, in whichever process."""
    return schedule.evaluations + sum(population.history.evaluations for population in populations)


def _header(
    loaded: LoadedModel, seed: int, bias: str | None, schedule: Schedule, populations: list[KeptPopulation]
) -> EnsembleHeader:
    spent = dict(loaded.training.get("evaluations", {}))
    spent["sampling"] = spent.get("sampling", 0) + evaluations(schedule, populations)
    return EnsembleHeader(
        system_record=system_record(loaded.system),
        temperature_k=loaded.temperature_k,
        measure=cast(Measure, loaded.model.measure),
        model_sha256=loaded.sha256,
        seed=seed,
        bias={"text": bias, "method": ANNEALED} if bias is not None else None,
        evaluations=spent,
        kind="annealed",
        dim=loaded.system.dim,
        annealing={
            "schedule": schedule.to_json(),
            "populations": [asdict(population.history) for population in populations],
            "particles": [len(population.log_weight) for population in populations],
        },
    )


def _rows(number: int, population: KeptPopulation, header: EnsembleHeader) -> Ensemble:
    return Ensemble(
        positions=population.positions,
        log_q=None,
        reduced_energy=population.energy,
        log_weight=population.log_weight,
        in_domain=population.in_domain,
        header=header,
        population=np.full(len(population.log_weight), float(number)),
        reduced_bias=population.bias if header.bias is not None else None,
    )
