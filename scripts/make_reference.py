"""Make the reference ensemble of alanine dipeptide: independent long runs under one static bias, reweighted.

    python scripts/make_reference.py -o WORK            # about 25 minutes of one core; continues where it stopped
    python scripts/make_reference.py -o WORK --ship     # and put reference.h5, reference.json beside the system

1. *bias*: well-tempered metadynamics on (phi, psi) gives a rough free energy (doi:10.1103/PhysRevLett.100.020603).
   The bias is V(phi) + V(psi). Each in turn, ROUNDS times: the surface with the other's bias is integrated to a
   profile of the one angle, what lies more than FLOOR kT above its minimum is lowered to there (down from at most
   CEILING kT), and a Fourier series is fitted to that. From here on the bias is frozen: only then are weights exact.
   Basins that hold most of the ensemble are left nearly as they are, so that the weights stay even.
2. *runs*: each starts from its own hot frame and seeds. Every frame has log w = V_bias / kT.
3. *collect*: populations with errors from blocks and from the spread over runs, the free-energy surface, and
   evenly spaced frames as a reference that ``molgen reweight --reference`` reads.
"""

import argparse
import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import openmm
import tables

from molgen.coordinates.domain import domain_of, torsion_angles
from molgen.dynamics.bias import FourierTorsionBias, fit_fourier_bias
from molgen.dynamics.factory import open_propagator
from molgen.dynamics.langevin import repartitioned
from molgen.dynamics.propagator import Piece
from molgen.dynamics.schedule import SimulationSettings
from molgen.energies.factory import open_energy
from molgen.errors import UsageError
from molgen.files import atomic_path, json_bytes, write_atomically
from molgen.observables.states import build_states
from molgen.observables.table import evaluate_cvs
from molgen.provenance import library_versions
from molgen.seeds import child_seed
from molgen.systems.loading import data_root, load_system
from molgen.trajectories.shards import write_shard
from molgen.units import thermal_energy

SYSTEM = "alanine-dipeptide"
PHI, PSI = (4, 6, 8, 14), (6, 8, 14, 16)
GRID, ORDER, ROUNDS, FLOOR, CEILING = 36, 6, 4, 0.8, 11.0
HILLS, HILL_STEPS, HILL_KT, HILL_WIDTH, BIAS_FACTOR = 4000, 400, 0.5, 0.3, 12.0
BLOCKS_PER_RUN = 20
SETTINGS = SimulationSettings(timestep_fs=2.0, friction_per_ps=1.0, hydrogen_mass_da=3.0)


