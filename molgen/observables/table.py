"""The table of collective variables, and building a system's own."""

import importlib
from typing import cast

import numpy as np

from molgen.arrays import FloatArray
from molgen.observables.base import CollectiveVariable
from molgen.systems.definition import CVSection
from molgen.systems.system import System

CVS: dict[str, str] = {
    "torsion": "molgen.observables.torsion:Torsion",
    "angle": "molgen.observables.angle:Angle",
    "distance": "molgen.observables.distance:Distance",
    "rmsd": "molgen.observables.rmsd:RMSD",
    "radius_of_gyration": "molgen.observables.gyration:RadiusOfGyration",
    "position": "molgen.observables.position:Position",
}
"""Key of a ``[[cv]]`` section to the class that computes it."""

_CHUNK = 16384


def cv_class(kind: str) -> type[CollectiveVariable]:
    """The class of a kind of collective variable; imports torch."""
    module, _, name = CVS[kind].partition(":")
    return cast(type[CollectiveVariable], getattr(importlib.import_module(module), name))


def build_cv(section: CVSection, system: System) -> CollectiveVariable:
    """The collective variable a checked ``section`` describes."""
    (kind,) = section.kinds
    return cv_class(kind).build(section, system)


def build_cvs(system: System) -> dict[str, CollectiveVariable]:
    """The collective variables of a system by name, in the order of its definition."""
    return {section.name: build_cv(section, system) for section in system.definition.cv}


def evaluate_cvs(system: System, positions: FloatArray) -> dict[str, FloatArray]:
    """Values (n,) of every collective variable at ``positions`` (n, N, D), in double precision, in rad or nm."""
    import torch

    variables = build_cvs(system)
    values = {name: np.empty(len(positions), dtype=np.float64) for name in variables}
    with torch.no_grad():
        for start in range(0, len(positions), _CHUNK):
            block = torch.from_numpy(np.array(positions[start : start + _CHUNK], dtype=np.float64))
            for name, variable in variables.items():
                values[name][start : start + _CHUNK] = variable(block).numpy()
    return values
