"""Which OpenMM platform computes: chosen by timing, or named by the user.

For some twenty atoms the Reference platform is ten times as fast as CPU, for a CustomGBForce it is the other way
round: no rule of thumb is as good as a few dozen evaluations on the clock.
"""

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from molgen.arrays import FloatArray
from molgen.errors import InputError, UsageError
from molgen.settings import nearest_hint
from molgen.systems.system import MolecularSystem, System

AUTO = "auto"
_BATCHES, _STEPS = 3, 12


@dataclass(frozen=True)
class PlatformChoice:
    """The platform taken and the milliseconds of one step of dynamics on each that was timed (empty if named)."""

    name: str
    step_ms: dict[str, float]


def platform_names() -> list[str]:
    """Names of the OpenMM platforms of this machine."""
    import openmm

    return [openmm.Platform.getPlatform(index).getName() for index in range(openmm.Platform.getNumPlatforms())]


def resolve_platform(system: MolecularSystem, platform: str = AUTO) -> PlatformChoice:
    """The platform of that name, or for ``auto`` the fastest for this system.

    ``UsageError`` if there is no platform of that name here, ``InputError`` if none can compute the system.
    """
    if platform != AUTO:
        known = {name.lower(): name for name in platform_names()}
        if platform.lower() not in known:
            raise UsageError(
                f"There is no platform {platform!r} here.", nearest_hint(platform, [AUTO, *known.values()])
            )
        return PlatformChoice(known[platform.lower()], {})
    timings = dict(_timed(system.fingerprint, system.system_xml, system.positions.tobytes()))
    if not timings:
        raise InputError(f"No OpenMM platform here can compute {system.name!r}.", "Check the force field.")
    return PlatformChoice(min(timings, key=timings.__getitem__), timings)


def platform_name(system: System, platform: str = AUTO) -> str:
    """The name of what :func:`resolve_platform` finds for a molecule, and numpy for an analytic system."""
    return resolve_platform(system, platform).name if isinstance(system, MolecularSystem) else "numpy"


def open_context(system: Any, integrator: Any, platform: str) -> Any:
    """A Context on ``platform`` with one thread and deterministic sums where the platform offers them.

    One thread: parallel work is done by processes, and sums over threads differ from run to run.
    """
    import openmm

    chosen = openmm.Platform.getPlatformByName(platform)
    wanted = {"Threads": "1", "DeterministicForces": "true"}
    known = set(chosen.getPropertyNames())
    return openmm.Context(system, integrator, chosen, {key: value for key, value in wanted.items() if key in known})


@cache
def _timed(fingerprint: str, system_xml: str, positions: bytes) -> tuple[tuple[str, float], ...]:
    import numpy as np

    frame = np.frombuffer(positions, dtype=np.float64).reshape(-1, 3)
    timings = [(name, _step_ms(system_xml, frame, name)) for name in platform_names()]
    return tuple((name, ms) for name, ms in timings if ms is not None)


def _step_ms(system_xml: str, frame: FloatArray, platform: str) -> float | None:
    """Milliseconds of one step: the shortest mean of a few batches; None if the platform cannot compute it."""
    import openmm

    system = openmm.XmlSerializer.deserialize(system_xml)
    integrator = openmm.VerletIntegrator(1e-5)  # not stochastic: must not disturb the process's random numbers
    try:
        context = open_context(system, integrator, platform)
        context.setPositions(frame)
        integrator.step(2)
        best = float("inf")
        for _ in range(_BATCHES):
            started = time.perf_counter()
            integrator.step(_STEPS)
            context.getState(energy=True)
            best = min(best, (time.perf_counter() - started) / _STEPS)
    except openmm.OpenMMException:
        return None
    return 1e3 * best
