"""The one way to a propagator: from a system and the settings of a simulation."""

from typing import TYPE_CHECKING

from molgen.dynamics.analytic import analytic_dynamics
from molgen.dynamics.bias import FourierTorsionBias
from molgen.dynamics.langevin import molecular_dynamics
from molgen.dynamics.propagator import Propagator
from molgen.dynamics.schedule import SimulationSettings
from molgen.errors import UsageError
from molgen.systems.system import AnalyticSystem, System

if TYPE_CHECKING:
    from molgen.bias.base import SumBias


def open_propagator(
    system: System,
    settings: SimulationSettings,
    *,
    platform: str,
    biases: tuple[FourierTorsionBias, ...] = (),
    bias: "SumBias | None" = None,
) -> Propagator:
    """Dynamics of ``system`` as ``settings`` say, on the OpenMM ``platform`` of that name ("numpy" if analytic).

    ``bias`` is added to u; Fourier series on torsions, ``biases``, may be added to a molecule. ``InputError`` for a
    bias that dynamics cannot follow, ``UsageError`` for a Fourier series on an analytic system.
    """
    timestep_ps = settings.timestep_ps(system)
    if isinstance(system, AnalyticSystem):
        if biases:
            raise UsageError("An analytic system has no torsion to bias.", "Leave the bias out.")
        return analytic_dynamics(system, timestep_ps=timestep_ps, friction_per_ps=settings.friction_per_ps, bias=bias)
    return molecular_dynamics(
        system,
        platform=platform,
        timestep_ps=timestep_ps,
        friction_per_ps=settings.friction_per_ps,
        hydrogen_mass_da=settings.hydrogen_mass_da,
        biases=biases,
        bias=bias,
    )
