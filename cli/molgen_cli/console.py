"""What all tables on standard output are made of: a console, a table, an entry, a number."""

import math
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

VERDICT_STYLES = {"reliable": "bold green", "caution": "bold yellow", "refused": "bold red"}
LEVEL_STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}
_WIDTH_OF_FILES = 120


def interval(value: float | None, low: float | None, high: float | None, *, digits: int) -> str:
    """``0.021 [0.019, 0.024]``; a number that is not known is shown as ``-``."""
    shown = [number(item, digits) for item in (value, low, high)]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def number(value: float | None, digits: int) -> str:
    """``value`` with ``digits`` decimals, ``-`` where it is not known."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def percent(share: float | None) -> str:
    """A share in per cent."""
    return "-" if share is None or not math.isfinite(share) else f"{100 * share:.1f} %"


def coloured(verdict: str | None) -> str:
    """A verdict in its colour, in Rich's markup."""
    if verdict is None:
        return "-"
    style = VERDICT_STYLES.get(verdict, "")
    return f"[{style}]{verdict}[/]" if style else verdict


def print_entry(console: "Console", key: str, value: Any) -> None:
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


def new_table(title: str, *columns: str) -> "Table":
    """An empty table with a title and its columns."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column)
    return table


def open_console() -> "Console":
    """Standard output; as wide as lines in a file may be where it is no terminal."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=_WIDTH_OF_FILES)
