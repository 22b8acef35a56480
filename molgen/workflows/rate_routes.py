"""The routes to a rate, each read from the run that measured it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from molgen.committor.artifact import load_committor
from molgen.committor.bound import dirichlet_terms
from molgen.dynamics.passage_factory import open_passages
from molgen.errors import InputError
from molgen.observables.boundary import Boundary
from molgen.rundir import configuration_hash, read_manifest
from molgen.seeds import child_seed, numpy_generator
from molgen.shooting.direct import BlockTimes
from molgen.shooting.ledger import Ledger
from molgen.shooting.lineages import independent_blocks
from molgen.shooting.points import BlockShares
from molgen.shooting.rate import ShotRates, along_region, check_points, passings, shot_rates
from molgen.shooting.routes import Route, direct_route, flux_route
from molgen.shooting.stages import Stages
from molgen.systems.record import system_from_record
from molgen.workflows.committor_flux import KIND as FLUX
from molgen.workflows.committor_passages import KIND as PASSAGES
from molgen.workflows.committor_passages import detours, read_passages
from molgen.workflows.flux_blocks import read_flux
from molgen.workflows.shooting import KIND as SHOOT
from molgen.workflows.shooting import LEDGER, POPULATION

FEW_PATHS = 30
"""Below so many transition paths the interval itself is uncertain, and a note says so."""
MANY_BLOCKS = 100
"""Passages are drawn one by one up to this number of blocks, beyond it in stretches of a trajectory."""
REMEDY = "Give committor shoot frames at equilibrium (simulate --plain, trajectories) or a reweight run."


@dataclass(frozen=True, eq=False)
class ShotRoute:
    """The route of two-way shots and, where a committor was given, the bound that shares its weights."""

    rates: ShotRates
    route: Route
    bound: Route | None
    facts: dict[str, Any]
    notes: tuple[str, ...]


def shots_of(source: Path, committor: Path | None, seed: int) -> ShotRoute:
    """The rates from the shooting run ``source``; ``InputError`` if its points are no Boltzmann sample."""
    known = _points_record(source)
    dynamics = read_manifest(source, SHOOT).config["dynamics"]
    section = dynamics["dynamics"]
    ledger = Ledger(source / LEDGER)
    points, shots = ledger.points(), ledger.shots()
    if points is None or shots is None:
        raise InputError(f"{source} holds no shots.", "Run molgen committor shoot again.")
    with np.load(source / POPULATION, allow_pickle=False) as file:
        shares = BlockShares(**{name: file[name] for name in file.files})
    check_points(shares.point)
    every = section["check_every"]
    along = None
    if "region" in known:
        along = along_region(shots, points.selection, check_every=every, **known["region"])
    found = passings(shots, len(points), 1e-3 * section["timestep_fs"], every, along)
    terms = None if committor is None else _bound_terms(source, committor, dynamics, points.positions, seed)
    rates = shot_rates(found, points.selection, shares, numpy_generator(seed, "rates"), terms)
    notes = []
    if found.paths < FEW_PATHS:
        notes.append(f"Only {found.paths} transition paths: the interval is rough, more points narrow it.")
    facts = {
        "pairs": len(shots) // 2,
        "points": len(points),
        "transition_paths": found.paths,
        "path_time": found.path_time,
        **{name: known[name] for name in ("outside_share", "share_a", "share_b")},
    }
    name = "two-way shots from Boltzmann-weighted points"
    route = Route(name, rates.best[1:3], rates.repeats[1:3], {"transition_paths": found.paths})
    return ShotRoute(rates, route, None if terms is None else _bound(rates), facts, tuple(notes))


def _points_record(source: Path) -> dict[str, Any]:
    """What the run knows of its points; ``InputError`` if they are no Boltzmann sample."""
    known: dict[str, Any] = json.loads((source / "points.json").read_bytes())
    if "unweighted" not in known or not (source / POPULATION).is_file():
        raise InputError(f"{source} does not say how its points were taken.", "Shoot again with this molgen.")
    if known["unweighted"] is not None:
        raise InputError(f"The points of {source} are no Boltzmann sample: {known['unweighted']}.", REMEDY)
    return known


def _bound_terms(
    source: Path, committor: Path, dynamics: dict[str, Any], positions: np.ndarray, seed: int
) -> np.ndarray:
    if dynamics["dynamics"]["integrator"] != "overdamped":
        raise InputError(
            "A committor of positions bounds the rate of overdamped dynamics only.", "Leave --committor out."
        )
    loaded = load_committor(committor)
    if loaded.dynamics_sha256 != configuration_hash(dynamics):
        raise InputError(
            f"The committor in {committor} belongs to other dynamics or states than {source}.", "Fit one to its shots."
        )
    system = system_from_record(json.loads((source / "system.json").read_bytes()))
    boundary = Boundary(system, dynamics["a"]["name"], dynamics["b"]["name"])
    passages = open_passages(system, boundary, platform="numpy")
    return dirichlet_terms(loaded.model, passages, positions, child_seed(seed, "bound"))


def _bound(rates: ShotRates) -> Route:
    """The bound of ν over the shares of time last in A and in B."""

    def ways(values: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.stack([values[4] / (1.0 - values[3]), values[4] / values[3]])

    return Route("overdamped upper bound", ways(rates.best), ways(rates.repeats), {}, bound=True)


def passages_of(source: Path, seed: int) -> Route:
    """The rates from the direct passages in ``source``."""
    manifest = read_manifest(source, PASSAGES)
    passages, _ = read_passages(Stages(source / PASSAGES, "chains"))
    block = independent_blocks(passages.number, MANY_BLOCKS)
    timestep = 1e-3 * manifest.config["dynamics"]["dynamics"]["timestep_fs"]
    return direct_route(BlockTimes.of(passages, block, timestep), numpy_generator(seed, "passages"))


def detours_of(source: Path, shots: Path | None) -> tuple[str, ...]:
    """What is to be said of the passages in ``source`` that left the domain which the frames of ``shots`` are from.

    That of their own system where there are no shots: a domain is no part of the dynamics, and may be another.
    """
    system = system_from_record(json.loads(((shots or source) / "system.json").read_bytes()))
    return detours(Stages(source / PASSAGES, "chains"), system)


def flux_of(source: Path, seed: int) -> Route:
    """The rates from the first crossings in ``source``; ``InputError`` if none of them went on to the other state."""
    manifest = read_manifest(source, FLUX)
    timestep = 1e-3 * manifest.config["dynamics"]["dynamics"]["timestep_fs"]
    route = flux_route(read_flux(Stages(source / FLUX, "walkers"), timestep), numpy_generator(seed, "flux"))
    if np.any(route.best == 0.0):
        raise InputError(
            f"No continued crossing in {source} reached the other state.", "Put the interface further or count more."
        )
    return route
