"""Shots by OpenPathSampling's CommittorSimulation, for scripts/benchmark_shots.py; runs in an environment of its own.

    python ops_committor.py FOLDER

FOLDER holds ``system.xml``, ``topology.pdb``, ``points.npz`` (positions in nm) and ``setting.json``. Every line on
standard input, "first count", shoots once from each of the points first ... first + count - 1; the answer is a line of
JSON. Nothing of molgen is imported here.
"""

import json
import sys
import time
from pathlib import Path

import mdtraj as md
import numpy as np
import openmm
import openpathsampling as paths
from openmm import unit
from openpathsampling.engines import openmm as ops_openmm


def distance(snapshot, phi, psi, centre):
    """Distance of (phi, psi) from ``centre`` in rad, periodic."""
    # OpenPathSampling stores the function and accepts no name from outside of it.
    import math

    import numpy as np

    total = 0.0
    for value, point in zip((phi(snapshot), psi(snapshot)), centre, strict=True):
        difference = (float(np.ravel(value)[0]) - point + math.pi) % (2.0 * math.pi) - math.pi
        total += difference * difference
    return math.sqrt(total)


def main() -> None:
    """Answer the lines on standard input."""
    folder = Path(sys.argv[1])
    setting = json.loads((folder / "setting.json").read_text())
    system = openmm.XmlSerializer.deserialize((folder / "system.xml").read_text())
    integrator = openmm.LangevinMiddleIntegrator(
        setting["temperature_k"], setting["friction_per_ps"], setting["timestep_ps"]
    )
    template = ops_openmm.tools.snapshot_from_pdb(str(folder / "topology.pdb"))
    options = {"n_steps_per_frame": setting["check_every"], "n_frames_max": setting["limit"] // setting["check_every"]}
    engine = ops_openmm.Engine(template.topology, system, integrator, options=options)
    engine.initialize(setting["platform"])
    engine.name = "engine"
    phi, psi = (
        paths.MDTrajFunctionCV(name, md.compute_dihedrals, template.topology, indices=[setting[name]])
        for name in ("phi", "psi")
    )
    volumes = []
    for state in setting["states"]:
        r = paths.FunctionCV(f"r {state['name']}", distance, phi=phi, psi=psi, centre=state["centre"])
        volumes.append(paths.CVDefinedVolume(r, 0.0, state["radius"]).named(state["name"]))
    with np.load(folder / "points.npz") as file:
        frames = md.Trajectory(file["positions"], md.load(str(folder / "topology.pdb")).topology)
    snapshots = ops_openmm.tools.trajectory_from_mdtraj(frames)
    beta = 1.0 / (setting["temperature_k"] * unit.kelvin * unit.BOLTZMANN_CONSTANT_kB)
    randomizer = paths.RandomVelocities(beta, engine)
    storage = paths.Storage(str(folder / "ops.nc"), "w", template=template)
    print(json.dumps({"version": paths.version.version, "openmm": openmm.version.version}), flush=True)
    known = 0
    for line in sys.stdin:
        first, count = map(int, line.split())
        chosen = [snapshots[number] for number in range(first, first + count)]
        simulation = paths.CommittorSimulation(
            storage=storage, engine=engine, states=volumes, randomizer=randomizer, initial_snapshots=chosen
        )
        simulation.output_stream = sys.stderr
        begun, processor = time.perf_counter(), time.process_time()
        simulation.run(n_per_snapshot=1)
        storage.sync()
        seconds = {"wall": time.perf_counter() - begun, "processor": time.process_time() - processor}
        steps = list(storage.steps)[known:]
        known += len(steps)
        moved = sum(len(step.active[0].trajectory) - 1 for step in steps)
        print(json.dumps({"shots": count, "steps": moved * setting["check_every"], "seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
