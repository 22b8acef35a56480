"""What another force field changes, as tables and a sentence."""

from collections.abc import Mapping
from typing import Any

from molgen.reports.tables import MARKS, Table
from molgen.reports.wording import NOT_GIVEN, decimals_for, fixed, half_width, interval, percent


def target_lead(result: Mapping[str, Any]) -> str:
    """What was weighed to what, and what must not be read from it; empty without another force field."""
    target = result.get("target")
    if not target:
        return ""
    return (
        f"The draws are of {target['drawn_system']}, for whose force field their raw ESS is "
        f"{percent(target['drawn_ess_raw'])}; all other numbers of this page are those of {target['system']}. The "
        "errors below come from the same draws under both. The absolute ln Z of two force fields holds an arbitrary "
        "zero and favours neither: evidence for one of them comes from measured data only."
    )


def target_tables(result: Mapping[str, Any]) -> tuple[Table, ...]:
    """The populations of each state under both force fields with ΔΔF, and ΔΔF of every pair of states."""
    target = result.get("target")
    if not target or not target["states"]:
        return ()
    rows = []
    for name, item in target["states"].items():
        shares = [with_interval(item[when], 100.0) for when in ("before", "after")]
        rows.append((name, *shares, with_interval(item, 1.0), MARKS[item["verdict"]]))
    columns = ("State", "Draws' own force field / %", "This one / %", "ΔΔF / kT", "Verdict")
    note = "ΔΔF of a state is −ln(p after / p before): how far this force field raises it against all states together."
    tables = [Table("States under both force fields", columns, tuple(rows), note)]
    if target["pairs"]:
        pairs = tuple(
            (name.replace("->", " → "), with_interval(item, 1.0), MARKS[item["verdict"]])
            for name, item in target["pairs"].items()
        )
        tables.append(Table("ΔΔF between states", ("From → to", "ΔΔF / kT", "Verdict"), pairs))
    return tuple(tables)


def with_interval(item: Mapping[str, Any], factor: float) -> str:
    """``value (low to high)``."""
    numbers = {key: None if item[key] is None else item[key] * factor for key in ("value", "low", "high")}
    places = decimals_for(half_width(item, factor))
    bounds = interval(numbers["low"], numbers["high"], places)
    value = fixed(numbers["value"], places)
    return value if bounds == NOT_GIVEN else f"{value} ({bounds})"
