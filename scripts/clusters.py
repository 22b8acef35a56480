#!/usr/bin/env python3
"""Reference samples and mean energies of the clusters dw4, lj13 and lj55.

    python scripts/clusters.py reference dw4 -o dw4.json --steps 2000 --seed 1        # figures
    python scripts/clusters.py reference lj13 -o lj13.json --steps 4000 --ship        # and data/systems/lj13
    python scripts/clusters.py reference lj13 -o deep.json --steps 2000 --depth 2

Parallel tempering with Metropolised Hamiltonian moves (S. Duane et al., doi:10.1016/0370-2693(87)91197-X; swaps:
R. H. Swendsen and J.-S. Wang, doi:10.1103/PhysRevLett.57.2607), exact for any step size. Two independent runs, one from
a compact lattice and one from a loose one, in ``--lanes`` lanes each that exchange nothing: the standard error of the
mean of u is that over lanes, and the runs must agree in u and in the radius of gyration within three joint errors
before anything is shipped. Step sizes adapt during the first fifth, which is thrown away, and are fixed then.

The potential counts each pair once with the depth of its ``system.toml``; ``--depth`` replaces that of Lennard-Jones,
since public codes differ by a factor of two. ``--dynamics 2ns`` compares with ``molgen simulate --plain``.
"""

import argparse
import json
import math
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from molgen.analysis.correlated import blocks, statistical_inefficiency
from molgen.energies.analytic import AnalyticEnergy
from molgen.energies.base import Energy
from molgen.files import json_bytes, write_atomically
from molgen.provenance import library_versions
from molgen.seeds import numpy_generator
from molgen.systems.loading import data_root, load_system
from molgen.systems.system import AnalyticSystem
from molgen.trajectories.reading import read_frames
from molgen.trajectories.shards import write_shard
from molgen.units import parse_time_ps
from molgen.workflows import SimulationSettings, simulate

LEAPFROG = 8
"""Leapfrog steps of one Hamiltonian move."""
ACCEPT = 0.75
"""Acceptance that the step sizes are adapted to."""
DISCARD = 0.2
"""Share of the steps that adapts the step sizes and is thrown away."""
LOOSE = {"dw4": 1.5, "lj13": 1.6, "lj55": 1.6}
"""By how much the loose start is wider than the compact one."""
HOTTEST = {"dw4": 3.0, "lj13": 2.5, "lj55": 2.0}
RUNGS = {"dw4": 4, "lj13": 5, "lj55": 8}


@dataclass
class Replicas:
    """Frames ``x`` (R, L, N, D) on R rungs in L lanes, with u and its gradient at kT = 1, and each rung's ``beta``."""

    x: np.ndarray
    u: np.ndarray
    slope: np.ndarray
    beta: np.ndarray
    step: np.ndarray


