"""The rows of a reweighting: energies computed in shards that a resumed run finds again, variables, states, weights."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from molgen.analysis.intervals import WeightedRows
from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.energies.base import Energy
from molgen.ensemble import EnsembleReader
from molgen.errors import InputError
from molgen.interruption import Interruption
from molgen.observables.states import StateSet
from molgen.observables.table import evaluate_cvs
from molgen.progress import Progress, ProgressEvent
from molgen.reweighting.weights import log_weights
from molgen.rundir import RunDirectory
from molgen.systems.system import System


@dataclass(frozen=True)
class RowTable:
    """One value a draw ``(n,)``: u, log q, log w, the domain flag, the state, and each collective variable.

    ``block`` ``(n,)`` numbers from 0 what is independent of the rest where rows are not: populations, umbrella runs,
    pieces of a trajectory. None: every row is.
    """

    energy: FloatArray
    log_q: FloatArray
    log_weight: FloatArray
    in_domain: BoolArray
    label: IntArray
    variables: dict[str, FloatArray]
    block: IntArray | None = None

    @property
    def rows(self) -> WeightedRows:
        """The normalised weights, in blocks where there are any: what estimates and their intervals are made of."""
        return WeightedRows.from_log_weight(self.log_weight, self.block)

    @property
    def n_out_of_domain(self) -> int:
        """Draws outside the domain."""
        return int(np.sum(~self.in_domain))

    @property
    def n_non_finite(self) -> int:
        """Draws inside the domain whose energy is not finite."""
        return int(np.sum(self.in_domain & ~np.isfinite(self.energy)))

    @property
    def n_log_q_non_finite(self) -> int:
        """Draws whose log-density is not finite, but for those that the model rejected (+inf, outside the domain)."""
        rejected = (self.log_q == np.inf) & ~self.in_domain
        return int(np.sum(~np.isfinite(self.log_q) & ~rejected))


def compute_energies(
    run: RunDirectory,
    reader: EnsembleReader,
    energy: Energy,
    shard_rows: int,
    progress: Progress,
    interruption: Interruption,
) -> FloatArray:
    """u ``(n,)`` of all draws in kT, positions exactly as stored; finished shards are read, not computed again.

    ``InterruptedRunError`` between two shards if the run should stop.
    """
    n = len(reader)
    parts = []
    for number, start in enumerate(range(0, n, shard_rows)):
        stop = min(start + shard_rows, n)
        name = f"energies/shard-{number:05d}.npy"
        path = run.path / name
        if not path.exists():
            interruption.check()
            values = energy.reduced(reader.slice(start, stop).positions, purpose="reweighting")
            with run.atomic(name) as temporary:
                np.save(temporary, values, allow_pickle=False)
        parts.append(_read_shard(path, stop - start))
        progress(ProgressEvent("energies", stop, n, "draws"))
    return np.concatenate(parts)


def _read_shard(path: Path, rows: int) -> FloatArray:
    values = np.load(path, allow_pickle=False)
    if values.shape != (rows,):
        raise InputError(f"{path} has {values.shape} values, not {rows}.", "Remove the run directory and start again.")
    return np.asarray(values, dtype=np.float64)


def density_noise(reader: EnsembleReader) -> float | None:
    """Root mean square standard error of log q in kT, None where it is exact; NaN where it is noisy and unknown."""
    if reader.header.density == "exact":
        return None
    if "log_q_error" not in reader.columns:
        return math.nan
    error = reader.column("log_q_error")
    known = error[np.isfinite(error)]
    return float(np.sqrt(np.mean(known**2))) if len(known) else math.nan


def build_table(reader: EnsembleReader, system: System, states: StateSet, energy: FloatArray, chunk: int) -> RowTable:
    """All rows, the collective variables computed chunk by chunk so that frames are never all in memory."""
    collected: dict[str, list[FloatArray]] = {}
    for rows in reader.chunks(chunk):
        for name, values in evaluate_cvs(system, rows.positions).items():
            collected.setdefault(name, []).append(values)
    variables = {name: np.concatenate(parts) for name, parts in collected.items()}
    log_q = np.asarray(reader.column("log_q"), dtype=np.float64)
    in_domain = np.asarray(reader.column("in_domain"), dtype=np.bool_)
    label = states.assign(variables) if states.names else np.full(len(reader), -1, dtype=np.int64)
    return RowTable(energy, log_q, log_weights(energy, log_q, in_domain), in_domain, label, variables)


def save_table(run: RunDirectory, table: RowTable, states: StateSet) -> None:
    """``weights.h5``: log_weight, reduced_energy, log_q, in_domain, state (index), state_names, and /cv/<name>."""
    import tables

    with run.atomic("weights.h5") as path, tables.open_file(str(path), mode="w", title="molgen weights") as handle:
        handle.create_array("/", "log_weight", obj=table.log_weight)
        handle.create_array("/", "reduced_energy", obj=table.energy)
        handle.create_array("/", "log_q", obj=table.log_q)
        handle.create_array("/", "in_domain", obj=table.in_domain)
        handle.create_array("/", "state", obj=table.label)
        names = [name.encode() for name in states.names] or [b""]
        handle.create_array("/", "state_names", obj=names)
        group = handle.create_group("/", "cv")
        for index, (name, values) in enumerate(table.variables.items()):
            handle.create_array(group, f"cv{index}", obj=values, title=name)
