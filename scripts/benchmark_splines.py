#!/usr/bin/env python3
"""Time the spline couplings beside zuko's NSF of the same shape; docs/benchmarks.md quotes what this script writes.

    python scripts/benchmark_splines.py -o docs/benchmarks/splines.json

Both have 60 dimensions, 8 coupling layers whose conditioners have two hidden layers of 128, 8 bins, float32, batch
512, and the same optimiser. A training step is -log q of a batch, its gradient and a step of AdamW; a draw is one batch
from noise with log q. zuko's NSF is autoregressive unless it is told otherwise (``passes=2`` makes couplings of it):
that default is timed too. They take turns in one process on one thread, in its processor time: read the ratios.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import torch
import zuko
from benchmark_networks import paired, ratio
from torch import nn

from molgen.models.coupling import Coupling, alternating_halves

DIMENSIONS, LAYERS, HIDDEN, BINS, BATCH = 60, 8, 128, 8, 512


class Couplings(nn.Module):
    """The couplings of :class:`molgen.models.spline_flow.SplineFlow` on residuals alone, without torsions."""

    def __init__(self) -> None:
        super().__init__()
        halves = alternating_halves(DIMENSIONS, LAYERS, torch.Generator().manual_seed(0))
        self.layers = nn.ModuleList(Coupling(active, passive, 0, HIDDEN, BINS, 5.0) for active, passive in halves)

    def log_prob(self, r: torch.Tensor) -> torch.Tensor:
        """Log-density (n,) of rows (n, d)."""
        nothing, total = r[:, :0], r.new_zeros(len(r))
        for layer in self.layers:
            r, log_derivative = layer(r, nothing)
            total = total + log_derivative
        return total + _log_normal(r)

    @torch.no_grad()
    def draw(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """``n`` rows with their log-densities."""
        r = torch.randn(n, DIMENSIONS)
        nothing, total = r[:, :0], _log_normal(r)
        for layer in reversed(list(self.layers)):
            assert isinstance(layer, Coupling)
            r, log_derivative = layer.inverse(r, nothing)
            total = total - log_derivative
        return r, total


class Zuko(nn.Module):
    """zuko's neural spline flow; ``passes`` is 2 for couplings and None for an autoregressive one."""

    def __init__(self, passes: int | None) -> None:
        super().__init__()
        self.flow = zuko.flows.NSF(
            DIMENSIONS, transforms=LAYERS, bins=BINS, hidden_features=(HIDDEN, HIDDEN), passes=passes
        )

    def log_prob(self, r: torch.Tensor) -> torch.Tensor:
        """Log-density (n,) of rows (n, d)."""
        value: torch.Tensor = self.flow().log_prob(r)
        return value

    @torch.no_grad()
    def draw(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """``n`` rows with their log-densities."""
        rows, log_q = self.flow().rsample_and_log_prob((n,))
        return rows, log_q


def _log_normal(r: torch.Tensor) -> torch.Tensor:
    return -0.5 * r.square().sum(1) - 0.5 * r.shape[1] * math.log(2.0 * math.pi)


def shaken(model: nn.Module) -> Any:
    """``model`` with parameters moved at random: couplings start as the identity, which must not be the easy case."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return model


def agree(model: Any) -> float:
    """Largest difference between the log q of draws and that of the same rows given back."""
    rows, log_q = model.draw(BATCH)
    with torch.no_grad():
        return float((model.log_prob(rows) - log_q).abs().max())


def training_step(model: Any) -> Any:
    """A function that takes one step."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    rows = torch.randn(BATCH, DIMENSIONS, generator=torch.Generator().manual_seed(2))

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        (-model.log_prob(rows).mean()).backward()
        optimiser.step()

    return step


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=31)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    models = {
        "molgen": shaken(Couplings()),
        "zuko, couplings": shaken(Zuko(2)),
        "zuko, autoregressive": shaken(Zuko(None)),
    }
    record: dict[str, Any] = {
        "torch": torch.__version__,
        "zuko": str(zuko.__version__),
        "shape": {"dimensions": DIMENSIONS, "couplings": LAYERS, "hidden": HIDDEN, "bins": BINS, "batch": BATCH},
        "parameters": {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()},
        "log_q_of_draws_differs_by": {name: agree(model) for name, model in models.items()},
    }
    for what, tasks in (
        ("draw with log q", {name: lambda model=model: model.draw(BATCH) for name, model in models.items()}),
        ("training step", {name: training_step(model) for name, model in models.items()}),
    ):
        seconds = paired(tasks, budget=600.0, rounds=options.rounds)
        record[what] = {
            name: {"milliseconds": 1e3 * sorted(times)[len(times) // 2], "over_molgen": ratio(times, seconds["molgen"])}
            for name, times in seconds.items()
        }
    options.output.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
