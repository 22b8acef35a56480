"""``benchmark.py free-energy``: ΔF of ``alpha_l`` (φ > 0) of ALA2-B by molgen, metadynamics and umbrella sampling.

    python scripts/benchmark.py free-energy run -o bench/free-energy --method molgen-soft --model MODEL --seeds 10
    python scripts/benchmark.py free-energy run -o bench/free-energy --method metadynamics --seeds 10
    python scripts/benchmark.py free-energy static WORK           # the reference's runs, of make_reference.py -o WORK
    python scripts/benchmark.py free-energy static WORK2 --first 5          # and of another folder, after those five
    python scripts/benchmark.py free-energy table                 # Markdown
    python scripts/benchmark.py free-energy plot                  # error.svg beside the rows
    python scripts/benchmark.py free-energy barrier MODEL -o bench/barrier      # ALA2-V, |φ| < 0.1 rad

ΔF = −ln p/(1 − p) in kT. A row is one seed at one budget: steps of dynamics, or draws of a model with everything
adaptive done anew. Rows are kept in docs/benchmarks/free-energy; the same command goes on with those that are missing.
Evaluations of molgen are those of the result: sampling and reweighting (marginal), data and training besides (all).
"""

import argparse
import json
import math
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import barrier

SYSTEM = "alanine-dipeptide"
STATE = "alpha_l"
BIASES = {"molgen-auto": "auto:phi", "molgen-soft": "harmonic(phi, center=60deg, k=5 kJ/mol/rad^2)"}
BUDGETS = {
    "molgen-auto": (2_000, 5_000, 10_000),
    "molgen-soft": (2_000, 5_000, 10_000),
    "metadynamics": (100_000, 300_000, 1_000_000),
    "metadynamics-frozen": (500_000, 1_000_000, 2_000_000),
    "metadynamics-static": (300_000, 1_000_000, 2_000_000, 4_000_000),
    "umbrella": (500_000, 1_000_000),
}
FORMER = ("metadynamics-often", "umbrella-phi")
"""Rows of settings that were found wanting: a Gaussian every 0.4 ps to the end, 24 windows on φ alone."""
METADYNAMICS = {"c(t)": "delta_f", "final bias": "delta_f_final_bias"}
UMBRELLA = {"reweight": "delta_f", "all frames": "delta_f_all_frames"}
ESTIMATORS = {
    "metadynamics": METADYNAMICS,
    "metadynamics-often": METADYNAMICS,
    "umbrella": UMBRELLA,
    "umbrella-phi": UMBRELLA,
}
"""Where one run gives two figures."""
STATIC_FRAME_STEPS = 500
ROWS = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "free-energy"
ASKED_KT = 0.1
RARE_RAD = math.radians(137.5)
"""``alpha_l`` is 0 < φ < 137.5°."""


def free_energy(population: dict[str, Any]) -> tuple[float | None, float | None]:
    """−ln p/(1 − p) and its standard error, from an interval of 95 % that is symmetric in it."""
    if not 0.0 < population["value"] < 1.0:
        return None, None
    value = -math.log(population["value"] / (1.0 - population["value"]))
    if population["low"] <= 0.0 or population["high"] >= 1.0:
        return value, None
    low, high = (math.log(population[key] / (1.0 - population[key])) for key in ("low", "high"))
    return value, (high - low) / (2.0 * 1.96)


def reference() -> tuple[float, float]:
    """ΔF of all reference runs of the system, and its standard error."""
    from molgen.systems.loading import data_root

    record = json.loads((data_root() / "systems" / SYSTEM / "reference.json").read_text())
    p, error = (record["combined"][STATE][key] for key in ("value", "standard_error"))
    return -math.log(p / (1.0 - p)), error / (p * (1.0 - p))


