#!/usr/bin/env python3
"""What a shot costs beside the dynamics in it: docs/benchmarks/shots.json.

    python scripts/benchmark_shots.py --shots 10000

Shots of ``alanine-dipeptide-vacuum`` between c7eq and c7ax from hot frames near phi = 0, in batches as ``committor
shoot`` makes them, ledger included; after each batch as many bare steps of the same LangevinMiddle integrator, in the
same process, so that a busy machine slows both alike. The ratio is of the sums.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

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

ROWS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "shots.json"
HOT_K, PAIRS, LIMIT = 900.0, 50, 50_000


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


def main() -> None:
    """Time shots and bare steps in turn, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shots", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    system = load_system("alanine-dipeptide-vacuum")
    boundary = Boundary(system, "c7eq", "c7ax")
    batches = options.shots // (2 * PAIRS)
    starts = points(boundary, PAIRS * min(batches, 4), options.seed)
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
            shots = shoot_pairs(dynamics, positions, rows, rows, LIMIT, child_seed(options.seed, "shots", batch))
            ledger.add(batch, shots)
            seconds["shots"] += time.perf_counter() - begun
            steps += shots.total_steps
            outcomes += np.array([np.sum(shots.outcome == 0), np.sum(shots.outcome == 1)])
            # A Context of its own, made and gone outside the clock.
            integrator = openmm.LangevinMiddleIntegrator(system.temperature_k, 1.0, 0.001)
            context = openmm.Context(bare_system, integrator, openmm.Platform.getPlatformByName("Reference"))
            context.setPositions(positions[0])
            context.setVelocitiesToTemperature(system.temperature_k, 1)
            integrator.step(10)
            begun = time.perf_counter()
            integrator.step(shots.total_steps)
            context.getState(positions=True)
            seconds["bare"] += time.perf_counter() - begun
    shots_made = batches * 2 * PAIRS
    record = {
        "command": f"python scripts/benchmark_shots.py --shots {options.shots} --seed {options.seed}",
        "shots": shots_made,
        "steps_a_shot": steps / shots_made,
        "reached": {"c7eq": int(outcomes[0]), "c7ax": int(outcomes[1])},
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "ratio": round(seconds["shots"] / seconds["bare"], 3),
    }
    ROWS.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main()
