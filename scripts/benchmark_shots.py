#!/usr/bin/env python3
"""What a shot costs beside the dynamics in it: docs/benchmarks/shots.json; and beside other ways to shoot.

    python scripts/benchmark_shots.py --shots 10000
    python scripts/benchmark_shots.py --scaling --shots 10000          # two workers over one: shots-workers.json
    python -m venv ops && ops/bin/pip install "openpathsampling==1.7.*" "numpy<2" six openmm setuptools
    python scripts/benchmark_shots.py --ops-python ops/bin/python # OpenPathSampling beside it: shots-ops.json

Shots of ``alanine-dipeptide-vacuum`` between c7eq and c7ax from hot frames near phi = 0, in batches as ``committor
shoot`` makes them, ledger included; after each batch as many bare steps of the same LangevinMiddle integrator, in the
same process, so that a busy machine slows both alike. The ratio is of the sums.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import mdtraj
import numpy as np
import openmm

from molgen.dynamics.factory import open_propagator
from molgen.dynamics.passage_factory import open_passages
from molgen.dynamics.propagator import Piece
from molgen.dynamics.schedule import SimulationSettings
from molgen.observables.boundary import NEITHER, Boundary
from molgen.observables.table import evaluate_cvs
from molgen.seeds import child_seed
from molgen.shooting.ledger import Ledger
from molgen.shooting.shots import shoot_pairs
from molgen.systems.loading import load_system
from molgen.systems.mdtraj_topology import to_mdtraj
from molgen.systems.system import MolecularSystem
from molgen.trajectories.shards import write_shard
from molgen.workflows.shooting import ShootingSettings, shoot

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "benchmarks"
CLOCKS = ("wall", "processor")
HOT_K, PAIRS, LIMIT = 900.0, 50, 50_000
BESIDE = 10
"""Pairs of shots a round beside OpenPathSampling."""


def points(boundary: Boundary, count: int, seed: int) -> np.ndarray:
    """Frames (count, N, 3) of hot dynamics near the barrier, outside both states."""
    system = boundary.system
    propagator = open_propagator(system, SimulationSettings(timestep_fs=1.0), platform="Reference")
    found: list[np.ndarray] = []
    start = system.positions[None]
    for number in range(100):
        frames = propagator.run(start, Piece(HOT_K, 50_000, 50), child_seed(seed, "hot", number))[0]
        near = np.abs(evaluate_cvs(system, frames)["phi"]) < 0.35
        found += list(frames[near & (boundary.assign(frames) == NEITHER)])
        start = frames[-1:]
        if len(found) >= count:
            return np.stack(found[:count])
    raise SystemExit(f"only {len(found)} frames near the barrier")


def measure(boundary: Boundary, shots: int, seed: int) -> dict[str, Any]:
    """Time shots and bare steps in turn."""
    system = boundary.system
    batches = shots // (2 * PAIRS)
    starts = points(boundary, PAIRS * min(batches, 4), seed)
    dynamics = open_passages(system, boundary, platform="Reference")
    bare_system = openmm.XmlSerializer.deserialize(system.system_xml)
    seconds = {"shots": 0.0, "bare": 0.0}
    steps, outcomes = 0, np.zeros(2, dtype=np.int64)
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder))
        for batch in range(batches):
            first = PAIRS * (batch % (len(starts) // PAIRS))
            positions = starts[first : first + PAIRS]
            begun = time.perf_counter()
            rows = np.arange(PAIRS)
            made = shoot_pairs(dynamics, positions, rows, rows, LIMIT, child_seed(seed, "shots", batch))
            ledger.add(batch, made)
            seconds["shots"] += time.perf_counter() - begun
            steps += made.total_steps
            outcomes += np.array([np.sum(made.outcome == 0), np.sum(made.outcome == 1)])
            # A Context of its own, made and gone outside the clock.
            integrator = openmm.LangevinMiddleIntegrator(system.temperature_k, 1.0, 0.001)
            context = openmm.Context(bare_system, integrator, openmm.Platform.getPlatformByName("Reference"))
            context.setPositions(positions[0])
            context.setVelocitiesToTemperature(system.temperature_k, 1)
            integrator.step(10)
            begun = time.perf_counter()
            integrator.step(made.total_steps)
            context.getState(positions=True)
            seconds["bare"] += time.perf_counter() - begun
    return {
        "shots": batches * 2 * PAIRS,
        "steps_a_shot": steps / (batches * 2 * PAIRS),
        "reached": {"c7eq": int(outcomes[0]), "c7ax": int(outcomes[1])},
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "ratio": round(seconds["shots"] / seconds["bare"], 3),
    }


def scaling(boundary: Boundary, shots: int, seed: int) -> dict[str, Any]:
    """The same shots by one worker and by two, through ``molgen committor shoot``: wanted are two idle processors."""
    system = boundary.system
    # Some of the frames lie in a state: there are a tenth more of them than points.
    starts, count = points(boundary, 4 * PAIRS, seed), 36 * PAIRS // 10
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        frames = Path(folder) / "frames.h5"
        write_shard(frames, starts, np.arange(len(starts)), system, system.temperature_k)
        settings = ShootingSettings(pairs=max(1, shots // (2 * count)), batch=PAIRS, limit_ps=1e-3 * LIMIT)
        for workers in (1, 2):
            begun = time.perf_counter()
            shoot(
                system, [frames], Path(folder) / str(workers), points=count, settings=settings, seed=seed,
                workers=workers, platform="Reference",
            )  # fmt: skip
            seconds[str(workers)] = round(time.perf_counter() - begun, 2)
    made = 2 * settings.pairs * count
    return {"shots": made, "seconds": seconds, "two_over_one": round(seconds["1"] / seconds["2"], 3)}


def beside_ops(boundary: Boundary, python: Path, rounds: int, ops_shots: int, seed: int) -> dict[str, Any]:
    """Shots by OpenPathSampling and by molgen, in turn, from the same points between the same states.

    Both keep what they made: OpenPathSampling its storage, molgen its ledger. ``at_equal_length`` compares steps a
    second, which does not depend on whose shots happened to be longer.
    """
    system = boundary.system
    starts = points(boundary, 3 * BESIDE, seed)
    dynamics = open_passages(system, boundary, platform="Reference")
    sums = {name: {"shots": 0, "steps": 0, "wall": 0.0, "processor": 0.0} for name in ("ops", "molgen")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_setting(folder, system, starts)
        command = [str(python), str(Path(__file__).with_name("ops_committor.py")), str(folder)]
        ledger = Ledger(folder / "ledger")
        # Its own environment: what this process imports from must not reach the other one.
        clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean) as other:
            assert other.stdin is not None
            assert other.stdout is not None
            versions = json.loads(other.stdout.readline())
            for number in range(rounds):
                first = number * ops_shots % (len(starts) - ops_shots + 1)
                other.stdin.write(f"{first} {ops_shots}\n")
                other.stdin.flush()
                answer = json.loads(other.stdout.readline())
                add(sums["ops"], answer["shots"], answer["steps"], answer["seconds"])
                begun, processor = time.perf_counter(), time.process_time()
                rows = np.arange(BESIDE)
                positions = starts[(number % 3) * BESIDE :][:BESIDE]
                made = shoot_pairs(dynamics, positions, rows, rows, LIMIT, child_seed(seed, "beside", number))
                ledger.add(number, made)
                spent = {"wall": time.perf_counter() - begun, "processor": time.process_time() - processor}
                add(sums["molgen"], len(made), made.total_steps, spent)
                print(f"round {number}: {sums}", file=sys.stderr, flush=True)
            other.stdin.close()
    speed = {name: {clock: part["shots"] / part[clock] for clock in CLOCKS} for name, part in sums.items()}
    pace = {name: {clock: part["steps"] / part[clock] for clock in CLOCKS} for name, part in sums.items()}
    return {
        "versions": versions,
        "made": {name: {key: round(value, 2) for key, value in part.items()} for name, part in sums.items()},
        "shots_a_second": speed,
        "times_as_many": {clock: round(speed["molgen"][clock] / speed["ops"][clock], 1) for clock in CLOCKS},
        "at_equal_length": {clock: round(pace["molgen"][clock] / pace["ops"][clock], 1) for clock in CLOCKS},
    }


def add(sums: dict[str, float], shots: int, steps: int, seconds: dict[str, float]) -> None:
    """Add one round to ``sums``."""
    sums["shots"] += shots
    sums["steps"] += steps
    for clock in CLOCKS:
        sums[clock] += seconds[clock]


def write_setting(folder: Path, system: MolecularSystem, positions: np.ndarray) -> None:
    """Everything that OpenPathSampling needs, as files."""
    section, torsions = system.definition.dynamics, {cv.name: cv.torsion for cv in system.definition.cv}
    states = [
        {"name": "c7eq", "centre": np.radians([-75.0, 55.0]).tolist(), "radius": float(np.radians(30.0))},
        {"name": "c7ax", "centre": np.radians([65.0, -45.0]).tolist(), "radius": float(np.radians(20.0))},
    ]
    for state, known in zip(states, system.definition.state, strict=True):
        centre = ", ".join(f"{round(value)}deg" for value in np.degrees(state["centre"]))
        assert known.where == f"within(phi, psi; {centre}; {round(np.degrees(state['radius']))}deg)", known.where
    setting = {
        "temperature_k": system.temperature_k,
        "friction_per_ps": section.friction_per_ps,
        "timestep_ps": 1e-3 * section.timestep_fs,
        "check_every": section.check_every,
        "limit": LIMIT,
        "platform": "Reference",
        "states": states,
        **{name: list(atoms) for name, atoms in torsions.items() if atoms is not None},
    }
    (folder / "setting.json").write_text(json.dumps(setting))
    (folder / "system.xml").write_text(system.system_xml)
    mdtraj.Trajectory(system.positions[None], to_mdtraj(system.topology)).save_pdb(str(folder / "topology.pdb"))
    np.savez(folder / "points.npz", positions=positions.astype(np.float32))


def main() -> None:
    """Measure what was asked for, and write the figures; those of other parts stay."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shots", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scaling", action="store_true", help="two workers over one instead")
    parser.add_argument("--ops-python", type=Path, help="Python with openpathsampling: measured beside it instead")
    parser.add_argument("--rounds", type=int, default=20, help="of OpenPathSampling and molgen in turn")
    parser.add_argument("--ops-shots", type=int, default=5, help="shots by OpenPathSampling a round")
    options = parser.parse_args()
    boundary = Boundary(load_system("alanine-dipeptide-vacuum"), "c7eq", "c7ax")
    command = "python scripts/benchmark_shots.py"
    if options.ops_python is not None:
        found = beside_ops(boundary, options.ops_python, options.rounds, options.ops_shots, options.seed)
        name, rest = "shots-ops.json", f"--ops-python PYTHON --rounds {options.rounds} --ops-shots {options.ops_shots}"
    elif options.scaling:
        found = scaling(boundary, options.shots, options.seed)
        name, rest = "shots-workers.json", f"--scaling --shots {options.shots}"
    else:
        found = measure(boundary, options.shots, options.seed)
        name, rest = "shots.json", f"--shots {options.shots}"
    record = {"command": f"{command} {rest} --seed {options.seed}", **found}
    (FOLDER / name).write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
