"""What can be exported: weighted draws of a reweighting, raw draws of a model, frames of a simulation."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.ensemble import EnsembleReader
from molgen.errors import InputError
from molgen.files import sha256_file
from molgen.observables.states import build_states
from molgen.observables.table import evaluate_cvs
from molgen.rundir import Manifest, read_manifest
from molgen.systems.record import system_from_record
from molgen.systems.system import System
from molgen.trajectories.frames import AnyFloatArray
from molgen.trajectories.shards import SHARD_PATTERN, read_shard

_CHUNK = 4096
_ROWS = "rows.h5"


@dataclass(frozen=True, eq=False)
class ExportSource:
    """Rows that can be exported, ``n`` of them.

    ``kind`` is ``weighted``, ``raw`` (draws of a model without weights), ``dynamics`` or ``umbrella`` (dynamics under
    ``bias``). ``log_weight`` (n,) is None
    unless weighted; ``usable`` (n,) marks rows that are frames of the molecule; ``label`` (n,) indexes ``states``.
    ``variables`` are the collective variables (n,). ``slice`` gives positions. ``independent`` is True for draws.
    ``population`` (n,) is that of annealed particles, else None. ``verdict`` and ``reasons`` are those of the run's
    worst estimate, ``refused`` the reasons for which every one of its estimates is refused: those of the weights.
    """

    kind: str
    system: System
    temperature_k: float
    usable: BoolArray
    log_weight: FloatArray | None
    label: IntArray
    states: tuple[str, ...]
    variables: dict[str, FloatArray]
    slice: Callable[[int, int], FloatArray]
    verdict: str | None = None
    reasons: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    independent: bool = True
    bias: str | None = None
    population: IntArray | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.usable)

    def blocks(self, rows: IntArray) -> Iterator[FloatArray]:
        """Positions (m, N, 3) in nm of ``rows``, which ascend and may repeat, some thousand at a time."""
        for start in range(0, self.n, _CHUNK):
            first, last = np.searchsorted(rows, [start, start + _CHUNK])
            if first < last:
                yield padded(self.slice(start, min(start + _CHUNK, self.n)))[rows[first:last] - start]


def open_source(path: Path, ensemble: Path | None = None) -> ExportSource:
    """What ``path`` holds: the directory of a reweight, sample, simulate or transition-states run, or an ensemble file.

    ``ensemble`` says where a reweighting's draws are, if they were moved. ``InputError`` for anything else.
    """
    if path.is_file():
        return _ensemble(EnsembleReader(path))
    manifest = read_manifest(path)
    if manifest.kind == "reweight":
        return _reweighting(path, manifest, ensemble)
    if manifest.kind in ("sample", "transition-states"):
        return _ensemble(EnsembleReader(path / "ensemble.h5"))
    if manifest.kind == "simulate":
        return _dynamics(path, manifest)
    raise InputError(
        f"{path} holds a {manifest.kind} run, which has no frames.", "Give a simulate, sample or reweight run."
    )


def padded(positions: AnyFloatArray) -> FloatArray:
    """Positions (n, N, D) with zeros up to three dimensions."""
    whole = np.zeros((*positions.shape[:2], 3))
    whole[:, :, : positions.shape[2]] = positions
    return whole


def _reweighting(path: Path, manifest: Manifest, ensemble: Path | None) -> ExportSource:
    reader = EnsembleReader(_find_ensemble(path, manifest, ensemble))
    record = json.loads((path / "result.json").read_bytes())
    rows = _read_weights(path / "weights.h5")
    if len(rows["log_weight"]) != len(reader):
        raise InputError(f"{path} has weights of other draws than {reader.path}.", "Run molgen reweight again.")
    weight = np.asarray(rows["log_weight"], dtype=np.float64)
    return ExportSource(
        "weighted",
        system_from_record(dict(reader.header.system_record)),
        float(record["temperature_k"]),
        np.isfinite(weight),
        weight,
        np.asarray(rows["state"], dtype=np.int64),
        rows["states"],
        rows["variables"],
        lambda start, stop: reader.slice(start, stop).positions,
        str(record["verdict"]),
        tuple(record["reasons"]),
        _refused_everywhere(record),
        population=_population(reader),
    )


def _refused_everywhere(record: dict[str, Any]) -> tuple[str, ...]:
    """Why no estimate of a reweighting is to be believed; none if one is, although a rare state may be badly known."""
    if record["verdict"] != "refused":
        return ()
    estimates = list(record["estimates"].values())
    if any(estimate["verdict"] != "refused" for estimate in estimates):
        return ()
    shared = [reason for reason in record["reasons"] if all(reason in estimate["reasons"] for estimate in estimates)]
    return tuple(shared or record["reasons"]) or ("no reason is given",)


def _find_ensemble(path: Path, manifest: Manifest, given: Path | None) -> Path:
    """The draws that were weighed, by their SHA-256: where the user says, where they were, or as they lay beside."""
    joined = manifest.artifacts.get(_ROWS)
    if joined is not None and (path / _ROWS).is_file():  # several ensembles, whose rows the run keeps
        return path / _ROWS
    facts = manifest.provenance
    candidates = [Path(str(facts["ensemble"]))] if "ensemble" in facts else []
    candidates += [path / str(facts["ensemble_beside"])] if "ensemble_beside" in facts else []
    if given is not None:
        candidates = [given / "ensemble.h5" if given.is_dir() else given]
    for candidate in candidates:
        if candidate.is_file() and sha256_file(candidate) == manifest.config.get("ensemble"):
            return candidate
    raise InputError(
        f"The draws that {path} weighs are not where they were, or were changed.", "Say where with --ensemble."
    )


def _read_weights(file: Path) -> dict[str, Any]:
    """``log_weight``, ``state`` (n,), ``states`` (names) and ``variables`` of a reweighting's ``weights.h5``."""
    import tables

    try:
        with tables.open_file(str(file), mode="r") as handle:
            names = [name.decode() for name in handle.get_node("/state_names").read()]
            return {
                "log_weight": handle.get_node("/log_weight").read(),
                "state": handle.get_node("/state").read(),
                "states": tuple(name for name in names if name),
                "variables": {node.title: node.read() for node in handle.list_nodes("/cv")},
            }
    except (OSError, tables.HDF5ExtError, tables.NoSuchNodeError) as error:
        raise InputError(f"{file} cannot be read.", "Run molgen reweight again.") from error


