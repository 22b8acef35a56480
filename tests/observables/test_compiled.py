"""Compiled conditions and variables say what the slow ones say."""

import numpy as np
import pytest
import torch

from molgen.observables.angle import Angle
from molgen.observables.base import CollectiveVariable
from molgen.observables.compiled import compile_condition, compile_variable
from molgen.observables.distance import Distance
from molgen.observables.gyration import RadiusOfGyration
from molgen.observables.position import Position
from molgen.observables.torsion import Torsion
from molgen.observables.where import Condition, Variable

CVS = {"phi": Variable("rad", True), "psi": Variable("rad", True), "d": Variable("nm", False), "x": Variable("", False)}
TEXTS = [
    "otherwise",
    "0deg < phi < 137.5deg",
    "not phi > 0 and (d <= 0.3 nm or x >= -1)",
    "within(phi, psi; -175deg, 55deg; 70deg)",
    "not within(phi; 170deg; 0.5 rad) or psi < phi",
    "-1 < x < 1 and x > 0",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_compiled_condition_is_the_condition(text: str) -> None:
    rng = np.random.default_rng(1)
    values = {name: rng.uniform(-np.pi, np.pi, 500) for name in CVS}
    condition = Condition(text, CVS, "test")
    expected = condition.holds(values)
    compiled = compile_condition(condition)
    assert np.broadcast_to(compiled(values), (500,)).tolist() == expected.tolist()
    single = [compiled({name: float(column[k]) for name, column in values.items()}) for k in range(500)]
    assert single == expected.tolist()
    assert text == "otherwise" or 0 < expected.sum() < 500


@pytest.mark.parametrize(
    "variable",
    [
        Torsion("t", (3, 1, 0, 4)),
        Angle("a", (2, 0, 3)),
        Distance("d", (1, 4)),
        RadiusOfGyration("r", (0, 2, 3), (12.0, 1.0, 16.0)),
        Position("p", 2),
    ],
)
def test_a_compiled_variable_is_the_variable(variable: CollectiveVariable) -> None:
    frames = np.random.default_rng(2).normal(size=(200, 5, 3))
    expected = variable(torch.from_numpy(frames)).numpy()
    compiled = compile_variable(variable)
    np.testing.assert_allclose([compiled(frame) for frame in frames], expected, atol=1e-12)
