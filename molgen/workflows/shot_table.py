"""Somebody else's shots as a table: a CSV file with a row for each configuration.

Columns: ``S`` and ``K``, S of K shots reached B; the configuration as collective variables by the names that the system
gives them, or as the coordinates x, y, z of a system that is one particle; ``lineage`` if rows belong together (any
text, the same for rows that do). Angles are in rad and lengths in nm, or in the unit that follows the name:
``phi/deg``, ``d/angstrom``. Other columns are refused, so that a misspelt name is no missing variable.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.bias.quantities import UNITS
from molgen.errors import InputError
from molgen.observables.base import CollectiveVariable
from molgen.observables.boundary import Boundary
from molgen.observables.rows import Configurations, VariableRows
from molgen.observables.table import build_cvs
from molgen.settings import nearest_hint
from molgen.systems.system import AnalyticSystem, System

_LABELS = ("S", "K")
_LINEAGE = "lineage"
_AXES = "xyz"


@dataclass(frozen=True, eq=False)
class ShotTable:
    """The ``rows`` of a file with ``reached`` of ``shots`` shots and ``lineage``, (n,) each."""

    rows: Configurations
    reached: FloatArray
    shots: FloatArray
    lineage: IntArray


def read_shot_table(path: Path, boundary: Boundary) -> ShotTable:
    """The table in ``path``; ``InputError`` for a missing or unknown column, a cell that is no number, an angle that
    must be in degrees, or variables that do not tell the states apart."""
    header, cells = _read(path)
    for name in _LABELS:
        if name not in header:
            raise InputError(f"{path} has no column {name!r}.", "Give columns S and K: S of K shots reached B.")
    if repeated := sorted({name for name in header if header.count(name) > 1}):
        raise InputError(f"{path} has the column {repeated[0]!r} twice.", "Give every column once.")
    columns = {name: [row[place] for row in cells] for place, name in enumerate(header)}
    groups = columns.pop(_LINEAGE, [str(number) for number in range(len(cells))])
    reached, shots = (_numbers(path, name, columns.pop(name)) for name in _LABELS)
    rows = _configurations(path, boundary, columns)
    _, lineage = np.unique(np.array(groups), return_inverse=True)
    return ShotTable(rows, reached, shots, lineage.astype(np.int64))


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [[cell.strip() for cell in row] for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a readable CSV file.", "Save it as text with commas, in UTF-8.") from error
    if len(lines) < 2:
        raise InputError(f"{path} has no rows.", "Give a line of names and one line a configuration.")
    header, *cells = lines
    for number, row in enumerate(cells, start=2):
        if len(row) != len(header):
            raise InputError(
                f"Line {number} of {path} has {len(row)} cells, the first line names {len(header)} columns.",
                "Give every row as many cells as there are names.",
            )
    return header, cells


def _numbers(path: Path, name: str, cells: list[str]) -> FloatArray:
    values = np.empty(len(cells))
    for number, cell in enumerate(cells):
        try:
            values[number] = float(cell)
        except ValueError:
            values[number] = math.nan
        if not math.isfinite(values[number]):
            raise InputError(
                f"Row {number + 1} of {path} has {cell!r} in the column {name}, which is no number.", "Leave it out."
            )
    return values


def _configurations(path: Path, boundary: Boundary, columns: dict[str, list[str]]) -> Configurations:
    system = boundary.system
    variables, axes = build_cvs(system), _axes(system)
    known = [*variables, *(axis for axis in axes if axis not in variables)]
    values: dict[str, FloatArray] = {}
    for written, cells in columns.items():
        name, _, unit = (part.strip() for part in written.partition("/"))
        if name not in known:
            hint = nearest_hint(name, known) if known else "Define it as a [[cv]] in the system.toml first."
            raise InputError(f"{path} has a column {written!r}, which is no variable of {system.name}.", hint)
        factor = 1.0 if name not in variables else _factor(path, written, unit, variables[name])
        if name in values:
            raise InputError(f"{path} has the column {name!r} twice.", "Give every column once.")
        values[name] = factor * _numbers(path, written, cells)
        if name in variables:
            _check_range(path, written, unit, variables[name], values[name])
    if axes and all(axis in values for axis in axes) and _are_coordinates(axes, variables):
        return np.stack([values[axis] for axis in axes], axis=1)[:, None, :]
    if missing := [name for name in boundary.needed if name not in values]:
        raise InputError(
            f"{path} has no column {missing[0]!r}, by which {boundary.a} and {boundary.b} are told apart.",
            f"Add it, in the unit of {system.name}'s variable.",
        )
    return VariableRows({name: values[name] for name in variables if name in values})


def _axes(system: System) -> tuple[str, ...]:
    """The names of the coordinates of a system that is one particle."""
    return tuple(_AXES[: system.dim]) if isinstance(system, AnalyticSystem) and system.n_particles == 1 else ()


def _are_coordinates(axes: tuple[str, ...], variables: dict[str, CollectiveVariable]) -> bool:
    """Whether none of the names of ``axes`` means another variable."""
    return all(getattr(variables.get(axis), "index", place) == place for place, axis in enumerate(axes))


def _factor(path: Path, written: str, unit: str, variable: CollectiveVariable) -> float:
    """What turns the numbers of a column into rad, nm or reduced units."""
    units = UNITS[variable.unit]
    if unit and unit not in units:
        listed = ", ".join(f"{variable.name}/{name}" for name in units if name) or variable.name
        raise InputError(f"{path}: the column {written!r} has the unit {unit!r}.", f"Name it {listed}.")
    return units[unit] if unit else 1.0


def _check_range(path: Path, written: str, unit: str, variable: CollectiveVariable, values: FloatArray) -> None:
    """``InputError`` for an angle without a unit that no angle in radians is, and for a negative length."""
    if variable.unit == "rad" and not unit and np.abs(values).max(initial=0.0) > 2.0 * math.pi:
        raise InputError(
            f"{path}: the column {written!r} holds {values[np.argmax(np.abs(values))]:g}, too much for radians.",
            f"Name the column {variable.name}/deg if these are degrees.",
        )
    if variable.unit == "nm" and values.min(initial=0.0) < 0.0:
        raise InputError(f"{path}: the column {written!r} holds a negative length.", "Give lengths in nm.")
