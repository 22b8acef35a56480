"""The language of ``where``: conditions on collective variables, read without evaluating any Python.

    0deg < phi < 137.5deg                          chained comparisons, and / or / not, parentheses
    within(phi, psi; -75deg, 55deg; 30deg)         distance from a point at most a radius, periodic where the CV is
    otherwise                                      whatever no earlier state took

Numbers carry the unit of what they are compared with: deg or rad, nm, or none in reduced units; 0 needs none.
"""

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from molgen.arrays import BoolArray, FloatArray
from molgen.errors import InputError
from molgen.settings import nearest_hint

OTHERWISE = "otherwise"
_UNITS = {"deg": ("rad", math.pi / 180.0), "rad": ("rad", 1.0), "nm": ("nm", 1.0)}
_QUANTITY = re.compile(r"(?<![\w.])((?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(deg|rad|nm)\b")
_WITHIN = re.compile(r"\bwithin\s*\(([^()]*)\)")
_COMPARISONS: dict[type[ast.cmpop], Callable[[FloatArray, FloatArray], BoolArray]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
_EXAMPLE = 'Write, for example, "0deg < phi < 137.5deg" or "within(phi, psi; -75deg, 55deg; 30deg)".'


@dataclass(frozen=True)
class Variable:
    """What a condition must know of a collective variable: ``unit`` (rad, nm or none), and whether it is periodic."""

    unit: str
    periodic: bool


@dataclass(frozen=True)
class _Operand:
    values: FloatArray
    unit: str
    periodic: bool = False
    name: str | None = None


@dataclass(frozen=True)
class Condition:
    """A checked condition; ``source`` says where it was written, for messages."""

    text: str
    variables: Mapping[str, Variable]
    source: str

    def __post_init__(self) -> None:
        # Evaluating over no frames at all meets every name, unit and operator once.
        self.holds({name: np.empty(0) for name in self.variables})

    def holds(self, values: Mapping[str, FloatArray]) -> BoolArray:
        """Whether it holds (n,), given the values (n,) of the collective variables in rad or nm.

        ``InputError`` for an unknown name, a wrong unit or anything outside the grammar.
        """
        n = len(next(iter(values.values()))) if values else 0
        if self.text.strip() == OTHERWISE:
            return np.ones(n, dtype=np.bool_)
        return np.broadcast_to(self._truth(self.tree(), values), (n,)).copy()

    def tree(self) -> ast.expr:
        """The condition's syntax tree."""
        text = _QUANTITY.sub(r"\2(\1)", _WITHIN.sub(_grouped, self.text.strip()))
        try:
            return ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError) as error:
            raise self._error("cannot be read", _EXAMPLE) from error

    def number(self, node: ast.expr) -> float:
        """The value in rad or nm of a ``node`` of :meth:`tree` that is a quantity."""
        return float(self._operand(node, {}).values)

    def _truth(self, node: ast.expr, values: Mapping[str, FloatArray]) -> BoolArray:
        if isinstance(node, ast.BoolOp):
            parts = [self._truth(part, values) for part in node.values]
            combine = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            result: BoolArray = combine.reduce(parts)
            return result
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return np.logical_not(self._truth(node.operand, values))
        if isinstance(node, ast.Compare):
            return self._comparison(node, values)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "within":
            return self._within(node, values)
        if isinstance(node, ast.Name) and node.id == OTHERWISE:
            raise self._error(
                "mixes 'otherwise' with something else", "Let 'otherwise' stand alone, in the last state."
            )
        raise self._error(f"holds {ast.unparse(node)!r}, which is no condition", _EXAMPLE)

    def _comparison(self, node: ast.Compare, values: Mapping[str, FloatArray]) -> BoolArray:
        operands = [self._operand(part, values) for part in (node.left, *node.comparators)]
        named = [operand for operand in operands if operand.name is not None]
        if not named:
            raise self._error("compares numbers only", _EXAMPLE)
        self._check_units(operands, named[0].unit)
        if any(operand.periodic for operand in named):
            self._check_range(operands)
        result: BoolArray = np.ones(1, dtype=np.bool_)
        for operator, left, right in zip(node.ops, operands[:-1], operands[1:], strict=True):
            compare = _COMPARISONS.get(type(operator))
            if compare is None:
                raise self._error("uses a comparison other than <, <=, > and >=", _EXAMPLE)
            result = result & compare(left.values, right.values)
        return result

    def _within(self, node: ast.Call, values: Mapping[str, FloatArray]) -> BoolArray:
        groups = [list(group.elts) for group in node.args if isinstance(group, ast.Tuple)]
        if len(groups) != 3 or node.keywords or len(groups[0]) != len(groups[1]) or len(groups[2]) != 1:
            raise self._error("has a malformed within(...)", "Write within(cv, …; value, …; radius), one value a cv.")
        variables, centre, (radius,) = ([self._operand(part, values) for part in group] for group in groups)
        if (
            not variables
            or any(v.name is None for v in variables)
            or any(c.name is not None for c in [*centre, radius])
        ):
            raise self._error(
                "has a malformed within(...)", "Write names first, then as many numbers, then the radius."
            )
        self._check_units([*variables, *centre, radius], variables[0].unit)
        if float(radius.values) <= 0.0:
            raise self._error("has a radius that is not positive", "Give a radius above zero.")
        square: FloatArray = np.zeros(1)
        for variable, point in zip(variables, centre, strict=True):
            difference = np.asarray(variable.values - point.values, dtype=np.float64)
            if variable.periodic:
                difference = difference - 2.0 * np.pi * np.round(difference / (2.0 * np.pi))
            square = square + difference**2
        return np.asarray(square <= radius.values**2)

    def _operand(self, node: ast.expr, values: Mapping[str, FloatArray]) -> _Operand:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner = self._operand(node.operand, values)
            if inner.name is None:
                return _Operand(-inner.values if isinstance(node.op, ast.USub) else inner.values, inner.unit)
        if isinstance(node, ast.Name):
            return self._named(node.id, values)
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
            return _Operand(np.full((), float(node.value)), "")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _UNITS and node.args:
            unit, factor = _UNITS[node.func.id]
            inner = self._operand(node.args[0], values)
            if inner.name is None:
                return _Operand(inner.values * factor, unit)
        raise self._error(f"holds {ast.unparse(node)!r}, which is neither a cv nor a number", _EXAMPLE)

    def _named(self, name: str, values: Mapping[str, FloatArray]) -> _Operand:
        if name not in self.variables:
            hint = nearest_hint(name, self.variables) if self.variables else "Define it as a [[cv]] first."
            raise self._error(f"names no cv {name!r}", hint)
        if name not in values:
            raise self._error(f"needs the cv {name!r}, whose values are missing", "Evaluate every cv of the system.")
        variable = self.variables[name]
        return _Operand(values[name], variable.unit, variable.periodic, name)

    def _check_units(self, operands: list[_Operand], unit: str) -> None:
        for operand in operands:
            if operand.unit == unit or (operand.name is None and not operand.unit and float(operand.values) == 0.0):
                continue
            hint = {"rad": "Write angles with deg or rad.", "nm": "Write lengths with nm."}.get(
                unit, "Write plain numbers: the cv is in reduced units."
            )
            raise self._error(f"compares {unit or 'reduced units'} with {operand.unit or 'a plain number'}", hint)

    def _check_range(self, operands: list[_Operand]) -> None:
        if any(operand.name is None and abs(float(operand.values)) > np.pi + 1e-9 for operand in operands):
            hint = "Torsions run from -180deg to 180deg: join two ranges with or, or use within(...)."
            raise self._error("has a bound outside the range of a torsion", hint)

    def _error(self, problem: str, hint: str) -> InputError:
        return InputError(f"{self.source}: {self.text!r} {problem}.", hint)


def _grouped(match: re.Match[str]) -> str:
    """``within(a, b; c, d; r)`` with its groups as tuples, which Python's grammar can read."""
    groups = [f"({group.strip().rstrip(',')},)" if group.strip() else "()" for group in match.group(1).split(";")]
    return f"within({', '.join(groups)})"
