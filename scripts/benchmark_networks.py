#!/usr/bin/env python3
"""Measure the networks of Cartesian models on one core; docs/benchmarks.md quotes what this script writes.

    python scripts/benchmark_networks.py products      # the closed-form product beside e3nn's TensorProduct
    python scripts/benchmark_networks.py cost          # training steps and exact Jacobians beside an EGNN
    python scripts/benchmark_networks.py tensors       # l = 2: the product beside e3nn's, the network with and without
    python scripts/benchmark_networks.py learning --frames MD   # held-out losses with and without tensors

Competitors take turns in one process, and times are of that process's processor, so that a busy machine disturbs all of
them alike: read ratios. JSON, and the plot of ``cost``, are written to ``--output`` (docs/benchmarks/networks).
"""

import argparse
import json
import multiprocessing
import re
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensor_costs
import torch
from egnn import EGNN

from molgen.networks.equivariant import EquivariantNetwork, EquivariantSettings
from molgen.networks.products import ClosedFormProduct, E3nnProduct, Features

Task = Callable[[], object]
SIZES = (4, 13, 22, 33, 55)
JACOBIAN_BATCH = {4: 64, 13: 16, 22: 4, 33: 2, 55: 1}
TRAINING_BATCH = 64


def paired(tasks: dict[str, Task], *, budget: float, rounds: int = 15) -> dict[str, list[float]]:
    """Processor seconds of tasks that take turns: after one unmeasured round, until ``budget`` seconds have passed."""
    for task in tasks.values():
        task()
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    start = time.monotonic()
    while len(seconds[next(iter(tasks))]) < rounds and (
        time.monotonic() - start < budget or not seconds[next(iter(tasks))]
    ):
        for name, task in tasks.items():
            before = time.process_time()
            task()
            seconds[name].append(time.process_time() - before)
    return seconds


def ratio(above: list[float], below: list[float]) -> dict[str, float]:
    """Median and range of the ratios of the rounds."""
    values = [a / b for a, b in zip(above, below, strict=True)]
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values), "rounds": len(values)}


# -- products ---------------------------------------------------------------------------------------------------------


def run_products(output: Path) -> None:
    """22 atoms, batch 64: forward, and forward with backward; equality in both precisions."""
    n, particles, c0, c1 = 64, 22, 32, 16
    record: dict[str, Any] = {"atoms": particles, "batch": n, "scalars": c0, "vectors": c1, "rows": []}
    for dtype in (torch.float64, torch.float32):
        torch.manual_seed(1)
        closed, general = ClosedFormProduct(c0, c1), E3nnProduct(c0, c1).to(dtype)
        shapes = [
            (c0, n, particles),
            (c1, n, 3, particles),
            (n, 3, particles),
            (closed.weights, n, particles, particles),
        ]
        s, v, x, w = (torch.randn(shape, dtype=torch.float64).to(dtype) for shape in shapes)
        x = x - x.mean(-1, keepdim=True)
        distance = torch.linalg.vector_norm(x[..., None] - x[:, :, None], dim=1)
        inverse = torch.where(distance > 0, 1.0 / distance, torch.zeros_like(distance))
        pairs = zip(closed((s, v), x, inverse, w), general((s, v), x, inverse, w), strict=True)
        error = max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)
        record[f"relative_error_{str(dtype).removeprefix('torch.')}"] = error
    plain, reduced = w[: closed.plain] * (inverse > 0), w[closed.plain :] * inverse
    rows = tuple(row.clone() for row in general.rows((s, v), x, w))
    competitors: dict[str, tuple[Callable[[], Features], Callable[[], Features]]] = {
        "from the same tensors": (
            lambda: closed((s, v), x, inverse, w),
            lambda: general((s, v), x, inverse, w),
        ),
        "from what each wants prepared": (
            lambda: closed.sums((s, v), x, plain, reduced),
            lambda: general.gathered(rows, particles),
        ),
    }
    for backward in (False, True):
        inputs = [tensor.requires_grad_(backward) for tensor in (s, v, w, plain, reduced, *rows)]
        for name, products in competitors.items():
            tasks = {k: product_pass(p, backward, inputs) for k, p in zip(("closed", "e3nn"), products, strict=True)}
            seconds = paired(tasks, budget=15.0)
            compared = ratio(seconds["e3nn"], seconds["closed"])
            row = {"inputs": name, "pass": "forward + backward" if backward else "forward", "ratio": compared}
            row |= {f"{k}_ms": 1e3 * statistics.median(values) for k, values in seconds.items()}
            record["rows"].append(row)
            print(
                f"{row['pass']}, {name}: {spread(compared)} times, {row['closed_ms']:.1f} and {row['e3nn_ms']:.0f} ms"
            )
    write(output / "products.json", record)


