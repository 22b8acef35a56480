"""Tables on standard output, drawn with Rich."""

import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_VERDICT_STYLES = {"reliable": "bold green", "caution": "bold yellow", "refused": "bold red"}
_LEVEL_STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}
_WIDTH_OF_FILES = 120


def print_systems(rows: Sequence[Mapping[str, Any]]) -> None:
    """Name, size, temperature and description of the built-in systems."""
    table = _table("Built-in systems", "name", "particles", "T / K", "description")
    for row in rows:
        table.add_row(row["name"], str(row["particles"]), f"{row['temperature_k']:g}", row["description"])
    _console().print(table)


def print_findings(findings: Sequence[Mapping[str, str]]) -> None:
    """Every finding of a diagnosis in one table, what to do below it, and how many problems there are."""
    from rich.text import Text

    console = _console()
    table = _table("Diagnosis", "", "what", "found")
    for finding in findings:
        status = finding["status"]
        table.add_row(Text(status, _LEVEL_STYLES[status]), Text(finding["what"]), Text(finding["found"]))
    console.print(table)
    for finding in findings:
        if finding["remedy"]:
            line = f"{finding['status']}: {finding['what']}: {finding['remedy']}"
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    problems = sum(finding["status"] == "problem" for finding in findings)
    console.print(f"{problems or 'No'} problem{'' if problems == 1 else 's'}.", style="bold", highlight=False)


def print_plan(plan: Mapping[str, Any]) -> None:
    """Steps, energy evaluations, memory and files of a run that was only planned."""
    console = _console()
    console.print("Plan; nothing was computed.", style="bold", highlight=False)
    for key, value in plan.items():
        _print_entry(console, key, value)


def print_figures(command: str, result: Mapping[str, Any], directory: Path) -> None:
    """The plain numbers and words of a result, one a line."""
    console = _console()
    console.print(f"{command} is complete.", style="bold", highlight=False)
    if result.get("rounds"):
        console.print(_rounds(result["rounds"]))
    for key, value in result.items():
        plain = isinstance(value, (str, int, float)) or key == "evaluations"
        if plain or (value and key in ("notes", "annealing")):
            _print_entry(console, key, value)
    if "state_conditions" in result:
        conditions = [f"{name}: {where}" for name, where in result["state_conditions"].items()]
        _print_entry(console, "states", conditions or "none, so that coverage is untested")
    _print_entry(console, "directory", str(directory))


def _rounds(rounds: Sequence[Mapping[str, Any]]) -> "Table":
    """Shots and held-out log loss after each round of `committor run`."""
    title = "Rounds; log loss a held-out shot, gain over some rounds before"
    table = _table(title, "round", "shots to fit to", "steps", "held-out shots", "log loss", "at least", "gain")
    for row in rounds:
        counts = [str(row[key]) for key in ("round", "shots", "evaluations", "held_out_shots")]
        table.add_row(*counts, *(_number(row[key], 4) for key in ("log_loss", "log_loss_floor", "gain")))
    return table


def print_init(result: Mapping[str, Any]) -> None:
    """A new system: atoms, variables, choices, files, next commands."""
    console = _console()
    console.print(f"init made {result['system']}.", style="bold", highlight=False)
    _print_entry(console, "atoms", result["n_atoms"])
    _print_entry(console, "temperature", f"{result['temperature_k']:g} K")
    _print_entry(console, "collective variables", " ".join(result["cvs"]) or "none")
    for key in ("choices", "files"):
        if result[key]:
            _print_entry(console, key, result[key])
    folder = Path(result["directory"])
    system, frames, model = (shlex.quote(str(path)) for path in (result["files"][0], folder / "md", folder / "model"))
    commands = (
        f"molgen simulate {system} --explore --time 20ns -o {frames}",
        f"molgen train {system} {frames} -o {model} --max-time 30m",
    )
    _print_entry(console, "next", commands)


def print_reweighting(result: Mapping[str, Any]) -> None:
    """Populations, free-energy differences, weights, verdict and reasons, path of the report."""
    console = _console()
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
    console.print(f"Verdict: {verdict}", style=_VERDICT_STYLES.get(verdict, "bold"), highlight=False)
    for reason in result.get("reasons", ()):
        console.print(f"  - {reason}", highlight=False, markup=False)
    for key in ("evaluations", "seed", "platform", "report"):
        if result.get(key) is not None:
            _print_entry(console, key, result[key])


def _shifts(target: Mapping[str, Any]) -> "Table":
    """ΔΔF of states and pairs of them between the draws' force field and the target's."""
    table = _table(
        f"{target['system']} against {target['drawn_system']}, 95 % intervals", "state", "ΔΔF / kT", "verdict"
    )
    for name, item in {**target["states"], **target["pairs"]}.items():
        table.add_row(name, interval(item["value"], item["low"], item["high"], digits=2), item["verdict"])
    return table


