#!/usr/bin/env python3
"""Molecules of many kinds from ``init`` to ``reweight``, beside long reference dynamics: docs/molecules.md.

    python scripts/molecules.py run -o bench/molecules --minutes 30 --jobs 2       # all of MOLECULES
    python scripts/molecules.py run -o bench/molecules --only gtf --only tetra
    python scripts/molecules.py reference -o bench/molecules --minutes 30 --jobs 2
    python scripts/molecules.py rows -o bench/molecules           # what each stage said: docs/benchmarks/molecules
    python scripts/molecules.py table -o bench/molecules

Each molecule has ``--minutes`` of wall time on one core (``--workers 1``), from ``init`` to ``reweight``: 0.35 of it
for exploring, 0.5 for training, the rest for drawing and weighing. Everything is left at its default; no state,
variable or coordinate is written by hand. The reference is plain dynamics of four chains from the same structure, on
one core for as long again; it is made after the run, and the draws are then weighed a second time beside it. Seeds are
1. A run that failed is a row with its sentence. Finished stages are kept, so that the same command continues.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

MOLECULES: dict[str, tuple[str, list[str]]] = {
    "phe": ("Ace-Phe-Nme, an aromatic side chain", ["--sequence", "F"]),
    "ala-pro": ("Ace-Ala-Pro-Nme, proline, cis or trans", ["--sequence", "AP"]),
    "ibuprofen": ("ibuprofen from SMILES, MMFF94", ["--smiles", "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O"]),
    "lidocaine": ("lidocaine from SMILES, MMFF94", ["--smiles", "CCN(CC)CC(=O)Nc1c(C)cccc1C"]),
    "lactam": ("an 11-membered lactam from SMILES, MMFF94", ["--smiles", "C1CCCCCNC(=O)CCC1"]),
    "tetra": ("Ace-(Ala)3-Nme, bonds to hydrogen fixed", ["--sequence", "AAA", "--constraints", "h-bonds"]),
    "gtf": ("Gly-Thr-Phe, a zwitterion", ["--sequence", "GTF", "--termini", "zwitterion"]),
    "cystine": ("Ace-Cys-Gly-Gly-Cys-Nme with its disulphide", ["--sequence", "CGGC", "--disulphide", "1-4"]),
    "chignolin": ("chignolin, 10 residues, a zwitterion", ["--sequence", "GYDPETGTWG", "--termini", "zwitterion"]),
}
"""What it is, and how ``molgen init`` is asked for it."""

ROWS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "molecules"
DRAWS = 100_000
EXPLORE_SHARE, TRAIN_SHARE = 0.35, 0.5
SEED = ["--seed", "1"]


class Failed(Exception):
    """A command that gave no result: its sentence."""


def molgen(*arguments: str) -> dict[str, Any]:
    """Run ``molgen --json`` on one core; a refused verdict (exit 4) is a result. ``Failed`` with its sentence."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENMM_CPU_THREADS": "1"}
    command = [sys.executable, "-m", "molgen_cli", *arguments, "--json"]
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode not in (0, 4):
        raise Failed(f"{arguments[0]}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'no word'}")
    record: dict[str, Any] = json.loads(done.stdout)
    return record | {"seconds": round(time.monotonic() - start, 1)}


def kept(path: Path, make: Any) -> dict[str, Any]:
    """What ``make`` gave, from ``path`` if an earlier run of this script has it."""
    if not path.is_file():
        record = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def steps_per_second(system: Path) -> tuple[str, float]:
    """The fastest platform for ``system`` and its steps a second, timed as ``simulate`` does."""
    from molgen.energies.platforms import resolve_platform
    from molgen.systems import load_system
    from molgen.systems.system import MolecularSystem

    loaded = load_system(system)
    assert isinstance(loaded, MolecularSystem)
    choice = resolve_platform(loaded, "auto")
    return choice.name, 1e3 / choice.step_ms[choice.name]


def simulate(root: Path, name: str, mode: str, seconds: float) -> dict[str, Any]:
    """Dynamics for as long as fits into ``seconds`` (the time step is 2 fs); a run that was begun goes on as it was."""
    begun = root / name / "manifest.json"
    if begun.is_file():
        config = json.loads(begun.read_text())["config"]
        platform, time_ps = config["platform"], config["time_ps"]
    else:
        platform, rate = steps_per_second(root / "system" / "system.toml")
        time_ps = max(60.0 if mode == "--explore" else 20.0, round(seconds * rate * 2e-3))
    return molgen(
        "simulate", str(root / "system" / "system.toml"), mode, "--time", f"{time_ps:g}ps", "-o", str(root / name),
        *SEED, "--workers", "1", "--platform", platform,
    )  # fmt: skip


def run_molecule(name: str, root: Path, minutes: float) -> dict[str, Any]:
    """All stages of one molecule; the record of each, or the sentence with which one failed."""
    description, source = MOLECULES[name]
    records: dict[str, Any] = {"name": name, "what": description, "init": source, "minutes": minutes}
    system = root / "system" / "system.toml"
    budget = 60.0 * minutes
    stages: dict[str, Any] = {
        "made": lambda: molgen("init", *source, "--name", name, "-o", str(root / "system")),
        "simulate": lambda: simulate(root, "md", "--explore", EXPLORE_SHARE * budget),
        "train": lambda: molgen(
            "train", str(system), str(root / "md"), "-o", str(root / "model"), *SEED, "--workers", "1",
            "--max-time", f"{TRAIN_SHARE * budget:.0f}s",
        ),
        "sample": lambda: molgen("sample", str(root / "model"), "-n", str(DRAWS), "-o", str(root / "ensemble"), *SEED),
        "reweight": lambda: molgen(
            "reweight", str(root / "ensemble"), "-o", str(root / "result"), *SEED, "--workers", "1"
        ),
    }  # fmt: skip
    try:
        for stage, make in stages.items():
            records[stage] = kept(root / f"{stage}.json", make)
            print(f"{name}: {stage} {records[stage]['seconds']:.0f} s", file=sys.stderr, flush=True)
    except Failed as failure:
        records["failed"] = str(failure)
        print(f"{name}: {failure}", file=sys.stderr, flush=True)
    return records