def product_pass(product: Callable[[], Features], backward: bool, inputs: list[torch.Tensor]) -> Task:
    """One product, with the gradients of all inputs if ``backward``."""

    def task() -> None:
        scalars, vectors = product()
        if backward:
            (scalars.square().sum() + vectors.square().sum()).backward()
            for tensor in inputs:
                tensor.grad = None

    return task


# -- cost -------------------------------------------------------------------------------------------------------------


def networks(particles: int) -> dict[str, torch.nn.Module]:
    """This package's network with its defaults and an EGNN of as many layers and equal width."""
    torch.manual_seed(1)
    settings = EquivariantSettings()
    alike = ((0,) * particles,) * particles
    ours = EquivariantNetwork((0,) * particles, alike, settings)
    torch.nn.init.normal_(ours.readout.weight)
    return {"molgen": ours, "EGNN": EGNN(settings.layers, settings.scalars)}


def configurations(n: int, particles: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions and times."""
    generator = torch.Generator().manual_seed(2)
    return torch.randn(n, particles, 3, generator=generator), torch.rand(n, generator=generator)


def training_step(network: torch.nn.Module, particles: int) -> Task:
    """Squared error of a batch and its gradient."""
    x, t = configurations(TRAINING_BATCH, particles)

    def task() -> None:
        network.zero_grad()
        (network(x, t) - x).square().sum((1, 2)).mean().backward()

    return task


def structured(network: torch.nn.Module, particles: int) -> Task:
    """The network's own exact Jacobian."""
    x, t = configurations(JACOBIAN_BATCH[particles], particles)
    return lambda: network.with_jacobian(x, t)  # type: ignore[operator]


def forward_mode(network: torch.nn.Module, particles: int) -> Task:
    """The exact Jacobian by torch's forward mode, all directions in one batch."""
    x, t = configurations(JACOBIAN_BATCH[particles], particles)
    basis = torch.eye(3 * particles).reshape(-1, 1, particles, 3)

    def task() -> object:
        def along(tangent: torch.Tensor) -> Any:
            return torch.func.jvp(lambda y: network(y, t), (x,), (tangent.expand_as(x),))

        with torch.no_grad():
            return torch.func.vmap(along)(basis)

    return task


def tasks_of(particles: int) -> dict[str, dict[str, Task]]:
    """What is measured at one size."""
    made = networks(particles)
    ours, egnn = made["molgen"], made["EGNN"]
    return {
        "training": {name: training_step(network, particles) for name, network in made.items()},
        "jacobian": {
            "molgen": structured(ours, particles),
            "EGNN": forward_mode(egnn, particles),
            "molgen by forward mode": forward_mode(ours, particles),
        },
    }


def peak_memory(particles: int, kind: str, name: str) -> float:
    """MB by which the highest resident memory of a process grows that runs the task once."""

    def resident(key: str) -> int:
        found = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text())
        assert found is not None
        return int(found.group(1))

    def child(connection: Any) -> None:
        task = tasks_of(particles)[kind][name]
        before = resident("VmRSS")
        task()
        connection.send((resident("VmHWM") - before) / 1024.0)

    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=child, args=(there,))
    process.start()
    result = float(here.recv())
    process.join()
    return result


def run_cost(output: Path) -> None:
    """Time and memory of a training step and of a sample with its exact Jacobian, against the number of particles."""
    units = {"training": 1, "jacobian": None}
    # Memory first: a process that has only started has nothing to reuse.
    memory = {
        (particles, kind, name): peak_memory(particles, kind, name)
        for particles in SIZES
        for kind in units
        for name in ("molgen", "EGNN")
    }
    rows = []
    for particles in SIZES:
        for kind, tasks in tasks_of(particles).items():
            seconds = paired(tasks, budget=4.0 if kind == "training" else 8.0)
            samples = 1 if kind == "training" else JACOBIAN_BATCH[particles]
            for name, values in seconds.items():
                row = {
                    "particles": particles,
                    "task": kind,
                    "network": name,
                    "batch": TRAINING_BATCH if kind == "training" else samples,
                }
                row |= {"milliseconds": 1e3 * statistics.median(values) / samples}
                row |= {"peak_mb": memory.get((particles, kind, name)), "over_molgen": ratio(values, seconds["molgen"])}
                rows.append(row)
                print(json.dumps(row), file=sys.stderr, flush=True)
    write(output / "cost.json", {"sizes": SIZES, "rows": rows})
    print(table(rows))
    plot(rows, output / "cost.svg")


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| particles | training step: ms, MB | EGNN: ms, MB | times | sample with Jacobian: ms, MB of the call "
        "| EGNN, forward mode: ms, MB | times | this network, forward mode: times |",
        "| --- " * 8 + "|",
    ]
    found = {(row["particles"], row["task"], row["network"]): row for row in rows}
    for particles in SIZES:
        cells = [str(particles)]
        for kind in ("training", "jacobian"):
            ours, egnn = found[particles, kind, "molgen"], found[particles, kind, "EGNN"]
            cells += [f"{row['milliseconds']:.3g}, {row['peak_mb']:.0f}" for row in (ours, egnn)]
            cells.append(spread(egnn["over_molgen"]))
        cells.append(spread(found[particles, "jacobian", "molgen by forward mode"]["over_molgen"]))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


