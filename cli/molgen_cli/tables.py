"""Tables on standard output, drawn with Rich."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from molgen_cli.console import (
    LEVEL_STYLES,
    VERDICT_STYLES,
    coloured,
    interval,
    new_table,
    number,
    open_console,
    percent,
    print_entry,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def print_systems(rows: Sequence[Mapping[str, Any]]) -> None:
    """Name, size, temperature and description of the built-in systems."""
    table = new_table("Built-in systems", "name", "particles", "T / K", "description")
    for row in rows:
        table.add_row(row["name"], str(row["particles"]), f"{row['temperature_k']:g}", row["description"])
    open_console().print(table)


def print_findings(findings: Sequence[Mapping[str, str]]) -> None:
    """Every finding of a diagnosis in one table, what to do below it, and how many problems there are."""
    from rich.text import Text

    console = open_console()
    table = new_table("Diagnosis", "", "what", "found")
    for finding in findings:
        status = finding["status"]
        table.add_row(Text(status, LEVEL_STYLES[status]), Text(finding["what"]), Text(finding["found"]))
    console.print(table)
    for finding in findings:
        if finding["remedy"]:
            line = f"{finding['status']}: {finding['what']}: {finding['remedy']}"
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    problems = sum(finding["status"] == "problem" for finding in findings)
    console.print(f"{problems or 'No'} problem{'' if problems == 1 else 's'}.", style="bold", highlight=False)


def print_plan(plan: Mapping[str, Any]) -> None:
    """Steps, energy evaluations, memory and files of a run that was only planned."""
    console = open_console()
    console.print("Plan; nothing was computed.", style="bold", highlight=False)
    for key, value in plan.items():
        print_entry(console, key, value)


def print_figures(command: str, result: Mapping[str, Any], directory: Path) -> None:
    """The plain numbers and words of a result, one a line."""
    console = open_console()
    console.print(f"{command} is complete.", style="bold", highlight=False)
    if result.get("rounds"):
        console.print(_rounds(result["rounds"]))
    for key, value in result.items():
        plain = (isinstance(value, (str, int, float)) and value != "") or key == "evaluations"
        if plain or (value and key in ("notes", "annealing")):
            print_entry(console, key, value)
    if "state_conditions" in result:
        conditions = [f"{name}: {where}" for name, where in result["state_conditions"].items()]
        print_entry(console, "states", conditions or "none, so that coverage is untested")
    print_entry(console, "directory", str(directory))


def _rounds(rounds: Sequence[Mapping[str, Any]]) -> "Table":
    """Shots and held-out log loss after each round of `committor run`."""
    title = "Rounds; log loss a held-out shot, gain over some rounds before"
    table = new_table(title, "round", "shots to fit to", "steps", "held-out shots", "log loss", "at least", "gain")
    for row in rounds:
        counts = [str(row[key]) for key in ("round", "shots", "evaluations", "held_out_shots")]
        table.add_row(*counts, *(number(row[key], 4) for key in ("log_loss", "log_loss_floor", "gain")))
    return table


def print_init(result: Mapping[str, Any]) -> None:
    """A new system: atoms, variables, choices, files, next commands."""
    console = open_console()
    console.print(f"init made {result['system']}.", style="bold", highlight=False)
    print_entry(console, "atoms", result["n_atoms"])
    print_entry(console, "temperature", f"{result['temperature_k']:g} K")
    print_entry(console, "collective variables", " ".join(result["cvs"]) or "none")
    for key in ("choices", "files"):
        if result[key]:
            print_entry(console, key, result[key])
    folder = Path(result["directory"])
    system, frames, model = (shlex.quote(str(path)) for path in (result["files"][0], folder / "md", folder / "model"))
    commands = (
        f"molgen simulate {system} --explore --time 20ns -o {frames}",
        f"molgen train {system} {frames} -o {model} --max-time 30m",
    )
    print_entry(console, "next", commands)


def print_reweighting(result: Mapping[str, Any]) -> None:
    """Populations, free-energy differences, weights, verdict and reasons, path of the report."""
    console = open_console()
    if result["populations"]:
        console.print(_populations(result))
    if result.get("delta_f"):
        console.print(_free_energies(result["delta_f"]))
    if result.get("ensembles"):
        console.print(_ensembles(result))
    if result.get("target"):
        console.print(_shifts(result["target"]))
    if result.get("restraints"):
        _print_restraints(console, result["restraints"])
    console.print(_weights(result))
    verdict = result["verdict"]
    console.print(f"Verdict: {verdict}", style=VERDICT_STYLES.get(verdict, "bold"), highlight=False)
    for reason in result.get("reasons", ()):
        console.print(f"  - {reason}", highlight=False, markup=False)
    for key in ("evaluations", "seed", "platform", "report"):
        if result.get(key) is not None:
            print_entry(console, key, result[key])


def _shifts(target: Mapping[str, Any]) -> "Table":
    """ΔΔF of states and pairs of them between the draws' force field and the target's."""
    table = new_table(
        f"{target['system']} against {target['drawn_system']}, 95 % intervals", "state", "ΔΔF / kT", "verdict"
    )
    for name, item in {**target["states"], **target["pairs"]}.items():
        table.add_row(name, interval(item["value"], item["low"], item["high"], digits=2), item["verdict"])
    return table


def _print_restraints(console: "Console", record: Mapping[str, Any]) -> None:
    """Averages and populations before and after, the figures of the fit, and what the data say of two force fields."""
    table = new_table("Agreement with experiment, 95 % intervals", "observable", "measured", "before", "after")
    for name, item in record["observables"].items():
        ends = [item[when] or {"value": None, "low": None, "high": None} for when in ("before", "after")]
        computed = [interval(end["value"], end["low"], end["high"], digits=4) for end in ends]
        table.add_row(name, f"{item['mean']:.4g} ± {item['error']:.2g}", *computed)
    for name, item in record.get("populations", {}).items():
        both = [
            interval(*(item[when][key] for key in ("value", "low", "high")), digits=4) for when in ("before", "after")
        ]
        table.add_row(f"population of {name}", "", *both)
    console.print(table)
    for key in ("theta", "theta_rule", "chi2_before", "chi2_after", "relative_entropy", "ess"):
        if key in record:
            value = "inf" if record[key] is None else record[key]
            print_entry(console, key, f"{value:.4g}" if isinstance(value, float) else value)
    likelihood = record.get("likelihood")
    if likelihood:
        value = f"{likelihood['log_bayes_factor']:.2f} ± {likelihood['error']:.2f}"
        whose = f"ln Bayes factor of {likelihood['system']} over {likelihood['drawn_system']}"
        print_entry(console, whose, f"{value} (unrestrained)")


def print_evaluation(result: Mapping[str, Any]) -> None:
    """Correlation and slope of the score on the forces, over all components, bonds and elements, by noise."""
    console = open_console()
    score = f"{result['score']} score of the {result['model']} model"
    title = f"{result['system']}: {score} on forces, {result['frames']} frames"
    table = new_table(
        title, "noise / nm", "components", "correlation", "slope", "expected", "residual", "force / (kT/nm)"
    )
    for row in result["rows"]:
        table.add_row(
            f"{row['noise']:g}",
            f"{row['name']} ({row['components']})",
            number(row["correlation"], 4),
            f"{number(row['slope'], 4)} ± {number(row['slope_error'], 4)}",
            number(row["expected"], 4),
            number(row["residual"], 3),
            number(row["rms_force"], 1),
        )
    console.print(table)
    for note in result["notes"]:
        console.print(f"  - {note}", highlight=False, markup=False, soft_wrap=True)
    for key in ("left_out", "evaluations", "platform"):
        if result[key]:
            print_entry(console, key, result[key])


def print_export(result: Mapping[str, Any]) -> None:
    """Frames, duplicates, warnings and files of an export, one a line."""
    console = open_console()
    console.print("export is complete.", style="bold", highlight=False)
    for key in ("system", "source", "state", "frames", "distinct", "duplicates", "ess", "verdict", "seed"):
        if result.get(key) is not None:
            value = result[key]
            print_entry(console, key, f"{value:.0f}" if key == "ess" else value)
    _print_remainder(console, result)


def print_conformers(result: Mapping[str, Any]) -> None:
    """Population, relative free energy, effective samples and condition of every conformer."""
    console = open_console()
    title = f"{result['system']} at {result['temperature_k']:g} K: conformers with 95 % intervals"
    table = new_table(title, "name", "population", "F / kT", "F / (kJ/mol)", "effective", "state", "where")
    for row in result["conformers"]:
        numbers = [
            interval(row[key]["value"], row[key]["low"], row[key]["high"], digits=digits)
            for key, digits in (("population", 4), ("free_energy_kt", 2), ("free_energy_kj_per_mol", 2))
        ]
        effective = f"{row['ess']:.0f}" + (" (few)" if row["few_samples"] else "")
        table.add_row(row["name"], *numbers, effective, row["state"] or "-", row["where"] or "everything")
    console.print(table)
    print_entry(console, "found", result["found"])
    print_entry(console, "population of the others", f"{result['remaining_population']:.4f}")
    if result.get("verdict"):
        print_entry(console, "verdict", result["verdict"])
    _print_remainder(console, result)


def _print_remainder(console: "Console", result: Mapping[str, Any]) -> None:
    for warning in result["warnings"]:
        console.print(f"  - {warning}", highlight=False, markup=False, soft_wrap=True)
    print_entry(console, "files", result["files"])


def print_check(result: Mapping[str, Any]) -> None:
    """Every finding with its level, and the remedies of those that are not ok."""
    from rich.text import Text

    table = new_table(f"Check of {result['system']}", "", "what", "found")
    for finding in result["findings"]:
        found = Text(finding["sentence"])
        if finding["remedy"]:
            found.append(f"\n→ {finding['remedy']}", style="italic")
        level = finding["level"]
        table.add_row(Text(level, style=LEVEL_STYLES[level]), Text(finding["name"]), found, end_section=False)
    console = open_console()
    console.print(table)
    problems = result["problems"]
    verdict = "No problem was found." if not problems else f"{problems} {'problem' if problems == 1 else 'problems'}."
    console.print(verdict, style="bold red" if problems else "bold green", highlight=False)


def _populations(result: Mapping[str, Any]) -> "Table":
    title = f"{result['system']} at {result['temperature_k']:g} K: populations with 95 % intervals"
    table = new_table(title, "state", "population", "reference", "z", "k\u0302", "verdict")
    for state, entry in result["populations"].items():
        reference = entry.get("reference")
        table.add_row(
            state,
            interval(entry["value"], entry["low"], entry["high"], digits=4),
            "-" if not reference else interval(reference["value"], reference["low"], reference["high"], digits=4),
            number(entry.get("z"), 1),
            number(entry.get("pareto_k"), 2),
            coloured(entry.get("verdict")),
        )
    return table


def _free_energies(delta_f: Mapping[str, Mapping[str, Any]]) -> "Table":
    table = new_table("Free-energy differences with 95 % intervals", "from -> to", "ΔF", "unit")
    for pair, entry in delta_f.items():
        table.add_row(pair, interval(entry["value"], entry["low"], entry["high"], digits=2), entry.get("unit", "kT"))
    return table


def _weights(result: Mapping[str, Any]) -> "Table":
    table = new_table("Weights", "figure", "value")
    table.add_row("draws", f"{result['n']}" if "n" in result else "-")
    table.add_row("raw effective sample size", percent(result.get("ess_raw")))
    table.add_row("  winsorised at 1e-4", percent(result.get("ess_winsorised")))
    table.add_row("  forward (from the reference)", percent(result.get("ess_forward")))
    threshold = number(result.get("pareto_k_threshold"), 2)
    table.add_row("Pareto k\u0302", f"{number(result.get('pareto_k'), 2)} (threshold {threshold})")
    table.add_row("largest weight", percent(result.get("largest_weight_share")))
    return table


def _ensembles(result: Mapping[str, Any]) -> "Table":
    weakest = percent(result.get("overlap", {}).get("weakest"))
    table = new_table(
        f"Ensembles, joined by {result['method']}; weakest overlap {weakest}", "name", "kind", "bias", "rows"
    )
    table.add_column("of the weight")
    table.add_column("effective")
    for item in result["ensembles"]:
        table.add_row(
            item["name"],
            item["kind"],
            item["bias"] or "-",
            f"{item['n']}" + ("" if item.get("frames") is None else f" of {item['frames']}"),
            percent(item["weight_share"]),
            f"{item['ess']:.0f}",
        )
    return table