def _ensemble(reader: EnsembleReader) -> ExportSource:
    """Draws that carry weights of their own, or none; ``InputError`` for weights of a biased target."""
    if reader.header.kind == "annealed" and reader.header.bias is not None:
        raise InputError(
            f"The weights in {reader.path} are those of a biased target.",
            "Export the directory of its molgen reweight.",
        )
    system = system_from_record(dict(reader.header.system_record))
    states = build_states(system)
    usable = np.asarray(reader.column("in_domain"), dtype=np.bool_)
    weight = None
    if "log_weight" in reader.columns:
        weight = np.asarray(reader.column("log_weight"), dtype=np.float64)
        usable = usable & np.isfinite(weight)
    variables: dict[str, list[FloatArray]] = {}
    finite = []
    for rows in reader.chunks(_CHUNK):
        finite.append(np.isfinite(rows.positions).all(axis=(1, 2)))
        for name, values in evaluate_cvs(system, rows.positions).items():
            variables.setdefault(name, []).append(values)
    joined = {name: np.concatenate(parts) for name, parts in variables.items()}
    return ExportSource(
        "raw" if weight is None and reader.header.kind == "model" else "dynamics" if weight is None else "weighted",
        system,
        reader.header.temperature_k,
        usable & np.concatenate([np.ones(0, dtype=np.bool_), *finite]),
        weight,
        states.assign(joined) if joined else np.full(len(reader), -1, dtype=np.int64),
        states.names,
        joined,
        lambda start, stop: reader.slice(start, stop).positions,
        independent=reader.header.kind == "model",
        population=_population(reader),
    )


def _population(reader: EnsembleReader) -> IntArray | None:
    return np.asarray(reader.column("population"), dtype=np.int64) if "population" in reader.columns else None


def _dynamics(path: Path, manifest: Manifest) -> ExportSource:
    try:
        system = system_from_record(json.loads((path / "system.json").read_bytes()))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} does not say which system it is of.", "Run the simulation again.") from error
    shards = [read_shard(shard, system.dim) for shard in sorted(path.glob(SHARD_PATTERN))]
    if not shards:
        raise InputError(f"{path} holds no frames.", "Run the simulation again.")
    positions = np.concatenate([shard.positions for shard in shards])
    states = build_states(system)
    variables = evaluate_cvs(system, np.asarray(positions, dtype=np.float64))
    bias = manifest.result.get("bias")
    return ExportSource(
        "dynamics" if bias is None else "umbrella",
        system,
        float(manifest.result.get("temperature_k", system.temperature_k)),
        np.isfinite(positions).all(axis=(1, 2)),
        None,
        states.assign(variables) if variables else np.full(len(positions), -1, dtype=np.int64),
        states.names,
        variables,
        lambda start, stop: np.asarray(positions[start:stop], dtype=np.float64),
        independent=False,
        bias=bias,
    )