def _print_restraints(console: "Console", record: Mapping[str, Any]) -> None:
    """Averages and populations before and after, the figures of the fit, and what the data say of two force fields."""
    table = _table("Agreement with experiment, 95 % intervals", "observable", "measured", "before", "after")
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
            _print_entry(console, key, f"{value:.4g}" if isinstance(value, float) else value)
    likelihood = record.get("likelihood")
    if likelihood:
        value = f"{likelihood['log_bayes_factor']:.2f} ± {likelihood['error']:.2f}"
        whose = f"ln Bayes factor of {likelihood['system']} over {likelihood['drawn_system']}"
        _print_entry(console, whose, f"{value} (unrestrained)")


def print_evaluation(result: Mapping[str, Any]) -> None:
    """Correlation and slope of the score on the forces, over all components, bonds and elements, by noise."""
    console = _console()
    score = f"{result['score']} score of the {result['model']} model"
    title = f"{result['system']}: {score} on forces, {result['frames']} frames"
    table = _table(title, "noise / nm", "components", "correlation", "slope", "expected", "residual", "force / (kT/nm)")
    for row in result["rows"]:
        table.add_row(
            f"{row['noise']:g}",
            f"{row['name']} ({row['components']})",
            _number(row["correlation"], 4),
            f"{_number(row['slope'], 4)} ± {_number(row['slope_error'], 4)}",
            _number(row["expected"], 4),
            _number(row["residual"], 3),
            _number(row["rms_force"], 1),
        )
    console.print(table)
    for note in result["notes"]:
        console.print(f"  - {note}", highlight=False, markup=False, soft_wrap=True)
    for key in ("left_out", "evaluations", "platform"):
        if result[key]:
            _print_entry(console, key, result[key])


def print_committor(result: Mapping[str, Any]) -> None:
    """The reliability diagram as a table, and the figures beside it."""
    console = _console()
    title = f"{result['system']}: committor from {result['a']} to {result['b']}, {result['shots']} shots it never saw"
    table = _table(title, "predicted", "observed", "95 % interval", "configurations", "shots")
    for row in result["reliability"]:
        low, high = row["interval"]
        table.add_row(
            _number(row["predicted"], 3),
            _number(row["observed"], 3),
            f"{low:.3f} to {high:.3f}",
            str(row["configurations"]),
            str(row["shots"]),
        )
    console.print(table)
    word = "calibrated" if result["calibrated"] else "not calibrated"
    console.print(word, style="bold", highlight=False)
    for reason in result["reasons"]:
        console.print(f"  - {reason}", highlight=False, markup=False, soft_wrap=True)
    _print_entry(console, "log loss", f"{result['log_loss']:.4f} a shot, at least {result['log_loss_floor']:.4f}")
    _print_entry(console, "slope", f"{_number(result['slope'], 3)} ± {_number(result['slope_error'], 3)}")
    _print_entry(console, "intercept", f"{_number(result['intercept'], 3)} ± {_number(result['intercept_error'], 3)}")
    for key in ("ece", "brier", "dispersion"):
        _print_entry(console, key, _number(result[key], 4))
    half = result["histogram"]
    if half is not None and half["mean"] is not None:
        found = f"mean {half['mean']:.3f}, spread {half['deviation']:.3f} (at most {half['upper']:.3f})"
        _print_entry(console, "where q is said to be 1/2", f"{found}, {half['points']} configurations")
    if result.get("mechanism"):
        _print_mechanism(console, result)
    if result.get("report"):
        _print_entry(console, "report", result["report"])


def _print_mechanism(console: "Console", result: Mapping[str, Any]) -> None:
    """What q depends on most, and a formula for it beside the network."""
    learned = result["mechanism"]
    table = _table("What q depends on", "variable", "loss without it, nats a shot", "sensitivity")
    for item in learned["variables"][:6]:
        loss = f"{_number(item['loss'], 4)} ± {_number(item['loss_error'], 4)}"
        table.add_row(item["name"], loss, _number(item["sensitivity"], 2))
    if learned["variables"]:
        console.print(table)
    if learned["atoms"]:
        shares = ", ".join(f"{item['name']} {item['share']:.0%}" for item in learned["atoms"][:6])
        _print_entry(console, "atoms", shares)
    formula = learned["formula"]
    if formula is not None:
        _print_entry(console, "formula", formula["text"])
        losses = (formula["log_loss"], result["log_loss"], result["log_loss_floor"], formula["log_loss_constant"])
        words = "log loss {:.4f} a shot (network {:.4f}, at least {:.4f}, one q for all {:.4f})"
        _print_entry(console, "its worth", words.format(*losses))


