"""Energies of molecules through OpenMM, in this process or over the workers of an executor."""

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.energies.base import checked_frames, chunks, marked
from molgen.energies.counter import EvaluationCounter, Purpose
from molgen.energies.platforms import AUTO, open_context, resolve_platform
from molgen.systems.system import MolecularSystem
from molgen.units import thermal_energy


@dataclass(frozen=True)
class EnergyTask:
    """What a worker needs to compute energies; ``fingerprint`` and ``platform`` name its cached Context."""

    fingerprint: str
    platform: str
    system_xml: str


class MolecularEnergy:
    """u = U / kT of a molecule. With an executor the frames are shared out in chunks of fixed size.

    Pickled, it leaves its executor behind and computes in the process that loads it.
    """

    def __init__(
        self,
        system: MolecularSystem,
        *,
        executor: Executor | None = None,
        platform: str = AUTO,
        temperature_k: float | None = None,
    ) -> None:
        choice = resolve_platform(system, platform)
        self.n_particles = system.n_particles
        self.dim = system.dim
        self.temperature_k = system.temperature_k if temperature_k is None else temperature_k
        self.platform = choice.name
        self.step_ms = choice.step_ms
        self.counter = EvaluationCounter()
        self._task = EnergyTask(system.fingerprint, choice.name, system.system_xml)
        self._executor = executor

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_executor": None}

    def reduced(self, positions: FloatArray, *, purpose: Purpose) -> FloatArray:
        """See :class:`molgen.energies.base.Energy`."""
        return self._evaluate(positions, purpose, with_gradient=False)[0]

    def reduced_and_gradient(self, positions: FloatArray, *, purpose: Purpose) -> tuple[FloatArray, FloatArray]:
        """See :class:`molgen.energies.base.Energy`."""
        reduced, gradient = self._evaluate(positions, purpose, with_gradient=True)
        assert gradient is not None
        return reduced, gradient

    def _evaluate(
        self, positions: FloatArray, purpose: Purpose, *, with_gradient: bool
    ) -> tuple[FloatArray, FloatArray | None]:
        frames = checked_frames(positions, self.n_particles, self.dim)
        self.counter.add(purpose, len(frames))
        if self._executor is None:
            parts = [evaluate_chunk(self._task, chunk, with_gradient) for chunk in chunks(frames)]
        else:
            futures = [self._executor.submit(evaluate_chunk, self._task, c, with_gradient) for c in chunks(frames)]
            parts = [future.result() for future in futures]
        beta = 1.0 / thermal_energy(self.temperature_k)
        energy = np.concatenate([np.zeros(0), *(part[0] for part in parts)])
        gradient = None
        if with_gradient:
            gradient = -beta * np.concatenate([np.zeros((0, *frames.shape[1:])), *(part[1] for part in parts)])
        return marked(beta * energy, gradient)


_CONTEXTS: dict[tuple[str, str], Any] = {}


def evaluate_chunk(task: EnergyTask, frames: FloatArray, with_forces: bool) -> tuple[FloatArray, FloatArray]:
    """Energies (n,) in kJ/mol and forces (n, N, 3) in kJ/mol/nm (empty unless asked) of ``frames`` in nm.

    A frame that cannot be computed has NaN for its energy. Runs in workers: imports openmm, not torch.
    """
    import openmm

    context = _context(task)
    energies = np.full(len(frames), np.nan)
    forces = np.zeros(frames.shape if with_forces else (0, *frames.shape[1:]))
    usable = np.isfinite(frames).all(axis=(1, 2))
    for index in np.flatnonzero(usable):
        try:
            context.setPositions(frames[index])
            state = context.getState(energy=True, forces=with_forces)
        except openmm.OpenMMException as error:
            if "nan" in str(error).lower():  # some platforms raise on a bad geometry, where others return NaN
                continue
            raise
        energies[index] = state.getPotentialEnergy()._value
        if with_forces:
            _copy_forces(state, forces[index])
    return energies, forces


def _copy_forces(state: Any, target: FloatArray) -> None:
    """Forces of ``state`` into ``target`` (N, 3): the public call costs 25 µs more, a third of a small molecule's."""
    import openmm

    fast = getattr(state, "_getVectorAsNumpy", None)
    if fast is None:
        target[:] = state.getForces(asNumpy=True)._value
    else:
        fast(openmm.State.Forces, target)


def _context(task: EnergyTask) -> Any:
    """This process's Context for the task, made at its first use."""
    key = (task.fingerprint, task.platform)
    if key not in _CONTEXTS:
        import openmm

        system = openmm.XmlSerializer.deserialize(task.system_xml)
        # LangevinMiddle is the integrator whose kinetic energy needs no forces: getState(energy=True) then
        # computes energies alone. It never steps, so no random number is drawn; Verlet has no such economy.
        integrator = openmm.LangevinMiddleIntegrator(300.0, 1.0, 1e-3)
        integrator.setRandomNumberSeed(1)
        _CONTEXTS[key] = open_context(system, integrator, task.platform)
    return _CONTEXTS[key]