def run_reference(name: str, root: Path, minutes: float) -> dict[str, Any]:
    """Plain dynamics for ``minutes``, and the draws weighed again beside it."""
    records: dict[str, Any] = {}
    stages: dict[str, Any] = {
        "plain": lambda: simulate(root, "plain", "--plain", 60.0 * minutes),
        "compared": lambda: molgen(
            "reweight", str(root / "ensemble"), "-o", str(root / "compared"), *SEED, "--workers", "1",
            "--reference", str(root / "plain"),
        ),
    }  # fmt: skip
    try:
        for stage, make in stages.items():
            records[stage] = kept(root / f"{stage}.json", make)
            print(f"{name}: {stage} {records[stage]['seconds']:.0f} s", file=sys.stderr, flush=True)
    except Failed as failure:
        records["failed"] = str(failure)
        print(f"{name}: {failure}", file=sys.stderr, flush=True)
    return records


def rows(output: Path) -> list[dict[str, Any]]:
    """What the stages of every molecule left on disk."""
    found = []
    for name, (description, source) in MOLECULES.items():
        root = output / name
        row: dict[str, Any] = {"name": name, "what": description, "init": " ".join(source)}
        for stage in ("made", "simulate", "train", "sample", "reweight", "plain", "compared"):
            if (root / f"{stage}.json").is_file():
                row[stage] = json.loads((root / f"{stage}.json").read_text())
        found.append(row)
    return found


def write_rows(found: list[dict[str, Any]]) -> None:
    """One JSON file a molecule that was run: without paths, without the differences that follow from populations."""
    ROWS.mkdir(parents=True, exist_ok=True)
    for row in found:
        if "simulate" in row:
            row = {stage: _brief(record) if isinstance(record, dict) else record for stage, record in row.items()}
            text = json.dumps(row, indent=1).replace(str(row["made"]["directory"]).removesuffix("/system") + "/", "")
            (ROWS / f"{row['name']}.json").write_text(text + "\n")


def _brief(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in ("delta_f", "expectations", "estimates")}


def main() -> None:
    """Parse the command line and run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["run", "reference", "rows", "table"])
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", action="append", choices=list(MOLECULES))
    options = parser.parse_args()
    if options.part == "table":
        print(table(rows(options.output)))
        return
    if options.part == "rows":
        write_rows(rows(options.output))
        return
    make = run_molecule if options.part == "run" else run_reference
    with ThreadPoolExecutor(options.jobs) as pool:
        chosen = options.only or list(MOLECULES)
        list(pool.map(lambda name: make(name, options.output / name, options.minutes), chosen))


def table(found: list[dict[str, Any]]) -> str:
    """The rows as Markdown: one table of all molecules, then the populations of each beside the reference."""
    lines = [
        "| molecule | atoms | explored | raw ESS | k̂ | verdict | outside | what it said |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in found:
        lines.append(_summary(row))
    for row in found:
        if "reweight" in row:
            lines += ["", *_populations(row)]
    return "\n".join(lines)


def _summary(row: dict[str, Any]) -> str:
    result = row.get("compared", row.get("reweight"))
    if result is None:
        return f"| {row['name']}: {row['what']} | {row.get('made', {}).get('n_atoms', '')} | | | | not run | | |"
    explored = f"{row['simulate']['evaluations'] * 2e-6:.1f} ns, {row['simulate']['frames']} frames"
    said = " ".join(result["reasons"][:2]) if result["reasons"] else "nothing"
    shape = "-" if result["pareto_k"] is None else f"{result['pareto_k']:.2f}"
    return (
        f"| {row['name']}: {row['what']} | {row['made']['n_atoms']} | {explored} | {100 * result['ess_raw']:.1f} % | "
        f"{shape} | {result['verdict']} | {result['n_out_of_domain']} | {said} |"
    )


def _populations(row: dict[str, Any]) -> list[str]:
    result = row.get("compared", row["reweight"])
    plain = row.get("plain")
    beside = f"{plain['evaluations'] * 2e-6:.1f} ns of plain dynamics" if plain else "no reference yet"
    lines = [
        f"**{row['name']}** (`molgen init {row['init']}`), beside {beside}:",
        "",
        "| state | where | population | reference | verdict |",
        "| --- | --- | --- | --- | --- |",
    ]
    conditions = row["train"]["state_conditions"]
    for name, entry in result["populations"].items():
        lines.append(
            f"| {name} | {conditions.get(name, '')} | {_interval(entry)} | {_interval(entry['reference'])} | "
            f"{entry['verdict']} |"
        )
    return lines


def _interval(entry: dict[str, Any] | None) -> str:
    if not entry or entry.get("value") is None:
        return "-"
    return f"{entry['value']:.4f} [{entry['low']:.4f}, {entry['high']:.4f}]"


if __name__ == "__main__":
    main()