def print_rate(result: Mapping[str, Any]) -> None:
    """Both rates by every route, how far apart these are, and the figures of the shots."""
    console = _console()
    a, b, unit = result["a"], result["b"], result["unit"]
    title = f"{result['system']}: rates in {unit}, 95 % intervals"
    table = _table(title, "route", f"k, {a} to {b}", f"k, {b} to {a}")
    for row in result["routes"]:
        ways = [_rate(row[way], upper=row["upper_bound"]) for way in ("k_ab", "k_ba")]
        table.add_row(row["route"], *ways)
    console.print(table)
    for key, name in {"nu": "transitions each way", "mean_q": f"last in {b}"}.items():
        if key in result:
            _print_entry(console, name, _rate(result[key], upper=False))
    for key in ("transition_paths", "pairs", "path_time", "outside_share"):
        if key in result:
            _print_entry(console, key, f"{result[key]:.4g}" if isinstance(result[key], float) else result[key])
    bounds = {row["route"] for row in result["routes"] if row["upper_bound"]}
    compared = [item for item in result["comparisons"] if not bounds & {item["first"], item["second"]}]
    if compared:
        apart = max(compared, key=lambda item: abs(item["log_ratio"]) / item["sigma"])
        number = abs(apart["log_ratio"]) / apart["sigma"]
        text = f"{number:.1f} standard deviations, {apart['first']} and {apart['second']} ({apart['quantity']})"
        _print_entry(console, "furthest apart", text)
    for note in result["notes"]:
        console.print(f"  - {note}", highlight=False, markup=False, soft_wrap=True)


def print_transition_states(result: Mapping[str, Any]) -> None:
    """Frames near q = 1/2, their effective number and verdict, and the mean of every collective variable there."""
    console = _console()
    title = (
        f"{result['system']}: transition states from {result['a']} to {result['b']}, |q - 1/2| < {result['delta']:g}"
    )
    table = _table(title, "variable", "mean", "deviation")
    for name, item in result["variables"].items():
        table.add_row(name, *(_number(item[key], 3) for key in ("mean", "deviation")))
    console.print(table)
    for key in ("frames", "ess", "share", "mean_q", "uncertainty_q"):
        value = result[key]
        _print_entry(console, key, f"{value:.4g}" if isinstance(value, float) else value)
    console.print(result["verdict"], style=_VERDICT_STYLES[result["verdict"]], highlight=False)
    for reason in result["reasons"]:
        console.print(f"  - {reason}", highlight=False, markup=False, soft_wrap=True)
    _print_entry(console, "files", result["files"])
    _print_entry(console, "directory", result["directory"])


def _rate(item: Mapping[str, Any] | None, *, upper: bool) -> str:
    if item is None or item["value"] is None:
        return ""
    value, low, high = ("?" if item[key] is None else f"{item[key]:.3g}" for key in ("value", "low", "high"))
    return f"{'at most ' if upper else ''}{value} ({low} to {high})"


def print_selftest(result: Mapping[str, Any]) -> None:
    """Each check of ``committor selftest``: what was measured, the figure, its bound."""
    from rich.text import Text

    console = _console()
    table = _table("Known answers", "", "check", "figure", "at most", "what")
    for check in result["checks"]:
        level = "ok" if check["passed"] else "problem"
        cells = (check["name"], f"{check['value']:.3g}", f"{check['bound']:.3g}", check["what"])
        table.add_row(Text(level, style=_LEVEL_STYLES[level]), *cells)
    console.print(table)
    for name, value in result["figures"].items():
        _print_entry(console, name, f"{value:.4g}")
    failed = sum(not check["passed"] for check in result["checks"])
    verdict = (
        f"{failed} of {len(result['checks'])} figures are beyond their bounds." if failed else "Everything passed."
    )
    console.print(verdict, style="bold red" if failed else "bold green", highlight=False)


def print_export(result: Mapping[str, Any]) -> None:
    """Frames, duplicates, warnings and files of an export, one a line."""
    console = _console()
    console.print("export is complete.", style="bold", highlight=False)
    for key in ("system", "source", "state", "frames", "distinct", "duplicates", "ess", "verdict", "seed"):
        if result.get(key) is not None:
            value = result[key]
            _print_entry(console, key, f"{value:.0f}" if key == "ess" else value)
    _print_remainder(console, result)


def print_conformers(result: Mapping[str, Any]) -> None:
    """Population, relative free energy, effective samples and condition of every conformer."""
    console = _console()
    title = f"{result['system']} at {result['temperature_k']:g} K: conformers with 95 % intervals"
    table = _table(title, "name", "population", "F / kT", "F / (kJ/mol)", "effective", "state", "where")
    for row in result["conformers"]:
        numbers = [
            interval(row[key]["value"], row[key]["low"], row[key]["high"], digits=digits)
            for key, digits in (("population", 4), ("free_energy_kt", 2), ("free_energy_kj_per_mol", 2))
        ]
        effective = f"{row['ess']:.0f}" + (" (few)" if row["few_samples"] else "")
        table.add_row(row["name"], *numbers, effective, row["state"] or "-", row["where"] or "everything")
    console.print(table)
    _print_entry(console, "found", result["found"])
    _print_entry(console, "population of the others", f"{result['remaining_population']:.4f}")
    if result.get("verdict"):
        _print_entry(console, "verdict", result["verdict"])
    _print_remainder(console, result)


