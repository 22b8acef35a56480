"""Which kind of model suits a system, and why."""

from dataclasses import dataclass

from molgen.errors import UsageError
from molgen.models.table import MODELS
from molgen.settings import nearest_hint
from molgen.systems.system import MolecularSystem, System

AUTO = "auto"


@dataclass(frozen=True)
class ModelChoice:
    """The name of a model in :data:`molgen.models.table.MODELS` and one sentence that says why it was taken."""

    name: str
    reason: str


def choose_model(system: System, name: str = AUTO) -> ModelChoice:
    """The model ``name`` of ``system``; ``auto`` takes the one that suits it. ``UsageError`` for an unknown name.

    Internal coordinates give a covalent molecule an exact density at little cost, but no tree of bonds can order
    particles that are all alike: those need a model that does not care about their numbers.
    """
    if name != AUTO:
        if name not in MODELS:
            raise UsageError(f"There is no model called {name!r}.", nearest_hint(name, [AUTO, *MODELS]))
        return ModelChoice(name, f"{name} was asked for.")
    if isinstance(system, MolecularSystem):
        return ModelChoice(
            "spline", f"auto took spline: {system.name} is a covalent molecule, whose torsions it has in closed form."
        )
    if system.n_particles == 1:
        return ModelChoice("spline", f"auto took spline: {system.name} is a single particle.")
    return ModelChoice(
        "flow-matching",
        f"auto took flow-matching: the {system.n_particles} particles of {system.name} are identical.",
    )
