"""The tables of several ensembles weighed together."""

from collections.abc import Mapping
from typing import Any

from molgen.reports.tables import Table
from molgen.reports.wording import NOT_GIVEN, count, fixed, percent, plain

_KINDS = {"model": "draws of a model", "equilibrium": "frames of dynamics"}
_AGREEMENT = {True: "✓ yes", False: "✕ no", None: "cannot be said"}


def ensemble_table(result: Mapping[str, Any]) -> Table | None:
    """What each ensemble is, how many rows it has, and what it carries."""
    rows = []
    for item in result.get("ensembles") or ():
        frames = "" if item.get("frames") is None else f"\N{NO-BREAK SPACE}of\N{NO-BREAK SPACE}{count(item['frames'])}"
        rows.append(
            (
                str(item["name"]),
                _KINDS.get(str(item.get("kind")), str(item.get("kind"))),
                str(item.get("bias") or NOT_GIVEN),
                f"{plain(item.get('temperature_k'))}\N{NO-BREAK SPACE}K",
                f"{count(item.get('n'))}{frames}",
                percent(item.get("weight_share")),
                count(item.get("ess")),
            )
        )
    columns = ("Ensemble", "What", "Bias", "At", "Rows", "Share of the weight", "Effective rows")
    note = "Of correlated frames as many are taken as are independent of each other."
    thinned = any(item.get("frames") is not None for item in result.get("ensembles") or ())
    return Table("Ensembles", columns, tuple(rows), note if thinned else "", numeric=False) if rows else None


def contribution_table(result: Mapping[str, Any]) -> Table | None:
    """Of every state, the rows of each ensemble with those expected, and its share of the state's weight."""
    contributions = result.get("contributions") or {}
    names = [str(item["name"]) for item in result.get("ensembles") or ()]
    rows = tuple((state, *(_contribution(item[name]) for name in names)) for state, item in contributions.items())
    note = "Rows there are, rows all ensembles together expect in parentheses, and the share of the state's weight."
    return Table("What each ensemble knows of each state", ("State", *names), rows, note) if rows else None


def bidirectional_table(result: Mapping[str, Any]) -> Table | None:
    """ln Z of every run of dynamics by the draws, by its frames, and by both."""
    rows = tuple(
        (
            str(item["ensemble"]),
            f"{fixed(item['forward']['log_z'], 2)} ± {fixed(item['forward']['error'], 2)}",
            f"{fixed(item['backward']['log_z'], 2)} ± {fixed(item['backward']['error'], 2)}",
            f"{fixed(item['bar'], 3)} ± {fixed(item['bar_error'], 3)}",
            _AGREEMENT[item["agrees"]],
        )
        for item in result.get("bidirectional") or ()
    )
    note = (
        "Frames of a window much narrower than the model's draws cannot give ln Z by themselves: nothing is said then."
    )
    columns = ("Run", "ln Z by the draws", "by the frames", "by both (BAR)", "Agree")
    return Table("Both directions", columns, rows, note, numeric=False) if rows else None


def _contribution(item: Mapping[str, Any]) -> str:
    return f"{count(item['rows'])} ({count(item['expected'])}), {percent(item['weight_share'], 0)}"
