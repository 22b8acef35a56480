"""Well-tempered metadynamics on (φ, ψ) with OpenMM's own class: what ``benchmark.py free-energy`` compares with.

Force field, masses, integrator and time step are those of ``molgen simulate``. Two ways to an answer:

*Adaptive*, a Gaussian every ps to the end, and two estimators of one walk: the final bias, F = −γ/(γ − 1) V
(A. Barducci, G. Bussi, M. Parrinello, Phys. Rev. Lett. 100, 020603 (2008)), and frames weighed by
exp[(V(s, t) − c(t))/kT] with c(t) = kT ln ∫exp[γV/((γ − 1) kT)] ds / ∫exp[V/((γ − 1) kT)] ds (P. Tiwary,
M. Parrinello, J. Phys. Chem. B 119, 736 (2015)), the first fifth left out, as the bias still fills.

*Frozen*: a Gaussian every 0.4 ps until the surface is filled, then none: V is static and exp(V/kT) is exact, whatever
the filling was like. Each Gaussian gives the walker energy, which the thermostat takes back at twice the friction:
while they come often φ and ψ are hot, and frames of that time are no samples of anything at 300 K.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

HEIGHT_KJ, WIDTH_RAD, PACE_STEPS, BIAS_FACTOR = 1.2, 0.35, 500, 8.0
"""Usual values for alanine dipeptide: 1.2 kJ/mol every ps, 0.35 rad, γ = 8."""
FILL_PACE_STEPS, FILL_STEPS = 200, 300_000
"""Of the frozen variant: 1,500 Gaussians fill the surface up to the barrier of 11 kT at φ = 0 (about 550 at γ = 8)."""
SETTINGS = {"height_kj": HEIGHT_KJ, "width_rad": WIDTH_RAD, "pace_steps": PACE_STEPS, "bias_factor": BIAS_FACTOR}
FROZEN = SETTINGS | {"pace_steps": FILL_PACE_STEPS, "fill_steps": FILL_STEPS}
FRAME_STEPS = 50
EQUILIBRATION_STEPS = 2000
TRANSIENT = 0.2
GRID = 91


def metadynamics(seed: int, budgets: Sequence[int], high: float) -> Iterator[dict[str, Any]]:
    """One walk; at each budget of steps, equilibration counted, ΔF of 0 < φ < ``high`` (rad) in kT, both estimators."""
    meta, simulation, group, kt = _open(seed, PACE_STEPS)
    frames: list[tuple[float, float, float, int]] = []
    c = 0.0
    for budget in sorted(budgets):
        while simulation.currentStep < budget:
            meta.step(simulation, FRAME_STEPS)
            if simulation.currentStep % PACE_STEPS == 0:
                # A Gaussian has just been put here: V at this frame is no longer what the frame was drawn under.
                c = _offset(meta, kt)
                continue
            frames.append((*_here(meta, simulation, group, kt), c, simulation.currentStep))
        yield {
            "budget": budget,
            "evaluations": simulation.currentStep,
            "reweighted": _reweighted(np.array(frames), budget, high),
            "final bias": _final(meta, kt, high),
        }


def frozen(seed: int, budgets: Sequence[int], high: float) -> Iterator[dict[str, Any]]:
    """As :func:`metadynamics`, the bias static after ``FILL_STEPS``, which count; budgets are beyond those."""
    meta, simulation, group, kt = _open(seed, FILL_PACE_STEPS)
    meta.step(simulation, FILL_STEPS - simulation.currentStep)
    simulation.step(EQUILIBRATION_STEPS)
    frames: list[tuple[float, float]] = []
    for budget in sorted(budgets):
        while simulation.currentStep < budget:
            simulation.step(FRAME_STEPS)
            frames.append(_here(meta, simulation, group, kt))
        phi, logs = np.array(frames).T
        yield {"budget": budget, "evaluations": simulation.currentStep, "frozen": free_energy_of(phi, logs, high)}


def _here(meta: Any, simulation: Any, group: int, kt: float) -> tuple[float, float]:
    """φ and V/kT."""
    phi, _ = meta.getCollectiveVariables(simulation)
    bias = simulation.context.getState(energy=True, groups={group}).getPotentialEnergy()._value
    return phi, bias / kt


def _open(seed: int, pace: int) -> tuple[Any, Any, int, float]:
    """The walk, equilibrated from the system's structure, the force group of its bias, and kT in kJ/mol."""
    import openmm
    from openmm import app

    from molgen.dynamics.langevin import repartitioned
    from molgen.systems import load_system
    from molgen.units import thermal_energy

    system = load_system("alanine-dipeptide")
    forces = openmm.XmlSerializer.deserialize(repartitioned(system.system_xml, system.topology, 3.0))
    torsions = {cv.name: cv.torsion for cv in system.definition.cv}
    variables = [_variable(torsions["phi"]), _variable(torsions["psi"])]
    meta = app.Metadynamics(forces, variables, system.temperature_k, BIAS_FACTOR, HEIGHT_KJ, pace)
    group = forces.getForce(forces.getNumForces() - 1).getForceGroup()
    integrator = openmm.LangevinMiddleIntegrator(system.temperature_k, 1.0, 0.002)
    integrator.setRandomNumberSeed(seed)
    platform = openmm.Platform.getPlatformByName("Reference")
    simulation = app.Simulation(app.Topology(), forces, integrator, platform)
    simulation.context.setPositions(system.positions)
    simulation.context.setVelocitiesToTemperature(system.temperature_k, seed)
    # The integrator alone does not deposit.
    simulation.step(EQUILIBRATION_STEPS)
    return meta, simulation, group, thermal_energy(system.temperature_k)


