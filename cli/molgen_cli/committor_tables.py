"""Tables of committors, rates and transition states on standard output."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from molgen_cli.console import LEVEL_STYLES, VERDICT_STYLES, new_table, number, open_console, print_entry

if TYPE_CHECKING:
    from rich.console import Console


def print_committor(result: Mapping[str, Any]) -> None:
    """The reliability diagram as a table, and the figures beside it."""
    console = open_console()
    title = f"{result['system']}: committor from {result['a']} to {result['b']}, {result['shots']} shots it never saw"
    table = new_table(title, "predicted", "observed", "95 % interval", "configurations", "shots")
    for row in result["reliability"]:
        low, high = row["interval"]
        table.add_row(
            number(row["predicted"], 3),
            number(row["observed"], 3),
            f"{low:.3f} to {high:.3f}",
            str(row["configurations"]),
            str(row["shots"]),
        )
    console.print(table)
    word = "calibrated" if result["calibrated"] else "not calibrated"
    console.print(word, style="bold", highlight=False)
    for reason in result["reasons"]:
        console.print(f"  - {reason}", highlight=False, markup=False, soft_wrap=True)
    print_entry(console, "log loss", f"{result['log_loss']:.4f} a shot, at least {result['log_loss_floor']:.4f}")
    print_entry(console, "slope", f"{number(result['slope'], 3)} ± {number(result['slope_error'], 3)}")
    print_entry(console, "intercept", f"{number(result['intercept'], 3)} ± {number(result['intercept_error'], 3)}")
    for key in ("ece", "brier", "dispersion"):
        print_entry(console, key, number(result[key], 4))
    half = result["histogram"]
    if half is not None and half["mean"] is not None:
        found = f"mean {half['mean']:.3f}, spread {half['deviation']:.3f} (at most {half['upper']:.3f})"
        print_entry(console, "where q is said to be 1/2", f"{found}, {half['points']} configurations")
    if result.get("mechanism"):
        _print_mechanism(console, result)
    if result.get("report"):
        print_entry(console, "report", result["report"])


def _print_mechanism(console: "Console", result: Mapping[str, Any]) -> None:
    """What q depends on most, and a formula for it beside the network."""
    learned = result["mechanism"]
    table = new_table("What q depends on", "variable", "loss without it, nats a shot", "sensitivity")
    for item in learned["variables"][:6]:
        loss = f"{number(item['loss'], 4)} ± {number(item['loss_error'], 4)}"
        table.add_row(item["name"], loss, number(item["sensitivity"], 2))
    if learned["variables"]:
        console.print(table)
    if learned["atoms"]:
        shares = ", ".join(f"{item['name']} {item['share']:.0%}" for item in learned["atoms"][:6])
        print_entry(console, "atoms", shares)
    formula = learned["formula"]
    if formula is not None:
        print_entry(console, "formula", formula["text"])
        losses = (formula["log_loss"], result["log_loss"], result["log_loss_floor"], formula["log_loss_constant"])
        words = "log loss {:.4f} a shot (network {:.4f}, at least {:.4f}, one q for all {:.4f})"
        print_entry(console, "its worth", words.format(*losses))


def print_rate(result: Mapping[str, Any]) -> None:
    """Both rates by every route, how far apart these are, and the figures of the shots."""
    console = open_console()
    a, b, unit = result["a"], result["b"], result["unit"]
    title = f"{result['system']}: rates in {unit}, 95 % intervals"
    table = new_table(title, "route", f"k, {a} to {b}", f"k, {b} to {a}")
    for row in result["routes"]:
        ways = [_rate(row[way], upper=row["upper_bound"]) for way in ("k_ab", "k_ba")]
        table.add_row(row["route"], *ways)
    console.print(table)
    for key, name in {"nu": "transitions each way", "mean_q": f"last in {b}"}.items():
        if key in result:
            print_entry(console, name, _rate(result[key], upper=False))
    for key in ("transition_paths", "pairs", "path_time", "outside_share"):
        if key in result:
            print_entry(console, key, f"{result[key]:.4g}" if isinstance(result[key], float) else result[key])
    bounds = {row["route"] for row in result["routes"] if row["upper_bound"]}
    compared = [item for item in result["comparisons"] if not bounds & {item["first"], item["second"]}]
    if compared:
        apart = max(compared, key=lambda item: abs(item["log_ratio"]) / item["sigma"])
        sigmas = abs(apart["log_ratio"]) / apart["sigma"]
        text = f"{sigmas:.1f} standard deviations, {apart['first']} and {apart['second']} ({apart['quantity']})"
        print_entry(console, "furthest apart", text)
    for note in result["notes"]:
        console.print(f"  - {note}", highlight=False, markup=False, soft_wrap=True)


def print_transition_states(result: Mapping[str, Any]) -> None:
    """Frames near q = 1/2, their effective number and verdict, and the mean of every collective variable there."""
    console = open_console()
    title = (
        f"{result['system']}: transition states from {result['a']} to {result['b']}, |q - 1/2| < {result['delta']:g}"
    )
    table = new_table(title, "variable", "mean", "deviation")
    for name, item in result["variables"].items():
        table.add_row(name, *(number(item[key], 3) for key in ("mean", "deviation")))
    console.print(table)
    for key in ("frames", "ess", "share", "mean_q", "uncertainty_q"):
        value = result[key]
        print_entry(console, key, f"{value:.4g}" if isinstance(value, float) else value)
    console.print(result["verdict"], style=VERDICT_STYLES[result["verdict"]], highlight=False)
    for reason in result["reasons"]:
        console.print(f"  - {reason}", highlight=False, markup=False, soft_wrap=True)
    print_entry(console, "files", result["files"])
    print_entry(console, "directory", result["directory"])


def _rate(item: Mapping[str, Any] | None, *, upper: bool) -> str:
    if item is None or item["value"] is None:
        return ""
    value, low, high = ("?" if item[key] is None else f"{item[key]:.3g}" for key in ("value", "low", "high"))
    return f"{'at most ' if upper else ''}{value} ({low} to {high})"


def print_selftest(result: Mapping[str, Any]) -> None:
    """Each check of ``committor selftest``: what was measured, the figure, its bound."""
    from rich.text import Text

    console = open_console()
    table = new_table("Known answers", "", "check", "figure", "at most", "what")
    for check in result["checks"]:
        level = "ok" if check["passed"] else "problem"
        cells = (check["name"], f"{check['value']:.3g}", f"{check['bound']:.3g}", check["what"])
        table.add_row(Text(level, style=LEVEL_STYLES[level]), *cells)
    console.print(table)
    for name, value in result["figures"].items():
        print_entry(console, name, f"{value:.4g}")
    failed = sum(not check["passed"] for check in result["checks"])
    verdict = (
        f"{failed} of {len(result['checks'])} figures are beyond their bounds." if failed else "Everything passed."
    )
    console.print(verdict, style="bold red" if failed else "bold green", highlight=False)
