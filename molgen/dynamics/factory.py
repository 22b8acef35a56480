"""The one way to a propagator: from a system and the settings of a simulation."""

from molgen.dynamics.analytic import analytic_dynamics
from molgen.dynamics.bias import FourierTorsionBias
from molgen.dynamics.langevin import molecular_dynamics
from molgen.dynamics.propagator import Propagator
from molgen.dynamics.schedule import SimulationSettings
from molgen.errors import UsageError
from molgen.systems.system import AnalyticSystem, System


def open_propagator(
    system: System, settings: SimulationSettings, *, platform: str, biases: tuple[FourierTorsionBias, ...] = ()
) -> Propagator:
    """Dynamics of ``system`` as ``settings`` say, on the OpenMM ``platform`` of that name ("numpy" if analytic).

    Static ``biases`` on torsions may be added to a molecule. ``UsageError`` for a bias on an analytic system.
    """
    timestep_ps = settings.timestep_ps(system)
    if isinstance(system, AnalyticSystem):
        if biases:
            raise UsageError("An analytic system has no torsion to bias.", "Leave the bias out.")
        return analytic_dynamics(system, timestep_ps=timestep_ps, friction_per_ps=settings.friction_per_ps)
    return molecular_dynamics(
        system,
        platform=platform,
        timestep_ps=timestep_ps,
        friction_per_ps=settings.friction_per_ps,
        hydrogen_mass_da=settings.hydrogen_mass_da,
        biases=biases,
    )