def _variable(atoms: Sequence[int]) -> Any:
    import openmm
    from openmm import app

    force = openmm.CustomTorsionForce("theta")
    force.addTorsion(*atoms, [])
    return app.BiasVariable(force, -math.pi, math.pi, WIDTH_RAD, True, GRID)


def _surface(meta: Any, kt: float) -> np.ndarray:
    """V/kT on the grid (ψ, φ); the last row and column, which repeat the first, are left out."""
    scale = -(BIAS_FACTOR - 1.0) / BIAS_FACTOR / kt
    return np.asarray(meta.getFreeEnergy()._value)[:-1, :-1] * scale


def _offset(meta: Any, kt: float) -> float:
    """c(t)/kT."""
    v = _surface(meta, kt)
    top = v.max()
    above = np.exp(BIAS_FACTOR / (BIAS_FACTOR - 1.0) * (v - top)).mean()
    below = np.exp((v - top) / (BIAS_FACTOR - 1.0)).mean()
    return float(math.log(above / below) + top)


def _final(meta: Any, kt: float, high: float) -> float | None:
    weights = np.exp(BIAS_FACTOR / (BIAS_FACTOR - 1.0) * _surface(meta, kt)).sum(axis=0)
    phi = np.linspace(-math.pi, math.pi, GRID)[:-1]
    return _free_energy(phi, weights, high)


def _reweighted(frames: np.ndarray, budget: int, high: float) -> float | None:
    """Frames (n, 4) of φ, V/kT, c/kT and the step."""
    phi, bias, offset = frames[frames[:, 3] > TRANSIENT * budget, :3].T
    return free_energy_of(phi, bias - offset, high)


def free_energy_of(phi: np.ndarray, log_weight: np.ndarray, high: float) -> float | None:
    """−ln p/(1 − p) of 0 < φ < ``high`` from weighted frames; None if one side was never visited."""
    return _free_energy(phi, np.exp(log_weight - log_weight.max()), high)


def _free_energy(phi: np.ndarray, weights: np.ndarray, high: float) -> float | None:
    """−ln p/(1 − p) of 0 < φ < ``high``; None if one side was never visited."""
    rare = (phi > 0.0) & (phi < high)
    inside, outside = weights[rare].sum(), weights[~rare].sum()
    return float(-math.log(inside / outside)) if inside > 0.0 and outside > 0.0 else None
