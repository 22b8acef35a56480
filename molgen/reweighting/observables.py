"""What is measured, as a number of each row: a collective variable, a coupling, a state, or a column of the user."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.bias.quantities import parse_quantity
from molgen.errors import InputError
from molgen.observables.where import Variable
from molgen.settings import nearest_hint

_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\(([^()]*)\)\s*")
_KARPLUS = 'Write, for example, "karplus(phi, A=7.09, B=-1.42, C=1.55, shift=-60deg)".'


@dataclass(frozen=True)
class RowValues:
    """What observables are computed from: variables by name, each ``(n,)``, states ``(n,)``, columns of the user."""

    variables: Mapping[str, FloatArray]
    label: IntArray
    columns: Mapping[str, FloatArray]


@dataclass(frozen=True)
class Known:
    """Names that an observable may use: collective variables, states in order, columns of the user."""

    variables: Mapping[str, Variable]
    states: Sequence[str]
    columns: Sequence[str]


class Observable(Protocol):
    """One number a row; averages of it are compared with what was measured. ``unit`` is rad, nm or none."""

    @property
    def unit(self) -> str:
        """Unit of the values."""
        ...

    def values(self, rows: RowValues) -> FloatArray:
        """The values ``(n,)``."""
        ...


@dataclass(frozen=True)
class VariableAverage:
    """A collective variable that is not periodic."""

    name: str
    unit: str

    def values(self, rows: RowValues) -> FloatArray:
        """See :class:`Observable`."""
        return rows.variables[self.name]


@dataclass(frozen=True)
class UserColumn:
    """A column of the user's own, such as a chemical shift computed elsewhere."""

    name: str
    unit: str = ""

    def values(self, rows: RowValues) -> FloatArray:
        """See :class:`Observable`."""
        return rows.columns[self.name]


@dataclass(frozen=True)
class Karplus:
    """A scalar coupling ³J = A cos²(φ + δ) + B cos(φ + δ) + C in the unit of A, B and C; δ ↔ ``shift`` in rad.

    M. Karplus, J. Chem. Phys. 30, 11 (1959), doi:10.1063/1.1729860.
    """

    torsion: str
    a: float
    b: float
    c: float
    shift: float
    unit: str = ""

    def values(self, rows: RowValues) -> FloatArray:
        """See :class:`Observable`."""
        cosine = np.cos(rows.variables[self.torsion] + self.shift)
        return np.asarray((self.a * cosine + self.b) * cosine + self.c, dtype=np.float64)


@dataclass(frozen=True)
class Membership:
    """1 in a state and 0 elsewhere: its average is the population."""

    state: int
    unit: str = ""

    def values(self, rows: RowValues) -> FloatArray:
        """See :class:`Observable`."""
        return np.asarray(rows.label == self.state, dtype=np.float64)


def parse_observable(text: str, known: Known, source: str) -> Observable:
    """The observable ``text`` describes; ``InputError`` naming ``source`` for what the system or the user has not."""
    match = _CALL.fullmatch(text)
    if match is None:
        return _named(text.strip(), known, source)
    name, inside = match.group(1), [part.strip() for part in match.group(2).split(",")]
    if name == "karplus":
        return _karplus(inside, known, source)
    if name == "population":
        if len(inside) != 1 or inside[0] not in known.states:
            raise InputError(f"{source}: there is no state {', '.join(inside)!r}.", _nearest(inside[0], known.states))
        return Membership(list(known.states).index(inside[0]))
    raise InputError(f"{source}: there is no function {name!r}.", "Write karplus(...), population(...) or a name.")


def _named(name: str, known: Known, source: str) -> Observable:
    if name in known.columns:
        return UserColumn(name)
    if name not in known.variables:
        everything = [*known.variables, *known.columns]
        hint = f"{_nearest(name, everything)} A column of your own comes with --observables values.csv."
        raise InputError(f"{source}: {name!r} is neither a collective variable nor a column.", hint)
    variable = known.variables[name]
    if variable.periodic:
        raise InputError(
            f"{source}: {name} is an angle on a circle, whose mean is no average.",
            f"Restrain a function of it, such as karplus({name}, A=0, B=1, C=0), its mean cosine.",
        )
    return VariableAverage(name, variable.unit)


def _karplus(parts: Sequence[str], known: Known, source: str) -> Karplus:
    name, *assignments = parts
    if name not in known.variables or not known.variables[name].periodic:
        torsions = [key for key, variable in known.variables.items() if variable.periodic]
        raise InputError(f"{source}: {name!r} is no torsion of the system.", _nearest(name, torsions))
    given: dict[str, float] = {}
    for assignment in assignments:
        key, _, text = (part.strip() for part in assignment.partition("="))
        if key not in ("A", "B", "C", "shift") or key in given or not text:
            raise InputError(f"{source}: {assignment!r} is no parameter of karplus.", _KARPLUS)
        given[key] = parse_quantity(text, "value", "rad" if key == "shift" else "", 300.0, source=f"{source}: {key}")
    missing = [key for key in ("A", "B", "C") if key not in given]
    if missing:
        raise InputError(f"{source}: {missing[0]} is missing.", _KARPLUS)
    return Karplus(name, given["A"], given["B"], given["C"], given.get("shift", 0.0))


def _nearest(name: str, known: Sequence[str]) -> str:
    return nearest_hint(name, known) if known else "The system has none."
