"""`committor rate`: k_AB and k_BA by every route that was measured, side by side."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molgen.committor.artifact import load_committor
from molgen.errors import InputError
from molgen.files import sha256_file, to_plain
from molgen.rundir import MANIFEST, RunDirectory, configuration_hash, read_manifest
from molgen.shooting.rate import Estimate, estimate
from molgen.shooting.routes import Route, compare, compare_ratio
from molgen.systems.record import system_from_record
from molgen.systems.system import AnalyticSystem
from molgen.workflows.committor_flux import KIND as FLUX
from molgen.workflows.committor_passages import KIND as PASSAGES
from molgen.workflows.rate_routes import REMEDY, ShotRoute, detours_of, flux_of, passages_of, shots_of
from molgen.workflows.shooting import KIND as SHOOT
from molgen.workflows.shot_data import RUN

KIND = "committor-rate"
RESULT = "rate.json"
_ORDER = (SHOOT, FLUX, PASSAGES)


@dataclass(frozen=True)
class CommittorRate:
    """The run directory and what stands in its rate.json."""

    directory: Path
    record: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The content of rate.json."""
        return dict(self.record)


def committor_rate(
    sources: str | Path | Sequence[str | Path],
    output: str | Path | None = None,
    *,
    committor: str | Path | None = None,
    seed: int | None = None,
) -> CommittorRate:
    """The rates between two states by each of ``sources``, written into ``output`` (or a folder of the first).

    A source is a run of ``committor shoot`` (two-way shots from Boltzmann-weighted points), ``flux`` or ``passages``,
    one of each kind at most. With shots of overdamped dynamics a ``committor`` (a directory) gives an upper bound.
    Routes that differ by more than two standard deviations of their difference are flagged in the notes.

    ``InputError`` for sources of different dynamics, points that are no Boltzmann sample, undecided shots beyond 1 %, a
    state that the points' source never visits, or no transition at all.
    """
    given = [Path(sources)] if isinstance(sources, str | Path) else [Path(source) for source in sources]
    found = _sorted(given)
    config = {kind: sha256_file(path / MANIFEST) for kind, path in found.items()}
    if list(found) == [SHOOT]:
        config = {"shots": config[SHOOT]}
    if committor is not None:
        config["committor"] = load_committor(committor).sha256
    extra = [kind for kind in found if kind != SHOOT] + ([] if committor is None else ["bound"])
    target = next(iter(found.values())) / "-".join(["rate", *extra]) if output is None else Path(output)
    with RunDirectory.open(target, kind=KIND, config=config, seed=seed) as run:
        record = run.read_json(RESULT) if run.complete else None
        if record is None:
            record = to_plain(_estimate(found, None if committor is None else Path(committor), run.seed))
            run.write_json(RESULT, record)
            run.finish({key: record[key] for key in ("k_ab", "k_ba", "unit", "route")})
    return CommittorRate(target, record)


def _sorted(given: list[Path]) -> dict[str, Path]:
    """The sources by kind, in the order of the routes; ``InputError`` for what is none or belongs to other dynamics."""
    found: dict[str, Path] = {}
    dynamics: dict[str, str] = {}
    for path in given:
        manifest = read_manifest(path)
        if manifest.kind == RUN:
            raise InputError(
                "The points of a committor run are chosen where they teach most, no Boltzmann sample.", REMEDY
            )
        if manifest.kind not in _ORDER:
            raise InputError(
                f"{path} holds a {manifest.kind} run, which gives no rate.",
                "Give runs of molgen committor shoot, flux or passages.",
            )
        if manifest.kind in found:
            raise InputError(f"{found[manifest.kind]} and {path} are the same route.", "Give one run of each kind.")
        found[manifest.kind] = path
        dynamics[configuration_hash(manifest.config["dynamics"])] = str(path)
    if not found:
        raise InputError("There is nothing to take rates from.", "Give a run of molgen committor shoot.")
    if len(dynamics) > 1:
        first, second = list(dynamics.values())[:2]
        raise InputError(
            f"{first} and {second} belong to different dynamics or states.", "Compare routes of the same [dynamics]."
        )
    return {kind: found[kind] for kind in _ORDER if kind in found}


def _estimate(found: dict[str, Path], committor: Path | None, seed: int) -> dict[str, Any]:
    routes: list[Route] = []
    shots: ShotRoute | None = None
    if SHOOT in found:
        shots = shots_of(found[SHOOT], committor, seed)
        routes.append(shots.route)
    elif committor is not None:
        raise InputError(
            "A committor bounds the rate together with shots from Boltzmann-weighted points only.",
            "Give the run of molgen committor shoot as well.",
        )
    if FLUX in found:
        routes.append(flux_of(found[FLUX], seed))
    passages = passages_of(found[PASSAGES], seed) if PASSAGES in found else None
    if passages is not None:
        routes.append(passages)
    if shots is not None and shots.bound is not None:
        routes.append(shots.bound)
    comparisons = compare(routes)
    if shots is not None and passages is not None:
        ratio = compare_ratio(passages, float(shots.rates.best[3]), shots.rates.repeats[3])
        comparisons += [] if ratio is None else [ratio]
    first = next(iter(found.values()))
    dynamics = read_manifest(first).config["dynamics"]
    system = system_from_record(json.loads((first / "system.json").read_bytes()))
    notes = [] if shots is None else list(shots.notes)
    notes += [] if passages is None else detours_of(found[PASSAGES], found.get(SHOOT))
    for item in comparisons:
        if not item.agree:
            what = f"{item.first} and {item.second} disagree on {item.quantity}"
            notes.append(f"{what}: by {abs(item.log_ratio) / item.sigma:.1f} standard deviations of their difference.")
    return {
        "system": system.name,
        "a": dynamics["a"]["name"],
        "b": dynamics["b"]["name"],
        "route": routes[0].name,
        **_first_estimates(routes[0], shots),
        "unit": "1/time" if isinstance(system, AnalyticSystem) else "1/ps",
        **({} if shots is None else shots.facts),
        "routes": [_row(route) for route in routes],
        "comparisons": [asdict(item) for item in comparisons],
        "notes": notes,
    }


def _first_estimates(route: Route, shots: ShotRoute | None) -> dict[str, Any]:
    if shots is None:
        return {name: _plain(item) for name, item in route.estimates().items()}
    return asdict(shots.rates.summary())


def _row(route: Route) -> dict[str, Any]:
    found = {name: _plain(item) for name, item in route.estimates().items()}
    if np.isfinite(route.best).all():
        with np.errstate(divide="ignore", invalid="ignore"):
            repeats = route.repeats[0] / route.repeats[1]
        found["ratio"] = _plain(estimate(float(route.best[0] / route.best[1]), repeats))
    return {"route": route.name, "upper_bound": route.bound, **found, **route.facts}


def _plain(item: Estimate | None) -> dict[str, float] | None:
    return None if item is None else asdict(item)
