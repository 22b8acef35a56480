"""What a committor's mechanism is, by shots that it was not fitted to: attributions, atoms, a formula."""

from dataclasses import asdict
from typing import Any

from molgen.committor.attribution import atom_shares, attribute
from molgen.committor.formula import find_formula
from molgen.committor.model import Committor
from molgen.committor.terms import terms_of
from molgen.observables.rows import values_of
from molgen.observables.table import build_cvs
from molgen.seeds import numpy_generator
from molgen.systems.system import MolecularSystem
from molgen.workflows.shot_data import ShotData

MOST_LISTED = 20
"""So many variables and atoms stand in the record."""


def mechanism(model: Committor, data: ShotData, seed: int) -> dict[str, Any]:
    """The ``mechanism`` of evaluation.json: ``variables``, ``atoms`` and ``formula`` (None without variables)."""
    counts = data.counts
    used = counts.decided > 0
    positions, reached, decided = data.positions[used], counts.b[used], counts.decided[used]
    lineage = data.lineage[used]
    generator = numpy_generator(seed, "permutations")
    found = attribute(model, positions, reached, decided, lineage, generator)
    squares = sum(item.sensitivity**2 for item in found)
    system = model.boundary.system
    values = values_of(system, positions)
    variables = {name: variable for name, variable in build_cvs(system).items() if name in values}
    formula = find_formula(
        terms_of(values, variables),
        reached,
        decided,
        lineage,
        numpy_generator(seed, "folds"),
    )
    return {
        "features": model.settings.features,
        "variables": [
            asdict(item) | {"share": item.sensitivity**2 / squares if squares > 0.0 else 0.0}
            for item in found[:MOST_LISTED]
        ],
        "atoms": [
            {"atom": atom, "name": _atom_name(system, atom), "share": share}
            for atom, share in list(atom_shares(found).items())[:MOST_LISTED]
        ],
        "formula": None if formula is None else asdict(formula) | {"text": formula.text},
    }


def _atom_name(system: Any, index: int) -> str:
    """``CA of ALA 2``."""
    if not isinstance(system, MolecularSystem):
        return str(index)
    atom = system.topology.atoms[index]
    return f"{atom.name} of {atom.residue_name} {atom.residue_index + 1}"
