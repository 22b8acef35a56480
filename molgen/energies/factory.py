"""The one way to an energy: from a system."""

from concurrent.futures import Executor

from molgen.energies.analytic import AnalyticEnergy
from molgen.energies.base import Energy
from molgen.energies.molecular import MolecularEnergy
from molgen.energies.platforms import AUTO
from molgen.systems.system import AnalyticSystem, System


def open_energy(
    system: System, *, executor: Executor | None = None, platform: str = AUTO, temperature_k: float | None = None
) -> Energy:
    """The reduced potential of ``system`` at ``temperature_k`` (the system's own if None).

    ``executor`` shares the frames out over its workers; ``platform`` is an OpenMM platform's name, or ``auto`` for
    the fastest one here (an analytic system is computed by numpy whatever it says). ``UsageError`` for a platform
    that does not exist here.
    """
    if isinstance(system, AnalyticSystem):
        return AnalyticEnergy(system, temperature_k)
    return MolecularEnergy(system, executor=executor, platform=platform, temperature_k=temperature_k)
