"""q̂ along a system's one variable, or on the plane of two, for its report."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import expit

from molgen.arrays import BoolArray, FloatArray
from molgen.committor.likelihood import wilson
from molgen.committor.model import Committor
from molgen.observables.base import CollectiveVariable
from molgen.observables.rows import values_of
from molgen.observables.states import build_states
from molgen.observables.table import build_cvs
from molgen.reports.committor_data import CommittorLine, CommittorPlane
from molgen.systems.system import AnalyticSystem
from molgen.workflows.shot_data import ShotData

SIDE = 73
"""Points of the grid along each variable."""
BINS = 14
"""Groups of configurations whose shares are shown along a line."""
_MARGIN = 0.12
_BREADTH = 0.03
"""Width of the kernel as a part of a variable's range."""
_NEAR = 0.5
"""Kernel weight below which nothing is known at a point: what one configuration has at 1.2 widths."""
_MOST_DOTS = 800


def picture(model: Committor, data: ShotData, mechanism: Mapping[str, Any]) -> CommittorPlane | CommittorLine | None:
    """The plane of the two variables that matter most, the line of the only one, or None without variables.

    On the plane of a point's own coordinates q̂ is what it is there; where the variables do not say all of a
    configuration, it is σ of the mean logit over configurations near by (a normal kernel).
    """
    system = model.boundary.system
    values = values_of(system, data.positions)
    variables = {name: variable for name, variable in build_cvs(system).items() if name in values}
    names = _chosen(list(variables), mechanism)
    if not names:
        return None
    if len(names) == 1:
        return _line(model, data, variables[names[0]], values[names[0]])
    return _plane(model, data, [variables[name] for name in names], [values[name] for name in names])


def _chosen(names: list[str], mechanism: Mapping[str, Any]) -> list[str]:
    """Those in the formula first, as they come there, then the others."""
    formula = mechanism.get("formula") or {}
    mentioned = [name for term in formula.get("terms", ()) for name in names if _mentions(term, name)]
    chosen = list(dict.fromkeys([*mentioned, *names]))[:2]
    return sorted(chosen, key=names.index)


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) is not None


def _axis(variable: CollectiveVariable, values: FloatArray) -> FloatArray:
    if variable.periodic:
        return np.linspace(-np.pi, np.pi, SIDE)
    low, high = float(values.min()), float(values.max())
    margin = _MARGIN * max(high - low, 1e-9)
    return np.linspace(low - margin, high + margin, SIDE)


def _whole(model: Committor, variables: list[CollectiveVariable]) -> bool:
    """Whether the variables are all coordinates of one point."""
    system = model.boundary.system
    if not isinstance(system, AnalyticSystem) or system.n_particles != 1 or system.dim != len(variables):
        return False
    return [getattr(variable, "index", None) for variable in variables] == list(range(system.dim))


def _line(model: Committor, data: ShotData, variable: CollectiveVariable, values: FloatArray) -> CommittorLine:
    x = _axis(variable, values)
    if _whole(model, [variable]):
        q = model.probability(x.reshape(-1, 1, 1))
    else:
        q, known = _smoothed([variable], [values], [x], model.logit(data.positions))
        q = np.where(known, q, np.nan)
    order = np.argsort(values)
    rows = []
    for part in np.array_split(order, min(BINS, len(order))):
        shots, hits = int(data.counts.decided[part].sum()), int(data.counts.b[part].sum())
        if shots:
            rows.append((float(values[part].mean()), hits / shots, *wilson(hits, shots)))
    return CommittorLine(variable.name, variable.unit, x, q, np.array(rows).reshape(-1, 4))


def _plane(
    model: Committor, data: ShotData, variables: list[CollectiveVariable], values: list[FloatArray]
) -> CommittorPlane:
    x, y = (_axis(variable, own) for variable, own in zip(variables, values, strict=True))
    grid = [part.ravel() for part in np.meshgrid(x, y, indexing="ij")]
    whole = _whole(model, variables)
    if whole:
        q = model.probability(np.stack(grid, axis=1)[:, None, :])
    else:
        q, known = _smoothed(variables, values, grid, model.logit(data.positions))
        q = np.where(known, q, np.nan)
        for name, level in ((model.boundary.a, 0.0), (model.boundary.b, 1.0)):
            inside = _inside(model, name, {v.name: part for v, part in zip(variables, grid, strict=True)})
            q = q if inside is None else np.where(inside, level, q)
    one, other = variables
    dots = np.stack(values, axis=1)[:: -(-len(values[0]) // _MOST_DOTS)]
    names = (model.boundary.a, model.boundary.b)
    shaped = q.reshape(SIDE, SIDE)
    return CommittorPlane(one.name, one.unit, other.name, other.unit, x, y, shaped, dots, names, averaged=not whole)


def _smoothed(
    variables: list[CollectiveVariable], values: list[FloatArray], grid: list[FloatArray], logit: FloatArray
) -> tuple[FloatArray, BoolArray]:
    """σ of the kernel's mean of ``logit`` (n,) at the points ``grid`` (g,) of each variable, and where it is known."""
    distance = np.zeros((len(grid[0]), len(logit)))
    for variable, own, points in zip(variables, values, grid, strict=True):
        apart = points[:, None] - own[None, :]
        if variable.periodic:
            apart = (apart + np.pi) % (2.0 * np.pi) - np.pi
        breadth = _BREADTH * (2.0 * np.pi if variable.periodic else max(float(np.ptp(own)), 1e-9))
        distance += (apart / breadth) ** 2
    weight = np.exp(-0.5 * distance)
    total = weight.sum(axis=1)
    mean = weight @ logit / np.maximum(total, 1e-300)
    return np.asarray(expit(mean)), total > _NEAR


def _inside(model: Committor, name: str, values: Mapping[str, FloatArray]) -> BoolArray | None:
    """Where the condition of a state holds; None if it asks for other variables as well."""
    states = build_states(model.boundary.system)
    condition = states.conditions[states.names.index(name)]
    others = [known for known in condition.variables if known not in values and _mentions(condition.text, known)]
    if others or condition.text.strip() == "otherwise":
        return None
    full = dict.fromkeys(condition.variables, np.zeros(len(next(iter(values.values()))))) | dict(values)
    return condition.holds(full)