def evaluate(energy: Energy, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """u (R, L) and its gradient (R, L, N, D)."""
    u, slope = energy.reduced_and_gradient(x.reshape(-1, *x.shape[2:]), purpose="data")
    return u.reshape(x.shape[:2]), slope.reshape(x.shape)


def centred(values: np.ndarray) -> np.ndarray:
    """Without the mean over particles."""
    return np.asarray(values - values.mean(axis=-2, keepdims=True))


def move(replicas: Replicas, energy: Energy, generator: np.random.Generator) -> np.ndarray:
    """One Metropolised Hamiltonian trajectory of every replica; which were accepted (R, L).

    The centroid stays: momenta have none. The length of a trajectory is drawn anew, so that none is periodic.
    """
    beta, step = (array[:, None, None, None] for array in (replicas.beta, replicas.step))
    momentum = centred(generator.standard_normal(replicas.x.shape))
    before = replicas.beta[:, None] * replicas.u + 0.5 * (momentum**2).sum(axis=(2, 3))
    step = step * generator.uniform(0.8, 1.2)
    x, u, slope = replicas.x, replicas.u, replicas.slope
    momentum = momentum - 0.5 * step * beta * slope
    with np.errstate(over="ignore", invalid="ignore"):
        for leap in range(LEAPFROG):
            x = x + step * momentum
            u, slope = evaluate(energy, x)
            momentum = momentum - (0.5 if leap == LEAPFROG - 1 else 1.0) * step * beta * slope
        after = replicas.beta[:, None] * u + 0.5 * (momentum**2).sum(axis=(2, 3))
        accepted = np.log(generator.random(u.shape)) < before - after
    chosen = accepted[:, :, None, None]
    replicas.x = centred(np.where(chosen, x, replicas.x))
    replicas.u = np.where(accepted, u, replicas.u)
    replicas.slope = np.where(chosen, slope, replicas.slope)
    return accepted


def swap(replicas: Replicas, first: int, generator: np.random.Generator) -> np.ndarray:
    """Exchange rungs (first, first + 1), (first + 2, …) … within each lane; acceptance of each pair."""
    rates = []
    for low in range(first, len(replicas.beta) - 1, 2):
        exponent = (replicas.beta[low] - replicas.beta[low + 1]) * (replicas.u[low] - replicas.u[low + 1])
        taken = np.log(generator.random(exponent.shape)) < exponent
        for array in (replicas.x, replicas.u, replicas.slope):
            array[low, taken], array[low + 1, taken] = array[low + 1, taken].copy(), array[low, taken].copy()
        rates.append(float(taken.mean()))
    return np.array(rates)


def run(system: AnalyticSystem, scale: float, steps: int, lanes: int, seed: int, name: str) -> dict[str, Any]:
    """One run: frames, u and radius of gyration (lanes, kept steps) on the lowest rung, and how it went."""
    generator = numpy_generator(seed, f"clusters-{name}")
    energy = AnalyticEnergy(system)
    rungs = RUNGS[system.name]
    beta = np.geomspace(1.0, 1.0 / HOTTEST[system.name], rungs)
    shape = (rungs, lanes, *system.positions.shape)
    x = centred(scale * system.positions + 0.02 * generator.standard_normal(shape))
    replicas = Replicas(x, *evaluate(energy, x), beta, np.full(rungs, 0.04))
    kept = {"x": [], "u": [], "rg": []}  # type: dict[str, list[np.ndarray]]
    accepted, swapped = [], []
    begun = time.process_time()
    for index in range(steps):
        taken = move(replicas, energy, generator).mean(axis=1)
        rates = swap(replicas, index % 2, generator)
        if index < DISCARD * steps:
            replicas.step *= np.exp(0.5 * (taken - ACCEPT))
            continue
        accepted.append(taken)
        swapped.append(rates.mean())
        kept["x"].append(replicas.x[0].astype(np.float32))
        kept["u"].append(replicas.u[0].copy())
        kept["rg"].append(np.sqrt((replicas.x[0] ** 2).sum(axis=2).mean(axis=1)))
    series = {key: np.stack(values, axis=1) for key, values in kept.items()}
    figures = {
        "start": name,
        "acceptance": [round(float(rate), 3) for rate in np.mean(accepted, axis=0)],
        "swap_acceptance": round(float(np.mean(swapped)), 3),
        "step_sizes": [round(float(step), 4) for step in replicas.step],
        "inefficiency_steps": float(np.mean([statistical_inefficiency(lane) for lane in series["u"]])),
        "evaluations": energy.counter.total,
        "cpu_seconds": round(time.process_time() - begun, 1),
    }
    return series | {"figures": figures | {key: over_lanes(series[key]) for key in ("u", "rg")}}


def over_lanes(series: np.ndarray) -> dict[str, float]:
    """Mean of (lanes, n), its standard error over the independent lanes, and the standard deviation of one value."""
    means = series.mean(axis=1)
    error = float(means.std(ddof=1) / math.sqrt(len(means)))
    return {"mean": float(means.mean()), "standard_error": error, "standard_deviation": float(series.std())}


def agreement(first: dict[str, float], second: dict[str, float]) -> float:
    """|Δ| in joint standard errors."""
    joint = math.hypot(first["standard_error"], second["standard_error"])
    return abs(first["mean"] - second["mean"]) / joint


def pooled(first: dict[str, float], second: dict[str, float]) -> dict[str, float]:
    """The mean of two runs of equal length."""
    error = 0.5 * math.hypot(first["standard_error"], second["standard_error"])
    return {"mean": 0.5 * (first["mean"] + second["mean"]), "standard_error": error}


def dynamics(system: AnalyticSystem, time_ps: float, seed: int) -> dict[str, Any]:
    """Mean energy of ``molgen simulate --plain``, and its error over independent blocks."""
    with tempfile.TemporaryDirectory() as folder:
        result = simulate(system, folder, mode="plain", time_ps=time_ps, settings=SimulationSettings(), seed=seed)
        frames = read_frames([result.directory], system)
    u = AnalyticEnergy(system).reduced(frames.positions.astype(np.float64), purpose="data")
    block = blocks(frames.lineage, [u])
    means = np.array([u[block == number].mean() for number in np.unique(block)])
    error = float(means.std(ddof=1) / math.sqrt(len(means)))
    return {
        "time_ps": time_ps,
        "frames": len(u),
        "blocks": len(means),
        "mean": float(u.mean()),
        "standard_error": error,
    }


def variant(system: AnalyticSystem, depth: float | None) -> AnalyticSystem:
    """The system with another depth of the pair potential."""
    if depth is None:
        return system
    section = system.definition.analytic
    assert section is not None
    changed = section.model_copy(update={"parameters": {**system.parameters, "depth": depth}})
    return replace(system, definition=system.definition.model_copy(update={"analytic": changed}))


def command(args: argparse.Namespace) -> str:
    """The command line that makes these figures."""
    words = (
        f"python scripts/clusters.py reference {args.name} --steps {args.steps} --lanes {args.lanes} --seed {args.seed}"
    )
    extra = [f" --depth {args.depth:g}"] if args.depth is not None else []
    extra += [f" --dynamics {args.dynamics:g}ps"] if args.dynamics is not None else []
    return words + "".join(extra)


def reference(args: argparse.Namespace) -> None:
    """Two runs, their agreement, the comparison with dynamics; the figures, and with ``--ship`` the frames."""
    system = load_system(args.name)
    assert isinstance(system, AnalyticSystem)
    system = variant(system, args.depth)
    starts = {"compact": 1.0, "loose": LOOSE[args.name]}
    runs = [run(system, scale, args.steps, args.lanes, args.seed, name) for name, scale in starts.items()]
    figures = [found["figures"] for found in runs]
    differences = {key: agreement(figures[0][key], figures[1][key]) for key in ("u", "rg")}
    record: dict[str, Any] = {
        "system": args.name,
        "fingerprint": system.fingerprint,
        "parameters": system.parameters,
        "command": command(args),
        "mean_energy": pooled(figures[0]["u"], figures[1]["u"]),
        "radius_of_gyration": pooled(figures[0]["rg"], figures[1]["rg"]),
        "difference_of_runs_in_errors": differences,
        "agree": max(differences.values()) <= 3.0,
        "runs": figures,
        "versions": library_versions(),
    }
    if args.dynamics is not None:
        found = dynamics(system, args.dynamics, args.seed)
        record["dynamics"] = found | {"difference_in_errors": agreement(found, record["mean_energy"])}
    if args.ship:
        record["shipped_frames"] = ship(system, runs, record, args)
    write_atomically(args.output, json_bytes(record))
    print(json.dumps({key: record[key] for key in ("mean_energy", "difference_of_runs_in_errors", "agree")}, indent=1))


def ship(system: AnalyticSystem, runs: list[dict[str, Any]], record: dict[str, Any], args: argparse.Namespace) -> int:
    """Frames at even distance, lane after lane, into the system's folder with the figures; how many."""
    if not record["agree"] or args.depth is not None:
        raise SystemExit("The runs do not agree, or are not of the system as it is: nothing was shipped.")
    lanes = [lane for found in runs for lane in found["x"]]
    each = max(1, args.frames // len(lanes))
    chosen = np.linspace(0, lanes[0].shape[0] - 1, each).round().astype(int)
    positions = np.concatenate([lane[chosen] for lane in lanes])
    folder = data_root() / "systems" / args.name
    write_shard(
        folder / "reference.h5", positions, np.repeat(np.arange(len(lanes)), each), system, system.temperature_k
    )
    write_atomically(folder / "reference.json", json_bytes(record | {"shipped_frames": len(positions)}))
    return len(positions)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    sub = commands.add_parser("reference", help="reference samples and mean energy of one cluster")
    sub.add_argument("name", choices=sorted(LOOSE))
    sub.add_argument("-o", "--output", type=Path, required=True, help="file of the figures (JSON)")
    sub.add_argument("--steps", type=int, default=2000, help="moves of every replica")
    sub.add_argument("--lanes", type=int, default=32, help="independent ladders of each of the two runs")
    sub.add_argument("--frames", type=int, default=2000, help="frames to ship")
    sub.add_argument("--seed", type=int, default=1)
    sub.add_argument("--depth", type=float, help="another depth of the Lennard-Jones pair potential")
    sub.add_argument("--dynamics", type=parse_time_ps, help="compare with plain dynamics of this length, e.g. 2ns")
    sub.add_argument("--ship", action="store_true", help="put frames and figures into the system's folder")
    sub.set_defaults(work=reference)
    args = parser.parse_args()
    args.work(args)


if __name__ == "__main__":
    main()