# -- tensors ----------------------------------------------------------------------------------------------------------


def run_tensors(output: Path) -> None:
    """22 atoms: the product up to l = 2 beside e3nn's, and the network with 8 tensors over that without."""
    products, errors = tensor_costs.products()
    parts = products | {"network": tensor_costs.networks()}
    rows = []
    for part, passes in parts.items():
        for name, tasks in passes.items():
            seconds = paired(tasks, budget=15.0)
            (first, below), (second, above) = seconds.items()
            compared = ratio(above, below)
            row = {"part": part, "pass": name, "compared": f"{second} over {first}", "ratio": compared}
            row |= {f"{k}_ms": 1e3 * statistics.median(values) for k, values in seconds.items()}
            rows.append(row)
            print(f"{part}, {name}: {row['compared']} {spread(compared)} times", flush=True)
    record = {"atoms": tensor_costs.ATOMS, "batch": tensor_costs.BATCH, "channels": tensor_costs.CHANNELS}
    write(output / "tensors.json", record | {"relative_error": errors, "rows": rows})


def run_learning(output: Path, frames: Path, seeds: int) -> None:
    """Equal trainings with and without tensors."""
    rows = []
    for seed in range(1, seeds + 1):
        rows += tensor_costs.learning(frames, seed)
        write(output / "tensors_learning.json", {"batch": tensor_costs.BATCH, "rows": rows})


def spread(values: dict[str, float]) -> str:
    """Median and range."""
    return f"{values['median']:.2g} ({values['lowest']:.2g} to {values['highest']:.2g})"


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Times above, memory below; training to the left, Jacobians to the right."""
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams["svg.hashsalt"] = "molgen"
    import matplotlib.pyplot as plt
    import matplotlib.ticker

    figure, axes = plt.subplots(2, 2, figsize=(9, 7), sharex=True, layout="constrained")
    titles = {"training": f"training step, batch {TRAINING_BATCH}", "jacobian": "one sample with its exact Jacobian"}
    for column, (kind, title) in enumerate(titles.items()):
        for name in dict.fromkeys(row["network"] for row in rows if row["task"] == kind):
            chosen = [row for row in rows if row["task"] == kind and row["network"] == name]
            sizes = [row["particles"] for row in chosen]
            axes[0, column].plot(sizes, [row["milliseconds"] for row in chosen], "o-", label=name)
            if chosen[0]["peak_mb"] is not None:
                axes[1, column].plot(sizes, [row["peak_mb"] for row in chosen], "o-", label=name)
        axes[0, column].set(title=title, xscale="log", yscale="log", ylabel="processor time / ms")
        axes[1, column].set(xlabel="particles", yscale="log", ylabel="peak memory of one call / MB")
        axes[0, column].set_xticks(SIZES, [str(size) for size in SIZES])
        axes[0, column].minorticks_off()
        axes[0, column].legend()
    for axis in axes.flat:
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    figure.savefig(path, metadata={"Date": None})


def write(path: Path, record: dict[str, Any]) -> None:
    """JSON with what it was measured with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {"torch": torch.__version__, "threads": torch.get_num_threads()} | record
    path.write_text(json.dumps(record, indent=1) + "\n")


def main() -> None:
    """Parse, and run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("products", "cost", "tensors", "learning"))
    parser.add_argument("--frames", type=Path, help="simulated frames of alanine dipeptide, for learning")
    parser.add_argument("--seeds", type=int, default=2, help="trainings with and without, for learning")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parents[1] / "docs/benchmarks/networks")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=DeprecationWarning)  # torch.jit, as e3nn and forward mode use it
    if options.part == "learning":
        if options.frames is None:
            parser.error("learning needs --frames")
        run_learning(options.output, options.frames, options.seeds)
        return
    {"products": run_products, "cost": run_cost, "tensors": run_tensors}[options.part](options.output)


if __name__ == "__main__":
    main()
