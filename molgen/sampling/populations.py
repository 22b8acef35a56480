"""Populations on disk: each is whole or absent, so that a stopped run keeps those it has finished."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from molgen.arrays import BoolArray, FloatArray
from molgen.files import atomic_path
from molgen.interruption import Interruption
from molgen.sampling.annealing import (
    AnnealingSettings,
    History,
    Population,
    Schedule,
    find_schedule,
    run_population,
)
from molgen.sampling.latent_target import LatentTarget
from molgen.seeds import child_seed

FOLDER = "populations"
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, BadZipFile)


@dataclass(frozen=True)
class KeptPopulation:
    """A population as it is kept: positions (n, N, D) in nm in single precision, as ensembles hold them; u, B and
    ln(Z·n·W) (n,), the last -inf for a particle of no weight; whether each has any density; and what happened."""

    positions: FloatArray
    energy: FloatArray
    bias: FloatArray
    log_weight: FloatArray
    in_domain: BoolArray
    history: History


def anneal_populations(
    target: LatentTarget,
    settings: AnnealingSettings,
    n: int,
    *,
    seed: int,
    keep: Path,
    interruption: Interruption,
) -> tuple[Schedule, Iterator[KeptPopulation]]:
    """The schedule, and ``n`` particles in ``settings.populations`` populations as they are finished.

    The schedule depends on ``seed`` alone and the k-th population on ``seed``, the schedule and k. Both are kept in the
    directory ``keep``, and read from there if they are there already. ``InterruptedRunError`` between populations.
    """
    path = keep / FOLDER / "schedule.npz"
    schedule = _read_schedule(path)
    if schedule is None:
        interruption.check()
        schedule = find_schedule(target, settings, _generator(seed, "pilot", 0))
        _write(path, {"steps": schedule.steps}, schedule.to_json())
    return schedule, _populations(target, settings, schedule, n, seed, keep, interruption)


def _populations(
    target: LatentTarget,
    settings: AnnealingSettings,
    schedule: Schedule,
    n: int,
    seed: int,
    keep: Path,
    interruption: Interruption,
) -> Iterator[KeptPopulation]:
    for number, size in enumerate(shares(n, settings.populations)):
        path = keep / FOLDER / f"population-{number:03d}.npz"
        found = _read_population(path, size)
        if found is None:
            interruption.check()
            drawn = run_population(target, settings, schedule, size, _generator(seed, "population", number))
            found = _kept(drawn)
            arrays = {name: value for name, value in found.__dict__.items() if name != "history"}
            _write(path, arrays, asdict(found.history))
        yield found


def shares(n: int, populations: int) -> list[int]:
    """``n`` particles shared out among ``populations``, the first ones having one more where it does not go even."""
    return [n // populations + (number < n % populations) for number in range(populations)]


def remove_populations(directory: Path) -> None:
    """Take away what was kept of a run whose ensemble is written."""
    for path in sorted((directory / FOLDER).glob("*.npz")):
        path.unlink()
    if (directory / FOLDER).is_dir():
        (directory / FOLDER).rmdir()


def _generator(seed: int, name: str, number: int) -> torch.Generator:
    return torch.Generator().manual_seed(child_seed(seed, "annealing", name, number))


def _kept(population: Population) -> KeptPopulation:
    points = population.points
    return KeptPopulation(
        positions=points.positions.numpy().astype(np.float32).astype(np.float64),
        energy=points.energy.numpy(),
        bias=points.bias.numpy(),
        log_weight=population.log_weight,
        in_domain=torch.isfinite(points.log_ratio).numpy(),
        history=population.history,
    )


def _write(path: Path, arrays: dict[str, Any], record: dict[str, Any]) -> None:
    text = np.frombuffer(json.dumps(record).encode(), dtype=np.uint8)
    with atomic_path(path) as temporary:
        np.savez(temporary, allow_pickle=False, record=text, **arrays)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    # Opened here: numpy leaves a file open that proves to be cut.
    with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    record = json.loads(bytes(arrays.pop("record")))
    return arrays, record


def _read_schedule(path: Path) -> Schedule | None:
    """The schedule in ``path``; None if there is none that can be read."""
    try:
        arrays, record = _read(path)
        return Schedule.from_json(record, arrays["steps"])
    except _UNREADABLE:
        return None


def _read_population(path: Path, size: int) -> KeptPopulation | None:
    """The population in ``path``; None if there is none, or none of ``size`` particles that can be read."""
    try:
        arrays, record = _read(path)
        found = KeptPopulation(**arrays, history=History.from_json(record))
    except _UNREADABLE:
        return None
    return found if all(len(column) == size for column in arrays.values()) else None
