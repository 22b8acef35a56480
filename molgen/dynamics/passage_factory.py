"""The one way to passages between two states: from a system, by the dynamics in its ``[dynamics]`` section."""

from typing import Any

from molgen.dynamics.analytic_passage import analytic_passages
from molgen.dynamics.molecular_passage import molecular_passages
from molgen.dynamics.passage import PassageDynamics
from molgen.observables.boundary import Boundary
from molgen.systems.system import AnalyticSystem, System


def open_passages(system: System, boundary: Boundary, *, platform: str) -> PassageDynamics:
    """Passages of ``system`` on the OpenMM ``platform`` of that name ("numpy" if analytic)."""
    if isinstance(system, AnalyticSystem):
        return analytic_passages(system, boundary)
    return molecular_passages(system, boundary, platform=platform)


def dynamics_record(system: System, boundary: Boundary) -> dict[str, Any]:
    """Everything that a committor and a rate belong to, as plain data.

    Potential and masses (the fingerprint), temperature, integrator, time step, friction, hydrogen mass, how often the
    state is tested, and the two states.
    """
    states = {state.name: state.where for state in system.definition.state}
    return {
        "fingerprint": system.fingerprint,
        "temperature_k": system.temperature_k,
        "dynamics": system.definition.dynamics.model_dump(),
        "a": {"name": boundary.a, "where": states[boundary.a]},
        "b": {"name": boundary.b, "where": states[boundary.b]},
        "order": list(states),
    }
