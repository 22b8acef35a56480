"""Measured averages: read from a table of text, each with its error, for the observables of a system."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from molgen.arrays import BoolArray, FloatArray
from molgen.bias.quantities import parse_quantity
from molgen.errors import InputError
from molgen.reweighting.observables import Known, Observable, RowValues, parse_observable

COLUMNS = ("name", "mean", "error", "column")
_EXAMPLE = 'A table begins with name,mean,error,column and has lines such as 3J,6.1,0.4,"karplus(phi, A=7.1, ...)".'


@dataclass(frozen=True)
class RestraintLine:
    """One line as it was written; ``column`` says what is averaged (the name itself where it was left out)."""

    name: str
    mean: str
    error: str
    column: str


@dataclass(frozen=True)
class Restraint:
    """A measured average: ``mean`` ± ``error`` of ``observable``, in its unit."""

    name: str
    text: str
    observable: Observable
    mean: float
    error: float


def check_lines(rows: Sequence[Mapping[str, str]], source: str) -> tuple[RestraintLine, ...]:
    """Lines of a table with a header; ``InputError`` for missing or unknown columns, doubled names, missing errors."""
    if not rows:
        raise InputError(f"{source} holds no observables.", _EXAMPLE)
    named = {key for row in rows for key in row}
    missing = [name for name in COLUMNS[:3] if name not in named]
    unknown = sorted(str(key) for key in named - set(COLUMNS))
    if missing or unknown:
        problem = f"lacks the column {missing[0]!r}" if missing else f"has the unknown column {unknown[0]!r}"
        raise InputError(f"{source} {problem}.", f"{_EXAMPLE} Text with commas stands in quotation marks.")
    lines = [RestraintLine(*(str(row.get(name) or "").strip() for name in COLUMNS)) for row in rows]
    for number, line in enumerate(lines, start=1):
        if not line.name:
            raise InputError(f"{source}: line {number} has no name.", _EXAMPLE)
        if not line.error:
            hint = "Give its standard error: what it was measured to and what computing it is worth, together."
            raise InputError(f"{source}: {line.name} has no error.", hint)
    if len({line.name for line in lines}) < len(lines):
        raise InputError(f"{source}: an observable is given twice.", "Give every observable its own name.")
    return tuple(lines)


def parse_restraints(lines: Sequence[RestraintLine], known: Known, source: str) -> tuple[Restraint, ...]:
    """The restraints of a system; ``InputError`` for what is not defined for it, and for units and errors."""
    found = []
    for line in lines:
        text, where = line.column or line.name, f"{source}: {line.name}"
        observable = parse_observable(text, known, where)
        mean, error = (
            parse_quantity(value, "value", observable.unit, 300.0, source=f"{where}: {what}")
            if observable.unit
            else _plain(value, f"{where}: {what}")
            for value, what in ((line.mean, "mean"), (line.error, "error"))
        )
        if not error > 0.0:
            raise InputError(f"{where}: the error is not above zero.", "Give its standard error.")
        found.append(Restraint(line.name, text, observable, mean, error))
    return tuple(found)


def _plain(text: str, source: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{source}: {text!r} is no number.", "Write a plain number in the unit of the column.")
    return value


def standardised(restraints: Sequence[Restraint], rows: RowValues, used: BoolArray) -> FloatArray:
    """z ``(n, m)``: (s − d) / σ of every row, 0 in rows that are not ``used``.

    ``InputError`` if a value in a row that is used is not finite.
    """
    columns = []
    for restraint in restraints:
        values = np.where(used, restraint.observable.values(rows), restraint.mean)
        if not np.isfinite(values).all():
            where = int(np.flatnonzero(~np.isfinite(values))[0])
            message = f"{restraint.name} is not finite in row {where}, which has weight."
            raise InputError(message, "Give a value for every draw that is inside the domain.")
        columns.append((values - restraint.mean) / restraint.error)
    return np.stack(columns, axis=1)


def outside_range(restraints: Sequence[Restraint], z: FloatArray, used: BoolArray) -> tuple[str, ...]:
    """A sentence for every mean that lies outside of what the rows with weight have: no weights could give it."""
    found = []
    for restraint, column in zip(restraints, z[used].T, strict=True):
        low, high = (restraint.mean + restraint.error * float(end) for end in (np.min(column), np.max(column)))
        if not low < restraint.mean < high:
            found.append(
                f"{restraint.name} was measured as {restraint.mean:.4g}, outside of the {low:.4g} to {high:.4g} "
                "that the draws have: no weights can agree with it."
            )
    return tuple(found)
