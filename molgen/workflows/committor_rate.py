"""`committor rate`: k_AB and k_BA from two-way shots of Boltzmann-weighted points."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molgen.errors import InputError
from molgen.files import sha256_file, to_plain
from molgen.rundir import MANIFEST, RunDirectory, read_manifest
from molgen.seeds import numpy_generator
from molgen.shooting.ledger import Ledger
from molgen.shooting.points import BlockShares
from molgen.shooting.rate import check_points, passings, rates
from molgen.systems.record import system_from_record
from molgen.systems.system import AnalyticSystem
from molgen.workflows.shooting import KIND as SHOOT
from molgen.workflows.shooting import LEDGER, POPULATION
from molgen.workflows.shot_data import RUN

KIND = "committor-rate"
RESULT = "rate.json"
FEW_PATHS = 30
"""Below so many transition paths the interval itself is uncertain, and a note says so."""
_REMEDY = "Give committor shoot frames at equilibrium (simulate --plain, trajectories) or a reweight run."


@dataclass(frozen=True)
class CommittorRate:
    """The run directory and what stands in its rate.json."""

    directory: Path
    record: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The content of rate.json."""
        return dict(self.record)


def committor_rate(shots: str | Path, output: str | Path | None = None, *, seed: int | None = None) -> CommittorRate:
    """The rates between the states of the shooting run ``shots``, written into ``output`` (or its folder ``rate``).

    ``InputError`` for points that are no Boltzmann sample, for undecided shots beyond 1 %, a state that the points'
    source never visits, or no transition path among the pairs.
    """
    source = Path(shots)
    known = _opened(source)
    config = {"shots": sha256_file(source / MANIFEST)}
    target = source / "rate" if output is None else Path(output)
    with RunDirectory.open(target, kind=KIND, config=config, seed=seed) as run:
        record = run.read_json(RESULT) if run.complete else None
        if record is None:
            record = to_plain(_estimate(source, known, run.seed))
            run.write_json(RESULT, record)
            run.finish({key: record[key] for key in ("k_ab", "k_ba", "unit", "transition_paths")})
    return CommittorRate(target, record)


def _opened(source: Path) -> dict[str, Any]:
    """What the run knows of its points; ``InputError`` if they are no Boltzmann sample."""
    if (source / MANIFEST).is_file() and read_manifest(source).kind == RUN:
        raise InputError(
            "The points of a committor run are chosen where they teach most, no Boltzmann sample.", _REMEDY
        )
    read_manifest(source, SHOOT)
    known: dict[str, Any] = json.loads((source / "points.json").read_bytes())
    if "unweighted" not in known or not (source / POPULATION).is_file():
        raise InputError(f"{source} does not say how its points were taken.", "Shoot again with this molgen.")
    if known["unweighted"] is not None:
        raise InputError(f"The points of {source} are no Boltzmann sample: {known['unweighted']}.", _REMEDY)
    return known


def _estimate(source: Path, known: dict[str, Any], seed: int) -> dict[str, Any]:
    dynamics = read_manifest(source, SHOOT).config["dynamics"]
    section = dynamics["dynamics"]
    ledger = Ledger(source / LEDGER)
    points, shots = ledger.points(), ledger.shots()
    if points is None or shots is None:
        raise InputError(f"{source} holds no shots.", "Run molgen committor shoot again.")
    with np.load(source / POPULATION, allow_pickle=False) as file:
        shares = BlockShares(**{name: file[name] for name in file.files})
    check_points(shares.point)
    found = passings(shots, len(points), 1e-3 * section["timestep_fs"], section["check_every"])
    estimated = rates(found, points.selection, shares, numpy_generator(seed, "rates"))
    system = system_from_record(json.loads((source / "system.json").read_bytes()))
    notes = []
    if found.paths < FEW_PATHS:
        notes.append(f"Only {found.paths} transition paths: the interval is rough, more points narrow it.")
    return {
        "system": system.name,
        "a": dynamics["a"]["name"],
        "b": dynamics["b"]["name"],
        "route": "two-way shots from Boltzmann-weighted points",
        **asdict(estimated),
        "unit": "1/time" if isinstance(system, AnalyticSystem) else "1/ps",
        "pairs": len(shots) // 2,
        "points": len(points),
        "transition_paths": found.paths,
        "path_time": found.path_time,
        "outside_share": known["outside_share"],
        "share_a": known["share_a"],
        "share_b": known["share_b"],
        "notes": notes,
    }
