"""Conditions and collective variables as plain functions of numbers: a state test that costs microseconds a frame.

Shots ask after every few steps of dynamics whether a state is reached. Reading the condition's text, and torch for one
frame of a few atoms, would cost many times the dynamics.
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

from molgen.arrays import FloatArray
from molgen.observables.angle import Angle
from molgen.observables.base import CollectiveVariable
from molgen.observables.distance import Distance
from molgen.observables.position import Position
from molgen.observables.torsion import Torsion
from molgen.observables.where import OTHERWISE, Condition

Values = Mapping[str, Any]
"""Values of collective variables by name: numbers, or arrays (n,)."""
Truth = Callable[[Values], Any]

_OPERATORS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_TURN = 2.0 * math.pi


def compile_condition(condition: Condition) -> Truth:
    """``condition`` as a function: of numbers to a bool, of arrays (n,) to an array (n,).

    Equal to :meth:`molgen.observables.where.Condition.holds` of finite values.
    """
    if condition.text.strip() == OTHERWISE:
        return lambda values: True
    return _truth(condition.tree(), condition)


def _truth(node: ast.expr, condition: Condition) -> Truth:
    if isinstance(node, ast.BoolOp):
        parts = [_truth(part, condition) for part in node.values]
        combine = operator.and_ if isinstance(node.op, ast.And) else operator.or_
        return lambda values: reduce(combine, [part(values) for part in parts])
    if isinstance(node, ast.UnaryOp):
        inner = _truth(node.operand, condition)
        return lambda values: inner(values) ^ True
    if isinstance(node, ast.Compare):
        return _comparison(node, condition)
    assert isinstance(node, ast.Call)  # the condition was checked when it was made
    return _within(node, condition)


def _comparison(node: ast.Compare, condition: Condition) -> Truth:
    operands = [_operand(part, condition) for part in (node.left, *node.comparators)]
    compared = [
        (_OPERATORS[type(op)], left, right)
        for op, left, right in zip(node.ops, operands[:-1], operands[1:], strict=True)
    ]
    if len(compared) == 1:
        compare, first, second = compared[0]
        return lambda values: compare(first(values), second(values))
    return lambda values: reduce(operator.and_, [test(left(values), right(values)) for test, left, right in compared])


def _within(node: ast.Call, condition: Condition) -> Truth:
    names, centre, (radius,) = (list(group.elts) for group in node.args if isinstance(group, ast.Tuple))
    square = condition.number(radius) ** 2
    terms = [
        (name.id, condition.number(point), condition.variables[name.id].periodic)
        for name, point in zip(names, centre, strict=True)
        if isinstance(name, ast.Name)
    ]

    def holds(values: Values) -> Any:
        total: Any = 0.0
        for name, point, periodic in terms:
            difference = values[name] - point
            if periodic:
                difference = (difference + math.pi) % _TURN - math.pi
            total = total + difference * difference
        return total <= square

    return holds


def _operand(node: ast.expr, condition: Condition) -> Callable[[Values], Any]:
    if isinstance(node, ast.Name):
        return operator.itemgetter(node.id)
    number = condition.number(node)
    return lambda values: number


def compile_variable(variable: CollectiveVariable) -> Callable[[FloatArray], float]:
    """``variable`` as a function of one frame (N, D): plain arithmetic where it is made of few atoms, else torch's."""
    if isinstance(variable, Torsion):
        return _torsion(variable.atoms)
    if isinstance(variable, Angle):
        return _angle(variable.atoms)
    if isinstance(variable, Distance):
        return _distance(variable.atoms)
    if isinstance(variable, Position):
        axis = variable.index
        return lambda frame: float(frame[0, axis])

    def by_torch(frame: FloatArray) -> float:
        import torch

        with torch.no_grad():
            return float(variable(torch.from_numpy(frame[None]))[0])

    return by_torch


def _torsion(atoms: tuple[int, int, int, int]) -> Callable[[FloatArray], float]:
    order = list(atoms)

    def torsion(frame: FloatArray) -> float:
        (x0, y0, z0), (x1, y1, z1), (x2, y2, z2), (x3, y3, z3) = frame[order].tolist()
        ax, ay, az = x1 - x0, y1 - y0, z1 - z0
        bx, by, bz = x2 - x1, y2 - y1, z2 - z1
        cx, cy, cz = x3 - x2, y3 - y2, z3 - z2
        nx, ny, nz = by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx
        mx, my, mz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
        sine = math.sqrt(bx * bx + by * by + bz * bz) * (ax * nx + ay * ny + az * nz)
        return math.atan2(sine, mx * nx + my * ny + mz * nz)

    return torsion


def _angle(atoms: tuple[int, int, int]) -> Callable[[FloatArray], float]:
    order = list(atoms)

    def angle(frame: FloatArray) -> float:
        (x0, y0, z0), (x1, y1, z1), (x2, y2, z2) = frame[order].tolist()
        ax, ay, az = x0 - x1, y0 - y1, z0 - z1
        cx, cy, cz = x2 - x1, y2 - y1, z2 - z1
        nx, ny, nz = ay * cz - az * cy, az * cx - ax * cz, ax * cy - ay * cx
        return math.atan2(math.sqrt(nx * nx + ny * ny + nz * nz), ax * cx + ay * cy + az * cz)

    return angle


def _distance(atoms: tuple[int, int]) -> Callable[[FloatArray], float]:
    order = list(atoms)

    def distance(frame: FloatArray) -> float:
        (x0, y0, z0), (x1, y1, z1) = frame[order].tolist()
        return math.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2 + (z1 - z0) ** 2)

    return distance
