"""What a committor sees of a configuration: numbers that do not change when it is moved or turned.

``internal``: all bonds, angles and torsions of a molecule (its coordinates for an analytic system); torsions as cosine
and sine, equivalent branches in one labelling. ``cv``: the system's collective variables. A mirror image gives other
numbers: the sines of its torsions change sign. ``equivariant``: the positions as they are, for a network that does not
see how they are turned.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from molgen.coordinates.chart import MolecularChart, chart_of
from molgen.errors import InputError
from molgen.observables.rows import Configurations, VariableRows
from molgen.observables.table import build_cvs
from molgen.settings import nearest_hint
from molgen.systems.system import AnalyticSystem, MolecularSystem, System

FeatureKind = Literal["internal", "cv", "equivariant"]


@dataclass(frozen=True)
class FeatureGroup:
    """What a chemist counts as one: the ``columns`` of a variable; of an ``angle`` on a circle its cosine and sine.

    ``atoms`` are those that define it, none of an analytic system.
    """

    name: str
    columns: tuple[int, ...]
    angle: bool
    atoms: tuple[int, ...] = ()


class Features(nn.Module):
    """Standardised features (n, F) of frames (n, N, D); mean and spread are fitted once and belong to the model.

    ``variables`` are those of ``cv`` that are taken, all unless given; None of ``internal``.

    ``names`` (F,) say what each is, ``groups`` which of them are one variable. ``InputError`` for ``cv`` on a system
    without collective variables.
    """

    def __init__(self, system: System, kind: FeatureKind, variables: tuple[str, ...] | None = None) -> None:
        super().__init__()
        if kind != "cv" and variables is not None:
            raise InputError("Only features = cv are a choice of variables.", "Give features = cv, or no variables.")
        self.variables = (variables or tuple(cv.name for cv in system.definition.cv)) if kind == "cv" else None
        if kind == "cv":
            described = _variables(system, variables)
        else:
            described = _positions(system) if kind == "equivariant" else _coordinates(system)
        self.names, self.groups, self._raw = described
        self._alike = kind == "equivariant"
        self.register_buffer("mean", torch.zeros(len(self.names), dtype=torch.float64))
        self.register_buffer("spread", torch.ones(len(self.names), dtype=torch.float64))

    mean: torch.Tensor
    spread: torch.Tensor

    def fit(self, positions: Configurations | torch.Tensor) -> None:
        """Take mean and spread from frames; a feature that is the same in all of them is only shifted.

        Positions are not shifted, and all divided by one number.
        """
        values = self._raw(_as_input(positions))
        if self._alike:
            self.spread.fill_(float(values.square().mean().sqrt()))
            return
        self.mean.copy_(values.mean(0))
        spread = values.std(0, correction=0)
        self.spread.copy_(torch.where(spread > 1e-9, spread, torch.ones_like(spread)))

    def forward(self, positions: Configurations | torch.Tensor) -> torch.Tensor:
        """Features (n, F) in float64; rows that are no frames must have the variables of ``cv``."""
        return (self._raw(_as_input(positions)) - self.mean) / self.spread


Input = torch.Tensor | VariableRows
Raw = Callable[[Any], torch.Tensor]


def _as_input(positions: Configurations | torch.Tensor) -> Input:
    return positions if isinstance(positions, VariableRows) else torch.as_tensor(positions).double()


Description = tuple[tuple[str, ...], tuple[FeatureGroup, ...], Raw]


def _variables(system: System, chosen: tuple[str, ...] | None) -> Description:
    variables = build_cvs(system)
    if not variables:
        raise InputError(
            f"{system.name} has no collective variables.", "Define [[cv]] sections, or --features internal."
        )
    for name in chosen or ():
        if name not in variables:
            raise InputError(f"{system.name} has no collective variable {name!r}.", nearest_hint(name, variables))
    variables = {name: variable for name, variable in variables.items() if chosen is None or name in chosen}
    names: list[str] = []
    groups = []
    for name, variable in variables.items():
        own = [f"cos({name})", f"sin({name})"] if variable.periodic else [name]
        columns = tuple(range(len(names), len(names) + len(own)))
        groups.append(FeatureGroup(name, columns, variable.periodic, tuple(getattr(variable, "atoms", ()))))
        names += own

    def raw(rows: Input) -> torch.Tensor:
        columns = []
        for name, variable in variables.items():
            values = torch.as_tensor(rows.values[name]) if isinstance(rows, VariableRows) else variable(rows)
            columns += [values.cos(), values.sin()] if variable.periodic else [values]
        return torch.stack(columns, 1)

    return tuple(names), tuple(groups), raw


def _positions(system: System) -> Description:
    if system.dim != 3 or system.n_particles < 3:
        raise InputError(
            f"An equivariant network needs three particles in space; {system.name} has none such.",
            "Take --features internal.",
        )
    names = tuple(f"{axis}{k}" for k in range(system.n_particles) for axis in "xyz")
    return names, (), lambda positions: (positions - positions.mean(1, keepdim=True)).flatten(1)


def _axes(dimensions: int) -> tuple[str, ...]:
    return tuple("xyz"[:dimensions]) if dimensions <= 3 else tuple(f"x{k}" for k in range(dimensions))


def _coordinates(system: System) -> Description:
    if isinstance(system, AnalyticSystem) and system.n_particles == 1:
        axes = _axes(system.dim)
        single = tuple(FeatureGroup(axis, (column,), False) for column, axis in enumerate(axes))
        return axes, single, lambda positions: positions.flatten(1)
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

    groups: list[tuple[int, tuple[int, ...]]] = [(k, (place, len(angles) + place)) for place, k in enumerate(angles)]
    groups += [(k, (2 * len(angles) + place,)) for place, k in enumerate(rest)]
    described = tuple(
        FeatureGroup(_name(system, chart.column_atoms(k)), columns, len(columns) == 2, chart.column_atoms(k))
        if isinstance(system, MolecularSystem) and isinstance(chart, MolecularChart)
        else FeatureGroup(f"y{k}", columns, len(columns) == 2)
        for k, columns in groups
    )
    return tuple(names), described, raw


def _name(system: MolecularSystem, atoms: tuple[int, ...]) -> str:
    """``torsion C-N-CA-C (ALA 2)``; the variables of the system that turn the same bond follow."""
    listed = [system.topology.atoms[index] for index in atoms]
    kind = ("bond", "angle", "torsion")[len(atoms) - 2]
    residues = dict.fromkeys(f"{atom.residue_name} {atom.residue_index + 1}" for atom in listed)
    name = f"{kind} {'-'.join(atom.name for atom in listed)} ({', '.join(residues)})"
    if len(atoms) == 4:
        same = [
            cv.name for cv in system.definition.cv if cv.torsion is not None and {*cv.torsion[1:3]} == {*atoms[1:3]}
        ]
        name += f" about {', '.join(same)}" if same else ""
    return name
