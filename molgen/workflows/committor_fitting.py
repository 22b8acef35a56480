"""`committor fit`: a committor from a ledger of shots, or from somebody else's structures with (S, K)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molgen.committor.artifact import save_committor
from molgen.committor.fitting import FittingData, FittingSettings, fit_committor
from molgen.committor.likelihood import fidelity
from molgen.committor.pairs import pair_correlation
from molgen.dynamics.passage_factory import open_passages
from molgen.energies.platforms import platform_name
from molgen.files import to_plain
from molgen.observables.rows import VariableRows
from molgen.progress import Progress, silent
from molgen.rundir import RunDirectory, configuration_hash
from molgen.systems.system import System
from molgen.trajectories.options import EVERYTHING, ReadingOptions
from molgen.workflows.shooting_source import source_identity
from molgen.workflows.shot_data import check_decided, open_shots
from molgen.workflows.variational_moves import moves_from

KIND = "committor"


@dataclass(frozen=True)
class FitResult:
    """What was fitted to; ``log_loss`` and its floor are of the same shots, held-out figures come from ``evaluate``."""

    directory: Path
    system: str
    a: str
    b: str
    features: str
    configurations: int
    shots: int
    undecided: int
    log_loss: float
    log_loss_floor: float
    dispersion: float
    pair_correlation: float | None
    dynamics_sha256: str
    committor_sha256: str
    seed: int
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {**self.__dict__, "directory": str(self.directory)}


def fit(
    source: str | Path,
    output: str | Path,
    *,
    system: System | None = None,
    a: str | None = None,
    b: str | None = None,
    ensemble: Sequence[str | Path] = (),
    reading: ReadingOptions = EVERYTHING,
    settings: FittingSettings | None = None,
    seed: int | None = None,
    platform: str = "auto",
    progress: Progress = silent,
) -> FitResult:
    """Fit a committor to the shots in ``source`` and write it into ``output``.

    ``source`` is what :func:`molgen.workflows.shot_data.open_shots` reads. Frames of an ``ensemble``, a reweight run or
    plain dynamics, add the variational term (:mod:`molgen.committor.variational`), by short moves of the dynamics on
    ``platform``. ``InputError`` for anything else, for too few decided shots or all of one outcome, and if more than
    2 % are undecided.
    """
    settings = settings or FittingSettings()
    data = open_shots(Path(source), system, a, b)
    check_decided(data.counts, "Run committor shoot again with a longer --limit, which takes them on.")
    rows = FittingData.of(data.positions, data.counts, data.lineage)
    notes: tuple[str, ...] = ()
    if isinstance(data.positions, VariableRows):
        settings, notes = _of_variables(settings, data.positions), ("q is a function of the variables in the file.",)
    config = {
        "source": data.source,
        "dynamics": data.record,
        "settings": settings.model_dump(),
    }
    paths = [Path(path) for path in ensemble]
    dynamics = None
    if paths:
        chosen = platform_name(data.boundary.system, platform)
        dynamics = open_passages(data.boundary.system, data.boundary, platform=chosen)
        config |= {"ensemble": [source_identity(path) for path in paths], "platform": chosen}
        config |= {"reading": reading.to_json()}
    with RunDirectory.open(output, kind=KIND, config=config, seed=seed) as run:
        if run.complete:
            stored = run.manifest.result
            return FitResult(**{**stored, "directory": run.path, "notes": tuple(stored["notes"])})
        moves = None
        if dynamics is not None:
            moves, said = moves_from(paths, data.boundary, dynamics, reading, run.seed)
            notes += (f"The variational term is of {len(moves.weight)} frames between the states.", *said)
        model = fit_committor(data.boundary, rows, settings, run.seed, progress, moves=moves)
        found = fidelity(model.probability(rows.positions), rows.reached, rows.decided)
        undecided = int(data.counts.undecided.sum())
        correlation = None
        if data.shots is not None:
            measured = pair_correlation(data.shots, model.probability(data.positions)).correlation
            correlation = measured if np.isfinite(measured) else None
        notes += (f"{undecided} undecided shots were left out.",) if undecided else ()
        digest = save_committor(run.path, model, data.record, to_plain({"fidelity": asdict(found), "notes": notes}))
        result = FitResult(
            directory=run.path,
            system=data.boundary.system.name,
            a=data.boundary.a,
            b=data.boundary.b,
            features=settings.model.features,
            configurations=found.configurations,
            shots=found.shots,
            undecided=undecided,
            log_loss=found.log_loss,
            log_loss_floor=found.log_loss_floor,
            dispersion=found.dispersion,
            pair_correlation=correlation,
            dynamics_sha256=configuration_hash(data.record),
            committor_sha256=digest,
            seed=run.seed,
            notes=notes,
        )
        run.finish(result.to_json())
    return result


def _of_variables(settings: FittingSettings, rows: VariableRows) -> FittingSettings:
    """``settings`` for a committor of just the variables that are known."""
    model = settings.model.model_copy(update={"features": "cv", "variables": tuple(rows.values)})
    return settings.model_copy(update={"model": model})
