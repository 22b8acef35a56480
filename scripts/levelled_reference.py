#!/usr/bin/env python3
"""Populations of states from dynamics under a levelling bias, beside those of draws: docs/benchmarks/molecules.

    molgen simulate phe/system/system.toml --bias "grid(chi1_1, file=phe/result)" --time 24ns \\
        --set plain_chains=8 --seed 5 -o phe-level            # again with --seed 6 -o phe-level-2
    python scripts/levelled_reference.py phe-level phe-level-2 -o FILE \\
        --train phe/train.json --result phe/result/result.json

For a state that plain dynamics meets too seldom. The bias only decides where the dynamics goes, its weights exp(B) take
it back: nothing of the populations comes from the model. A chain is one independent part; a population is the ratio of
the sums over chains, its error that of a ratio (W. G. Cochran, Sampling Techniques, 1977, chapter 6), its interval
Student's t for so many chains.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import t

from molgen.bias.parsing import parse_bias
from molgen.observables.states import build_states, with_states
from molgen.observables.table import evaluate_cvs
from molgen.systems import load_system
from molgen.systems.definition import StateSection
from molgen.trajectories.shards import read_shard


def ratio(part: np.ndarray, whole: np.ndarray) -> dict[str, Any]:
    """Σ ``part`` / Σ ``whole`` (chains,) with its error and its 95 % interval."""
    n = len(whole)
    value = part.sum() / whole.sum()
    error = np.sqrt(n / (n - 1) * ((part - value * whole) ** 2).sum()) / whole.sum()
    half = float(t.ppf(0.975, n - 1)) * error
    return {
        "value": float(value),
        "error": float(error),
        "interval": [max(0.0, float(value - half)), float(value + half)],
        "chains": [round(float(one), 4) for one in part / whole],
    }


def main() -> None:
    """Read the run, weigh its frames, write the populations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="of one bias; of a run that was stopped what there is")
    parser.add_argument("--train", type=Path, required=True, help="what `molgen train --json` said: the states")
    parser.add_argument("--result", type=Path, required=True, help="result.json of the draws")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    manifests = [json.loads((run / "manifest.json").read_text()) for run in options.runs]
    lines = {manifest["config"]["bias"] for manifest in manifests}
    if len(lines) > 1:
        raise SystemExit("The runs have different biases.")
    conditions = json.loads(options.train.read_text())["state_conditions"]
    system = load_system(str(next(options.train.parent.glob("system/system.toml"))))
    system = with_states(system, tuple(StateSection(name=name, where=where) for name, where in conditions.items()))
    states, bias = build_states(system), parse_bias(lines.pop(), system)
    shards, numbers = [], []
    for index, run in enumerate(options.runs):
        for path in sorted(run.glob("frames-*.h5")):
            shards.append(read_shard(path))
            numbers.append(np.asarray(shards[-1].lineage) + 1000 * index)
    chain = np.concatenate(numbers)
    positions = np.concatenate([np.asarray(shard.positions, dtype=np.float64) for shard in shards])
    pushed = np.concatenate([bias.reduced(torch.from_numpy(rows)).numpy() for rows in np.array_split(positions, 100)])
    weight = np.exp(pushed - pushed.max())
    chains = np.unique(chain, return_inverse=True)[1]
    label = states.assign(evaluate_cvs(system, positions))
    whole = np.bincount(chains, weight)
    draws = json.loads(options.result.read_text())["populations"]
    found = {}
    for index, name in enumerate(conditions):
        if name in draws:
            part = np.bincount(chains, weight * (label == index), minlength=len(whole))
            found[name] = {
                "levelled": ratio(part, whole),
                "draws": [draws[name][key] for key in ("value", "low", "high")],
            }
    record = {
        "commands": [manifest["command"] for manifest in manifests],
        "frames": len(chain),
        "chains": len(whole),
        "kish": float(weight.sum() ** 2 / (weight**2).sum() / len(weight)),
        "states": found,
    }
    options.output.write_text(json.dumps(record, indent=1) + "\n")
    for name, row in found.items():
        print(f"{name} {row['levelled']['value']:.4f} +- {row['levelled']['error']:.4f}, draws {row['draws']}")


if __name__ == "__main__":
    main()
