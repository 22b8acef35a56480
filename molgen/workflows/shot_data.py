"""Shots to learn from or to judge by: our own ledger, or somebody else's structures with (S, K)."""

import json
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.committor.likelihood import wilson
from molgen.dynamics.passage_factory import dynamics_record
from molgen.errors import InputError
from molgen.files import sha256_file
from molgen.observables.boundary import NEITHER, Boundary
from molgen.observables.rows import Configurations
from molgen.rundir import MANIFEST, read_manifest
from molgen.shooting.ledger import Ledger
from molgen.shooting.points import ShootingPoints
from molgen.shooting.shots import MAX_UNDECIDED, Counts, Shots, count
from molgen.systems.record import system_from_record
from molgen.systems.system import System
from molgen.trajectories.checks import check_positions
from molgen.workflows.shooting import KIND as SHOOT
from molgen.workflows.shooting import LEDGER, chosen_states
from molgen.workflows.shot_table import read_shot_table

RUN = "committor-run"
"""The kind of a ``committor run``."""


@dataclass(frozen=True, eq=False)
class ShotData:
    """Configurations with what became of their shots, and the dynamics they belong to.

    ``shots`` are single ones where they are known (a ledger), None where only counts are.
    """

    boundary: Boundary
    record: dict[str, Any]
    positions: Configurations
    counts: Counts
    lineage: IntArray
    shots: Shots | None
    source: str

    def part(self, used: BoolArray) -> "ShotData":
        """The configurations ``used`` (n,) and their shots."""
        counts = Counts(*(getattr(self.counts, item.name)[used] for item in fields(Counts)))
        shots = None if self.shots is None else self.shots.of_configurations(used)
        return replace(self, positions=self.positions[used], counts=counts, lineage=self.lineage[used], shots=shots)


def open_shots(source: Path, system: System | None, a: str | None, b: str | None, *, judging: bool = False) -> ShotData:
    """The shots in ``source``: the directory of a ``committor shoot`` or ``run`` run, or an NPZ or CSV file.

    Of a ``committor run`` those that were kept for ``judging`` or those that were not.

    Such a file has ``S`` and ``K`` (n,): S of K shots from each configuration reached ``b``, and may have ``lineage``
    (n,); ``system`` and its states ``a`` and ``b`` say whose they are. NPZ has ``positions`` (n, N, D) in nm, CSV
    columns of collective variables or coordinates (:func:`molgen.workflows.shot_table.read_shot_table`).

    ``InputError`` for anything else, labels outside 0 ≤ S ≤ K, structures of another molecule, in ångström, or inside a
    state.
    """
    if source.is_dir():
        return _from_ledger(source, judging)
    if source.suffix not in (".npz", ".csv") or not source.is_file():
        raise InputError(
            f"{source} is neither the directory of a shooting run nor an NPZ or CSV file.",
            "Give the -o of molgen committor shoot, or a file with configurations, S and K.",
        )
    if system is None:
        raise InputError(f"{source} does not say what molecule it is of.", "Give --system.")
    boundary = chosen_states(system, a, b)
    if source.suffix == ".csv":
        table = read_shot_table(source, boundary)
        return _labelled(source, boundary, table.rows, table.reached, table.shots, table.lineage)
    return _from_file(source, system, boundary)


def mostly_decided(counts: Counts) -> bool:
    """Whether no more than 2 % of the shots are undecided, or more by chance alone.

    By chance: Wilson's 95 % interval of the share holds 2 %.
    """
    undecided = int(counts.undecided.sum())
    return not undecided or wilson(undecided, undecided + int(counts.decided.sum()))[0] <= MAX_UNDECIDED


def check_decided(counts: Counts, remedy: str) -> None:
    """``InputError`` with the ``remedy`` unless the shots are :func:`mostly_decided`."""
    if not mostly_decided(counts):
        undecided = int(counts.undecided.sum())
        total = undecided + int(counts.decided.sum())
        raise InputError(
            f"{undecided} of {total} shots reached neither state: a committor of the others alone would be wrong.",
            remedy,
        )


def _from_ledger(source: Path, judging: bool) -> ShotData:
    run = (source / MANIFEST).is_file() and read_manifest(source).kind == RUN
    manifest = read_manifest(source, RUN if run else SHOOT)
    system = system_from_record(json.loads((source / "system.json").read_bytes()))
    record = dict(manifest.config["dynamics"])
    boundary = Boundary(system, record["a"]["name"], record["b"]["name"])
    ledger = Ledger(source / LEDGER)
    shots, points = ledger.shots(), ledger.points()
    if shots is None or points is None:
        raise InputError(f"{source} holds no shots.", "Run molgen committor shoot again.")
    data = ledger_data(boundary, record, points, shots, sha256_file(source / MANIFEST))
    if not run:
        return data
    # The two parts are different shots, which may be set against each other.
    part = data.part(points.held_out if judging else ~points.held_out)
    return replace(part, source=f"{data.source} {'held out' if judging else 'fitted'}")


def ledger_data(
    boundary: Boundary, record: dict[str, Any], points: ShootingPoints, shots: Shots, source: str
) -> ShotData:
    """All points and shots of a ledger."""
    counts = count(shots, len(points))
    return ShotData(boundary, record, points.positions, counts, points.lineage, shots, source)


def _from_file(source: Path, system: System, boundary: Boundary) -> ShotData:
    try:
        with source.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise InputError(f"{source} is not a readable NPZ file.", "Write it with numpy.savez.") from error
    missing = [name for name in ("positions", "S", "K") if name not in content]
    if missing:
        raise InputError(f"{source} has no array {missing[0]!r}.", "Give positions (n, N, D) in nm, S (n,) and K (n,).")
    positions = np.asarray(content["positions"], dtype=np.float64)
    shape = (system.n_particles, system.dim)
    if positions.ndim != 3 or positions.shape[1:] != shape:
        raise InputError(
            f"The positions in {source} have the shape {positions.shape}, those of {system.name} are (n, {shape[0]}, "
            f"{shape[1]}).",
            "Give structures of this system.",
        )
    lineage = np.asarray(content.get("lineage", np.arange(len(positions))), dtype=np.int64)
    check_positions(positions, system, str(source))
    return _labelled(source, boundary, positions, np.asarray(content["S"]), np.asarray(content["K"]), lineage)


def _labelled(
    source: Path, boundary: Boundary, rows: Configurations, reached: FloatArray, shot: FloatArray, lineage: IntArray
) -> ShotData:
    """``reached`` of ``shot`` shots from ``rows``; ``InputError`` for labels that cannot be, and rows in a state."""
    if reached.shape != (len(rows),) or shot.shape != (len(rows),):
        raise InputError(f"{source} has {len(rows)} structures but other numbers of S or K.", "Give one a structure.")
    whole = np.all(reached == np.round(reached)) and np.all(shot == np.round(shot))
    if not whole or np.any(reached < 0) or np.any(reached > shot):
        raise InputError(f"{source} holds labels outside 0 <= S <= K.", "S of K shots reach B: both are counts.")
    inside = int(np.sum(boundary.assign(rows) != NEITHER))
    if inside:
        raise InputError(
            f"{inside} structures in {source} lie inside {boundary.a} or {boundary.b}.",
            "Leave them out: their committor is 0 or 1 by definition.",
        )
    hits, shots = reached.astype(np.int64), shot.astype(np.int64)
    nothing = np.zeros(len(rows), dtype=np.int64)
    counts = Counts(shots - hits, hits, nothing, nothing)
    record = dynamics_record(boundary.system, boundary)
    return ShotData(boundary, record, rows, counts, lineage, None, sha256_file(source))