def rows_molgen(given: argparse.Namespace, seed: int, budgets: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Draws of the trained model under a bias, weighed."""
    from umbrella import REWEIGHT

    from molgen import workflows

    for n in budgets:
        home = given.output / given.method / f"{n}-{seed}"
        workflows.sample(given.model, home / "ensemble", n=n, bias=BIASES[given.method], seed=seed)
        settings = workflows.ReweightSettings().with_overrides(REWEIGHT)
        weighed = workflows.reweight(
            home / "ensemble", home / "result", settings=settings, seed=seed, allow_refused=True
        ).record
        value, error = free_energy(weighed["populations"][STATE])
        spent = weighed["evaluations"]
        yield {
            "budget": n,
            "evaluations": spent["sampling"] + spent["reweighting"],
            "evaluations_all": sum(spent.values()),
            "spent": spent,
            "delta_f": value,
            "delta_f_error": error,
            "verdict": weighed["populations"][STATE]["verdict"],
        }


def rows_metadynamics(_given: argparse.Namespace, seed: int, budgets: Sequence[int]) -> Iterator[dict[str, Any]]:
    """One walk a seed, read at each budget; both estimators."""
    from metadynamics import SETTINGS, metadynamics

    for row in metadynamics(seed, budgets, RARE_RAD):
        spent = {"evaluations": row["evaluations"], "evaluations_all": row["evaluations"]}
        yield {
            "budget": row["budget"],
            **spent,
            "delta_f": row["reweighted"],
            "delta_f_final_bias": row["final bias"],
            "settings": SETTINGS,
        }


def rows_frozen(_given: argparse.Namespace, seed: int, budgets: Sequence[int]) -> Iterator[dict[str, Any]]:
    """One walk a seed, read at each budget."""
    from metadynamics import FROZEN, frozen

    for row in frozen(seed, budgets, RARE_RAD):
        spent = {"evaluations": row["evaluations"], "evaluations_all": row["evaluations"]}
        yield {"budget": row["budget"], **spent, "delta_f": row["frozen"], "settings": FROZEN}


def rows_umbrella(given: argparse.Namespace, seed: int, budgets: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Windows anew for every budget."""
    from umbrella import CENTERS, STIFFNESS, all_frames, reweighted, windows

    from molgen.systems import load_system

    system = load_system(SYSTEM)
    for budget in budgets:
        home = given.output / "umbrella" / f"{budget}-{seed}"
        found = windows(system, home, budget, seed)
        record, reason = reweighted(found, home / "joined", seed)
        state = record["populations"][STATE] if record else {"value": 0.0, "verdict": "refused"}
        value, error = free_energy(state)
        yield {
            "budget": budget,
            "evaluations": found.steps,
            "evaluations_all": found.steps,
            "delta_f": value,
            "delta_f_error": error,
            "delta_f_all_frames": all_frames(found, 0.0, RARE_RAD),
            "verdict": state["verdict"],
            "reason": reason,
            "settings": {"windows": len(CENTERS), "k_kj_per_rad2": list(STIFFNESS)},
        }


def static(given: argparse.Namespace) -> None:
    """The reference's own runs (``WORK`` of make_reference.py) in blocks of each budget: a bias that was fitted to
    metadynamics and frozen. Finding it counts in everything, and blocks of one run stand for seeds.
    """
    import numpy as np
    from make_reference import HILL_STEPS, HILLS, PHI
    from metadynamics import free_energy_of

    from molgen.coordinates.domain import torsion_angles

    target = given.rows / "metadynamics-static.json"
    earlier = json.loads(target.read_text()) if target.exists() else []
    rows: list[dict[str, Any]] = [row for row in earlier if row["seed"] < 100 * (given.first + 1)]
    for number, path in enumerate(sorted(given.work.glob("run*.npz")), start=given.first):
        run = np.load(path, allow_pickle=False)
        phi = torsion_angles(run["x"].astype(float), PHI)
        for budget in BUDGETS["metadynamics-static"]:
            length = budget // STATIC_FRAME_STEPS
            for block in range(len(phi) // length):
                own = slice(block * length, (block + 1) * length)
                rows.append(
                    {
                        "method": "metadynamics-static",
                        "seed": 100 * (number + 1) + block,
                        "budget": budget,
                        "evaluations": budget,
                        "evaluations_all": budget + HILLS * HILL_STEPS,
                        "delta_f": free_energy_of(phi[own], run["w"][own], RARE_RAD),
                    }
                )
    rows.sort(key=lambda row: (row["seed"], row["budget"]))
    target.write_text(json.dumps(rows, indent=1) + "\n")


def run(given: argparse.Namespace) -> None:
    """Seed after seed, so that every budget has its share whenever the runs are stopped."""
    if given.method in BIASES and given.model is None:
        raise SystemExit("molgen needs --model, a run of `molgen train alanine-dipeptide`.")
    dynamics = {"metadynamics": rows_metadynamics, "metadynamics-frozen": rows_frozen, "umbrella": rows_umbrella}
    make = dynamics.get(given.method, rows_molgen)
    budgets = sorted(given.budget or BUDGETS[given.method])
    given.rows.mkdir(parents=True, exist_ok=True)
    path = given.rows / f"{given.method}.json"
    for seed in range(given.first, given.seeds + 1):
        rows = json.loads(path.read_text()) if path.exists() else []
        kept = {(row["seed"], row["budget"]) for row in rows}
        missing = [budget for budget in budgets if (seed, budget) not in kept]
        # A walk cannot begin in its middle: with a budget missing it is walked again, to the same numbers.
        for row in make(given, seed, missing) if missing else ():
            rows.append({"method": given.method, "seed": seed, **row})
            rows.sort(key=lambda entry: (entry["seed"], entry["budget"]))
            path.write_text(json.dumps(rows, indent=1) + "\n")


def curves(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Of each method the points (one a budget), from the rows in ``folder``."""
    known, _ = reference()
    found: dict[str, list[dict[str, Any]]] = {}
    for method in (*BUDGETS, *FORMER):
        path = folder / f"{method}.json"
        rows = json.loads(path.read_text()) if path.exists() else []
        keys = ESTIMATORS.get(method, {"": "delta_f"})
        for name, key in ((f"{method}, {which}" if which else method, key) for which, key in keys.items()):
            budgets = sorted({row["budget"] for row in rows})
            points = [point([row for row in rows if row["budget"] == budget], key, known) for budget in budgets]
            if points:
                found[name] = points
    return found


def point(rows: list[dict[str, Any]], key: str, known: float) -> dict[str, Any]:
    """One budget over its seeds; seeds without a value are counted and left out."""
    values = [row[key] for row in rows if row[key] is not None]
    rmse = math.sqrt(statistics.fmean((value - known) ** 2 for value in values)) if values else math.nan
    evaluations = statistics.median(row["evaluations"] for row in rows)
    spread = statistics.stdev(values) if len(values) > 1 else math.nan
    return {
        "budget": rows[0]["budget"],
        "seeds": len(rows),
        "none": len(rows) - len(values),
        "refused": sum(row.get("verdict") == "refused" for row in rows),
        "evaluations": evaluations,
        "evaluations_all": statistics.median(row["evaluations_all"] for row in rows),
        "mean": statistics.fmean(values) if values else math.nan,
        "spread": spread,
        "rmse": rmse,
        "needed": evaluations * (rmse / ASKED_KT) ** 2,
        "needed_by_spread": evaluations * (spread / ASKED_KT) ** 2,
    }


def table(given: argparse.Namespace) -> None:
    """Markdown: every method and budget."""
    known, error = reference()
    print(f"Reference: {known:.3f} ± {error:.3f} kT. The last two columns: evaluations × (error / {ASKED_KT})².\n")
    print(
        "| method | budget | seeds (without a value, refused) | evaluations, marginal | everything counted | mean ΔF "
        "| spread | RMSE | for 0.1 kT, by RMSE | by spread |\n" + "| --- " * 10 + "|"
    )
    for name, points in curves(given.rows).items():
        for p in points:
            print(
                f"| {name} | {p['budget']:,} | {p['seeds']} ({p['none']}, {p['refused']}) | {p['evaluations']:,.0f} "
                f"| {p['evaluations_all']:,.0f} | {p['mean']:.3f} | {p['spread']:.3f} | {p['rmse']:.3f} "
                f"| {p['needed']:,.0f} | {p['needed_by_spread']:,.0f} |"
            )


def plot(given: argparse.Namespace) -> None:
    """RMSE against evaluations: marginal solid, everything counted dashed, the reference's own error as a band.

    Former settings, and what never gave a value, are left to the table.
    """
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams["svg.hashsalt"] = "molgen"
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(10, 5), layout="constrained")
    shown = {
        name: points
        for name, points in curves(given.rows).items()
        if not name.startswith(FORMER) and not all(math.isnan(p["rmse"]) for p in points)
    }
    for index, (name, points) in enumerate(shown.items()):
        seeds = sorted({p["seeds"] for p in points})
        label = f"{name} ({' to '.join(map(str, dict.fromkeys((seeds[0], seeds[-1]))))} seeds)"
        errors = [p["rmse"] for p in points]
        marginal, everything = ([p[key] for p in points] for key in ("evaluations", "evaluations_all"))
        axis.plot(marginal, errors, "o-", color=f"C{index}", label=label)
        if everything != marginal:
            axis.plot(everything, errors, "s--", color=f"C{index}", label=f"{name}, data and training counted")
    axis.axhspan(0.0, reference()[1], color="0.9", label="the reference's own error")
    axis.axhline(ASKED_KT, color="0.5", linewidth=1)
    axis.set(xscale="log", yscale="log", xlabel="energy evaluations or steps", ylabel="RMSE of ΔF(φ > 0) / kT")
    axis.yaxis.set_major_formatter("{x:g}")
    figure.legend(fontsize=8, loc="outside right upper")
    figure.savefig(given.rows / "error.svg", metadata={"Date": None})


def arguments(parser: argparse.ArgumentParser) -> None:
    """What ``benchmark.py free-energy`` takes."""
    parser.description, parser.formatter_class = __doc__, argparse.RawDescriptionHelpFormatter
    parts = parser.add_subparsers(required=True)
    runs = parts.add_parser("run")
    runs.add_argument("--method", choices=[name for name in BUDGETS if name != "metadynamics-static"], required=True)
    runs.add_argument("--model", type=Path)
    runs.add_argument("-o", "--output", type=Path, required=True)
    runs.add_argument("--seeds", type=int, default=10)
    runs.add_argument("--first", type=int, default=1, help="seed to begin with")
    runs.add_argument("--budget", type=int, action="append")
    runs.set_defaults(run=run)
    statics = parts.add_parser("static")
    statics.add_argument("work", type=Path)
    statics.add_argument("--first", type=int, default=0, help="how many runs were read from other folders before")
    statics.set_defaults(run=static)
    barrier.arguments(parts.add_parser("barrier"))
    tables, plots = parts.add_parser("table"), parts.add_parser("plot")
    tables.set_defaults(run=table)
    plots.set_defaults(run=plot)
    for part in (runs, statics, tables, plots):
        part.add_argument("--rows", type=Path, default=ROWS)
