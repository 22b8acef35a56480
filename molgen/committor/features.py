"""What a committor sees of a configuration: numbers that do not change when it is moved or turned.

``internal``: all bonds, angles and torsions of a molecule (its coordinates for an analytic system); torsions as cosine
and sine, equivalent branches in one labelling. ``cv``: the system's collective variables. A mirror image gives other
numbers: the sines of its torsions change sign.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

from molgen.coordinates.chart import chart_of
from molgen.errors import InputError
from molgen.observables.table import build_cvs
from molgen.systems.system import AnalyticSystem, System

FeatureKind = Literal["internal", "cv"]


class Features(nn.Module):
    """Standardised features (n, F) of frames (n, N, D); mean and spread are fitted once and belong to the model.

    ``names`` (F,) say what each is. ``InputError`` for ``cv`` on a system without collective variables.
    """

    def __init__(self, system: System, kind: FeatureKind) -> None:
        super().__init__()
        self.names, self._raw = _variables(system) if kind == "cv" else _coordinates(system)
        self.register_buffer("mean", torch.zeros(len(self.names), dtype=torch.float64))
        self.register_buffer("spread", torch.ones(len(self.names), dtype=torch.float64))

    mean: torch.Tensor
    spread: torch.Tensor

    def fit(self, positions: torch.Tensor) -> None:
        """Take mean and spread from frames; a feature that is the same in all of them is only shifted."""
        values = self._raw(positions.double())
        self.mean.copy_(values.mean(0))
        spread = values.std(0, correction=0)
        self.spread.copy_(torch.where(spread > 1e-9, spread, torch.ones_like(spread)))

    def forward(self, positions: torch.Tensor) -> torch.Tensor:
        """Features (n, F) in float64."""
        return (self._raw(positions.double()) - self.mean) / self.spread


Raw = Callable[[torch.Tensor], torch.Tensor]


def _variables(system: System) -> tuple[tuple[str, ...], Raw]:
    variables = build_cvs(system)
    if not variables:
        raise InputError(
            f"{system.name} has no collective variables.", "Define [[cv]] sections, or --features internal."
        )
    names: list[str] = []
    for name, variable in variables.items():
        names += [f"cos({name})", f"sin({name})"] if variable.periodic else [name]

    def raw(positions: torch.Tensor) -> torch.Tensor:
        columns = []
        for variable in variables.values():
            values = variable(positions)
            columns += [values.cos(), values.sin()] if variable.periodic else [values]
        return torch.stack(columns, 1)

    return tuple(names), raw


def _axes(dimensions: int) -> tuple[str, ...]:
    return tuple("xyz"[:dimensions]) if dimensions <= 3 else tuple(f"x{k}" for k in range(dimensions))


def _coordinates(system: System) -> tuple[tuple[str, ...], Raw]:
    if isinstance(system, AnalyticSystem) and system.n_particles == 1:
        return _axes(system.dim), lambda positions: positions.flatten(1)
    chart = chart_of(system)
    turns = dict(zip(chart.circular, chart.periods, strict=True)) | dict.fromkeys(chart.narrow, 2.0 * math.pi)
    angles = sorted(turns)
    factor = torch.tensor([2.0 * math.pi / turns[k] for k in angles], dtype=torch.float64)
    rest = [k for k in range(chart.dimension) if k not in turns]
    names = [f"cos(y{k})" for k in angles] + [f"sin(y{k})" for k in angles] + [f"y{k}" for k in rest]

    def raw(positions: torch.Tensor) -> torch.Tensor:
        y = chart.encode(chart.canonical(positions))
        turned = y[:, angles] * factor
        return torch.cat([turned.cos(), turned.sin(), y[:, rest]], 1)

    return tuple(names), raw