def metadynamics(system: Any, seed: int) -> np.ndarray:
    """A rough free energy on the (phi, psi) grid (GRID, GRID) from 0 to 2 pi, in kT."""
    kt = thermal_energy(system.temperature_k)
    molecule = openmm.XmlSerializer.deserialize(repartitioned(system.system_xml, system.topology, 3.0))
    force = openmm.CMAPTorsionForce()
    height = np.zeros((GRID, GRID))
    force.addMap(GRID, height.ravel().tolist())
    force.addTorsion(0, *PHI, *PSI)
    molecule.addForce(force)
    integrator = openmm.LangevinMiddleIntegrator(system.temperature_k, 1.0, 0.002)
    integrator.setRandomNumberSeed(child_seed(seed, "metadynamics", bits=31))
    context = openmm.Context(molecule, integrator, openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(system.positions)
    context.setVelocitiesToTemperature(system.temperature_k, child_seed(seed, "velocities", bits=31))
    angles = np.arange(GRID) * 2 * np.pi / GRID
    for _ in range(HILLS):
        integrator.step(HILL_STEPS)
        frame = context.getState(positions=True).getPositions(asNumpy=True)._value[None]
        phi, psi = torsion_angles(frame, PHI)[0], torsion_angles(frame, PSI)[0]
        here = height[tuple(round((t % (2 * np.pi)) / (2 * np.pi) * GRID) % GRID for t in (phi, psi))]
        distance2 = wrapped(angles - phi)[:, None] ** 2 + wrapped(angles - psi)[None] ** 2
        tempered = HILL_KT * kt * np.exp(-here / (kt * (BIAS_FACTOR - 1)))
        height += tempered * np.exp(-0.5 * distance2 / HILL_WIDTH**2)
        force.setMapParameters(0, GRID, height.T.ravel().tolist())
        force.updateParametersInContext(context)
    return -height / kt * BIAS_FACTOR / (BIAS_FACTOR - 1)


def wrapped(angle: np.ndarray) -> np.ndarray:
    """The angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def fit_biases(surface: np.ndarray, kt: float) -> tuple[FourierTorsionBias, ...]:
    """One bias for each angle of the ``surface`` (in kT), fitted in turn as the head of this file says."""
    angles = np.arange(GRID) * 2 * np.pi / GRID
    biases = [FourierTorsionBias(PHI, ()), FourierTorsionBias(PSI, ())]
    for axis in (0, 1) * ROUNDS:
        biased = surface + np.expand_dims(biases[1 - axis].energy(angles) / kt, axis)
        profile = -np.log(np.exp(biased.min() - biased).sum(axis=1 - axis))
        target = -np.clip(profile - profile.min() - FLOOR, 0.0, CEILING - FLOOR) * kt
        biases[axis] = fit_fourier_bias(biases[axis].atoms, angles, target, ORDER)
    return tuple(biases)


def make_biases(system: Any, work: Path, seed: int) -> tuple[FourierTorsionBias, ...]:
    """The frozen biases: read from ``work`` if they are there, else made and written."""
    path = work / "bias.json"
    if not path.exists():
        biases = fit_biases(metadynamics(system, seed), thermal_energy(system.temperature_k))
        write_atomically(path, json_bytes([asdict(bias) for bias in biases]))
    return tuple(
        FourierTorsionBias(tuple(bias["atoms"]), tuple((n, phase, height) for n, phase, height in bias["terms"]))
        for bias in json.loads(path.read_text())
    )


def make_run(
    system: Any, biases: tuple[FourierTorsionBias, ...], work: Path, index: int, args: argparse.Namespace
) -> None:
    """One independent run: frames every ps, energies and bias in kT, into ``run<index>.npz``."""
    path = work / f"run{index}.npz"
    if path.exists():
        return
    seed = child_seed(args.seed, "reference-run", index)
    dynamics = open_propagator(system, SETTINGS, platform="Reference", biases=biases)
    hot = Piece(600.0, 10_000, 10_000, 10_000 * index)
    frame = dynamics.run(system.positions[None], hot, child_seed(seed, "start"))[0, -1]
    pieces = []
    for piece_index in range(args.piece_count):
        piece = Piece(system.temperature_k, 500 * 500, 500, 50_000 if piece_index == 0 else 0)
        pieces.append(dynamics.run(frame[None], piece, child_seed(seed, "piece", piece_index))[0])
        frame = pieces[-1][-1]
        print(f"run {index}: {(piece_index + 1) * 0.5:g} ns", flush=True)
    positions = np.concatenate(pieces).astype(np.float32)
    exact = positions.astype(np.float64)
    energy = open_energy(system, platform="Reference").reduced(exact, purpose="data")
    bias_energy = np.sum([bias.energy(torsion_angles(exact, bias.atoms)) for bias in biases], axis=0)
    weight = bias_energy / thermal_energy(system.temperature_k)
    with atomic_path(path) as temporary:
        np.savez(temporary, x=positions, e=energy, w=weight)


def weighted_mean(values: np.ndarray, weights: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Ratio estimate sum(w f) / sum(w) and its standard error by the jackknife over independent ``groups``."""
    names = np.unique(groups)
    numerator = np.array([(weights * values)[groups == g].sum() for g in names])
    denominator = np.array([weights[groups == g].sum() for g in names])
    left_out = (numerator.sum() - numerator) / (denominator.sum() - denominator)
    error = np.sqrt((len(names) - 1) / len(names) * ((left_out - left_out.mean()) ** 2).sum())
    return float(numerator.sum() / denominator.sum()), float(error)


def collect(system: Any, biases: tuple[FourierTorsionBias, ...], work: Path, args: argparse.Namespace) -> None:
    """``reference.h5`` and ``reference.json`` from the runs in ``work``."""
    runs = [dict(np.load(work / f"run{index}.npz", allow_pickle=False)) for index in range(args.runs)]
    lengths = [len(run["w"]) for run in runs]
    x, energy, log_w = (np.concatenate([run[key] for run in runs]) for key in ("x", "e", "w"))
    lineage = np.repeat(np.arange(args.runs), lengths)
    blocks = np.concatenate([i * BLOCKS_PER_RUN + np.arange(n) * BLOCKS_PER_RUN // n for i, n in enumerate(lengths)])
    kept = domain_of(system).contains(x)
    weights = np.where(kept, np.exp(log_w - log_w.max()), 0.0)
    values = evaluate_cvs(system, x.astype(np.float64))
    states, labels = build_states(system), build_states(system).assign(values)
    result: dict[str, Any] = {
        "system": system.name,
        "fingerprint": system.fingerprint,
        "temperature_k": system.temperature_k,
        "command": command(args),
        "runs": args.runs,
        "ps_per_run": lengths,
        "settings": SETTINGS.model_dump(include={"timestep_fs", "friction_per_ps", "hydrogen_mass_da"}),
        "biases": [asdict(bias) for bias in biases],
        "frames": len(x),
        "outside_domain": int((~kept).sum()),
        "kish_share": float(weights.sum() ** 2 / (weights**2).sum() / len(weights)),
        "versions": library_versions(),
    }
    result["crossings"] = [crossings({k: v[lineage == run] for k, v in values.items()}) for run in range(args.runs)]
    result["populations"] = populations(states.names, labels, weights, lineage, blocks)
    if args.earlier:
        sets = [json.loads(path.read_text()) for path in args.earlier]
        earlier = [each.get("combined", each["populations"]) for each in sets]
        result["combined"] = combined([result["populations"], *earlier]) | {"command": command(args)}
    result["energy_kt"] = dict(zip(("mean", "standard_error"), weighted_mean(energy, weights, blocks), strict=True))
    result["surface"] = surface(values, weights)
    every = max(1, -(-len(x) // args.frames))
    chosen = slice(None, None, every)
    write_shard(work / "reference.h5", x[chosen], lineage[chosen], system, system.temperature_k)
    with tables.open_file(str(work / "reference.h5"), mode="a") as handle:
        handle.create_array("/", "log_weight", obj=np.where(kept, log_w, -np.inf)[chosen])
    result["shipped_frames"] = len(x[chosen])
    write_atomically(work / "reference.json", json_bytes(result))
    for name, figures in result["populations"].items():
        print(f"{name:10s} {figures['value']:.5f} ± {figures['standard_error']:.5f}  per run {figures['runs']}")


def command(args: argparse.Namespace) -> str:
    """The command line that makes these files, with every value spelt out that they depend on."""
    numbers = {"runs": args.runs, "piece-count": args.piece_count, "frames": args.frames, "seed": args.seed}
    words = [word for name, value in numbers.items() for word in (f"--{name}", str(value))]
    words += [word for path in args.earlier or () for word in ("--earlier", path.name)]
    return shlex.join(["python", "scripts/make_reference.py", "-o", "WORK", *words, "--ship"])


def check_started(args: argparse.Namespace) -> None:
    """``UsageError`` if the folder was started with a seed or a length that is not the one asked for now."""
    path = args.output / "started.json"
    asked = {"seed": args.seed, "piece_count": args.piece_count}
    if path.exists() and json.loads(path.read_text()) != asked:
        raise UsageError(f"{args.output} holds runs made with {path.read_text()}.", "Give another folder.")
    write_atomically(path, json_bytes(asked))


def crossings(values: dict[str, np.ndarray]) -> dict[str, int]:
    """How often one run went between cores in degrees: over phi = 0 or 180, and between alpha_r and extended.

    A core is left only by entering the other, so that a frame at the boundary is no crossing.
    """
    phi, psi = np.degrees(values["phi"]), np.degrees(values["psi"])
    left = (phi > 30) & (phi < 100)
    helix, strand = (abs(psi + 40) < 30) & (phi < -40), (abs(abs(psi) - 180) < 60) & (phi < -40)
    return {"alpha_l": _changes(left, phi < -40), "alpha_r_extended": _changes(helix, strand)}


def _changes(first: np.ndarray, second: np.ndarray) -> int:
    visited = first[first | second]
    return int((visited[1:] != visited[:-1]).sum())


def populations(
    names: tuple[str, ...], labels: np.ndarray, weights: np.ndarray, lineage: np.ndarray, blocks: np.ndarray
) -> dict[str, Any]:
    """Each state's population; its standard error is the larger of that over blocks and that over runs."""
    result = {}
    for index, name in enumerate(names):
        inside = (labels == index).astype(np.float64)
        value, over_blocks = weighted_mean(inside, weights, blocks)
        over_runs = weighted_mean(inside, weights, lineage)[1]
        each = [float((weights * inside)[lineage == k].sum() / weights[lineage == k].sum()) for k in np.unique(lineage)]
        result[name] = {
            "value": value,
            "standard_error": max(over_blocks, over_runs),
            "over_blocks": over_blocks,
            "over_runs": over_runs,
            "runs": [round(p, 5) for p in each],
        }
    return result


def combined(sets: list[dict[str, Any]]) -> dict[str, Any]:
    """Populations of several sets of runs, weighed by the squares of their block errors.

    Each set has for every state ``value``, ``over_blocks``, ``over_runs`` and ``runs`` (each run's population, or how
    many there were), as :func:`populations` and this function give them. The standard error is the larger of what the
    block errors and what the spreads over runs of the sets make of the sum.
    """
    result = {}
    for name in sets[0]:
        given = [each[name] for each in sets]
        worth = np.array([1.0 / item["over_blocks"] ** 2 for item in given])
        share = worth / worth.sum()
        spreads = np.array([item["over_runs"] for item in given])
        errors = {"over_blocks": float(worth.sum() ** -0.5), "over_runs": float(np.linalg.norm(share * spreads))}
        result[name] = {
            "value": float(share @ [item["value"] for item in given]),
            "standard_error": max(errors.values()),
            **errors,
            "runs": sum(item["runs"] if isinstance(item["runs"], int) else len(item["runs"]) for item in given),
        }
    return result


def surface(values: dict[str, np.ndarray], weights: np.ndarray) -> dict[str, Any]:
    """Free energy in kT on the (phi, psi) grid of bin centres in degrees; null where nothing was seen."""
    edges = np.linspace(-np.pi, np.pi, GRID + 1)
    histogram = np.histogram2d(values["phi"], values["psi"], bins=[edges, edges], weights=weights)[0]
    with np.errstate(divide="ignore"):
        free = -np.log(histogram / histogram.max())
    centres = np.degrees(0.5 * (edges[1:] + edges[:-1])).round(6).tolist()
    return {"phi_deg": centres, "psi_deg": centres, "free_energy_kt": np.round(free, 3).tolist()}


def main() -> None:
    """Read the command line and do what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of intermediate files")
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--piece-count", type=int, default=16, help="pieces of 0.5 ns in each run")
    parser.add_argument("--frames", type=int, default=20_000, help="largest number of frames to ship")
    parser.add_argument("--seed", type=int, default=20261)
    parser.add_argument(
        "--earlier",
        type=Path,
        action="append",
        help="reference.json of other runs (its combined figures, if it has them), to combine populations with",
    )
    parser.add_argument("--ship", action="store_true", help="put the result into the system's folder")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    check_started(args)
    system = load_system(SYSTEM)
    biases = make_biases(system, args.output, args.seed)
    for index in range(args.runs):
        make_run(system, biases, args.output, index, args)
    collect(system, biases, args.output, args)
    if args.ship:
        for name in ("reference.h5", "reference.json"):
            write_atomically(data_root() / "systems" / SYSTEM / name, (args.output / name).read_bytes())


if __name__ == "__main__":
    main()