def _print_remainder(console: "Console", result: Mapping[str, Any]) -> None:
    for warning in result["warnings"]:
        console.print(f"  - {warning}", highlight=False, markup=False, soft_wrap=True)
    _print_entry(console, "files", result["files"])


def print_check(result: Mapping[str, Any]) -> None:
    """Every finding with its level, and the remedies of those that are not ok."""
    from rich.text import Text

    table = _table(f"Check of {result['system']}", "", "what", "found")
    for finding in result["findings"]:
        found = Text(finding["sentence"])
        if finding["remedy"]:
            found.append(f"\n→ {finding['remedy']}", style="italic")
        level = finding["level"]
        table.add_row(Text(level, style=_LEVEL_STYLES[level]), Text(finding["name"]), found, end_section=False)
    console = _console()
    console.print(table)
    problems = result["problems"]
    verdict = "No problem was found." if not problems else f"{problems} {'problem' if problems == 1 else 'problems'}."
    console.print(verdict, style="bold red" if problems else "bold green", highlight=False)


def interval(value: float | None, low: float | None, high: float | None, *, digits: int) -> str:
    """``0.021 [0.019, 0.024]``; a number that is not known is shown as ``-``."""
    shown = [_number(item, digits) for item in (value, low, high)]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _populations(result: Mapping[str, Any]) -> "Table":
    title = f"{result['system']} at {result['temperature_k']:g} K: populations with 95 % intervals"
    table = _table(title, "state", "population", "reference", "z", "k\u0302", "verdict")
    for state, entry in result["populations"].items():
        reference = entry.get("reference")
        table.add_row(
            state,
            interval(entry["value"], entry["low"], entry["high"], digits=4),
            "-" if not reference else interval(reference["value"], reference["low"], reference["high"], digits=4),
            _number(entry.get("z"), 1),
            _number(entry.get("pareto_k"), 2),
            _coloured(entry.get("verdict")),
        )
    return table


def _free_energies(delta_f: Mapping[str, Mapping[str, Any]]) -> "Table":
    table = _table("Free-energy differences with 95 % intervals", "from -> to", "ΔF", "unit")
    for pair, entry in delta_f.items():
        table.add_row(pair, interval(entry["value"], entry["low"], entry["high"], digits=2), entry.get("unit", "kT"))
    return table


def _weights(result: Mapping[str, Any]) -> "Table":
    table = _table("Weights", "figure", "value")
    table.add_row("draws", f"{result['n']}" if "n" in result else "-")
    table.add_row("raw effective sample size", _percent(result.get("ess_raw")))
    table.add_row("  winsorised at 1e-4", _percent(result.get("ess_winsorised")))
    table.add_row("  forward (from the reference)", _percent(result.get("ess_forward")))
    threshold = _number(result.get("pareto_k_threshold"), 2)
    table.add_row("Pareto k\u0302", f"{_number(result.get('pareto_k'), 2)} (threshold {threshold})")
    table.add_row("largest weight", _percent(result.get("largest_weight_share")))
    return table


def _ensembles(result: Mapping[str, Any]) -> "Table":
    weakest = _percent(result.get("overlap", {}).get("weakest"))
    table = _table(
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
            _percent(item["weight_share"]),
            f"{item['ess']:.0f}",
        )
    return table


def _percent(share: float | None) -> str:
    return "-" if share is None or not math.isfinite(share) else f"{100 * share:.1f} %"


def _coloured(verdict: str | None) -> str:
    if verdict is None:
        return "-"
    style = _VERDICT_STYLES.get(verdict, "")
    return f"[{style}]{verdict}[/]" if style else verdict


def _print_entry(console: "Console", key: str, value: Any) -> None:
    """``key: value`` on one line that is never wrapped, so that paths can be copied; lists one item a line."""
    name = key.replace("_", " ")
    if isinstance(value, Mapping):
        value = ", ".join(f"{inner} {item}" for inner, item in value.items())
    if isinstance(value, (list, tuple)):
        console.print(f"{name}:", highlight=False, markup=False)
        for item in value:
            console.print(f"  {item}", highlight=False, markup=False, soft_wrap=True)
    else:
        console.print(f"{name}: {value}", highlight=False, markup=False, soft_wrap=True)


def _table(title: str, *columns: str) -> "Table":
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column)
    return table


def _console() -> "Console":
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=_WIDTH_OF_FILES)
