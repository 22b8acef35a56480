"""The part of `check` that looks at a system alone: its bonds, names, energy, stereo, coordinates, states, speed."""

import math
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from molgen.coordinates.chart import chart_of
from molgen.coordinates.violations import atom_word, cis_bonds, peptide_bonds, stereocentres
from molgen.energies.base import CHUNK_FRAMES, Energy
from molgen.energies.minimisation import minimise
from molgen.energies.platforms import PlatformChoice
from molgen.errors import MolgenError
from molgen.observables.states import build_states
from molgen.observables.table import evaluate_cvs
from molgen.systems.system import MolecularSystem, System
from molgen.systems.system_bonds import terms_like_bonds
from molgen.units import thermal_energy
from molgen.workflows.findings import Finding, note, ok, plural, problem, refused

MAX_EXCESS = 10.0
NOTED_EXCESS = 1.0
"""kT per degree of freedom above the minimum nearby; a frame at equilibrium has about one half."""
_NEAR = 3
_NS_FS = 1e6


@dataclass(frozen=True)
class Zero:
    """The reduced energy of the minimised structure, and the number of degrees of freedom it is shared by."""

    reduced: float
    freedom: int


def check_topology(system: MolecularSystem) -> Iterator[Finding]:
    """Bonds against the force field's, names, number of molecules."""
    residues = len({atom.residue_index for atom in system.topology.atoms})
    size = f"{system.n_particles} atoms in {plural(residues, 'residue')}, {len(system.topology.bonds)} bonds"
    yield ok("system", f"{system.name}: {size}, {system.temperature_k:g} K.")
    yield _molecules(system)
    yield _bonds(system)
    names = Counter((atom.residue_index, atom.name) for atom in system.topology.atoms)
    twice = [(residue, name) for (residue, name), count in names.items() if count > 1]
    if twice:
        sentence = f"The name {twice[0][1]} is given twice in residue {twice[0][0] + 1}."
        yield note("names", sentence, "Name every atom of a residue differently, so that trajectories can be matched.")
    else:
        yield ok("names", "Every atom of a residue has its own name.")


def check_stereo(system: MolecularSystem) -> Iterator[Finding]:
    """Stereocentres and peptide bonds of the structure, which make up its domain."""
    centres = stereocentres(system)
    listed = ", ".join(atom_word(system.topology, atom) for atom in centres)
    count = plural(len(centres), "stereocentre")
    yield ok("stereocentres", f"{count}{': ' + listed if listed else ''}; fixed as in the structure.")
    bonds, cis = peptide_bonds(system.topology), cis_bonds(system)
    free = system.definition.domain.cis_trans == "free"
    fate = "free to turn" if free else "fixed as in the structure"
    if cis and not free:
        remedy = 'If trans was meant, correct the structure; if both are, set cis_trans = "free" under [domain].'
        sentence = f"{len(cis)} of {len(bonds)} peptide bonds are cis, {fate}: {', '.join(cis)}."
        yield note("peptide bonds", sentence, remedy)
    else:
        yield ok("peptide bonds", f"{plural(len(bonds), 'peptide bond')}, {len(cis)} cis; {fate}.")


def check_coordinates(system: System) -> Finding:
    """The internal coordinates a model would learn in."""
    try:
        chart = chart_of(system)
    except MolgenError as error:
        return refused("coordinates", error)
    if not isinstance(system, MolecularSystem):
        return ok("coordinates", f"{plural(chart.dimension, 'coordinate')}, learned as they are.")
    folded = sum(period < 2.0 * math.pi - 1e-9 for period in chart.periods)
    counts = f"{len(chart.circular)} free torsions, {folded} of them of folded groups of equal hydrogens"
    return ok("coordinates", f"{chart.dimension} internal coordinates; {counts}.")


def check_states(system: System) -> Iterator[Finding]:
    """Collective variables and states at the structure."""
    if not system.definition.cv:
        remedy = "Add [[cv]] sections (molgen init writes the torsions)."
        yield note("variables", "No collective variable is defined, so there are no profiles and no states.", remedy)
        return
    try:
        values = evaluate_cvs(system, system.positions[None])
        states = build_states(system)
    except MolgenError as error:
        yield refused("variables", error)
        return
    shown = ", ".join(f"{name} {_shown(system, name, float(value[0]))}" for name, value in values.items())
    bad = [name for name, value in values.items() if not np.isfinite(value[0])]
    if bad:
        yield problem(
            "variables", f"{bad[0]} is not finite at the structure.", "Correct its atoms in the system's TOML."
        )
    else:
        yield ok("variables", f"At the structure {shown}.")
    if not states.names:
        yield note(
            "states",
            "No states are defined.",
            "train finds states in its frames; [[state]] sections declare your own.",
        )
        return
    index = int(states.assign(values)[0])
    where = "in none" if index < 0 else f"in {states.names[index]}"
    yield ok("states", f"{len(states.names)} states ({', '.join(states.names)}); the structure is {where}.")


def check_energy(system: System, energy: Energy) -> tuple[Finding, Zero | None]:
    """The energy and largest force at the structure, and the energy of the minimum nearby."""
    u, slope = energy.reduced_and_gradient(system.positions[None], purpose="data")
    if not np.isfinite(u[0]):
        remedy = "Atoms overlap or the force field is broken: correct the structure, or make the system again."
        return problem("energy", "The energy of the structure is not finite.", remedy), None
    freedom = system.n_particles * system.dim - (6 if isinstance(system, MolecularSystem) else 0)
    fixed = len(system.constraints) if isinstance(system, MolecularSystem) else 0
    freedom = max(freedom - fixed, 1)
    # Without its constraints a minimisation would pull fixed bonds apart, which have no term in the energy.
    lowest = float(u[0]) if fixed else minimise(energy, system.positions)[1]
    excess = (float(u[0]) - lowest) / freedom
    force = float(np.linalg.norm(slope[0], axis=-1).max()) * thermal_energy(energy.temperature_k)
    above = f"{float(u[0]) - lowest:.1f} kT above the minimum nearby ({excess:.2f} kT a degree of freedom)"
    sentence = f"{u[0]:.1f} kT at the structure, {'not minimised for its constraints' if fixed else above}; "
    sentence += f"largest force {force:.3g} kJ/mol/nm."
    zero = Zero(lowest, freedom)
    if excess > MAX_EXCESS:
        return problem("energy", sentence, "Atoms clash: minimise the structure before it becomes the topology."), zero
    if excess > NOTED_EXCESS:
        return note("energy", sentence, "The structure is strained; minimise it."), zero
    return ok("energy", sentence), zero


def check_speed(system: System, energy: Energy, choice: PlatformChoice | None) -> Finding:
    """Platforms on the clock, and what a nanosecond and 100,000 energies will take on the one that was chosen."""
    frames = np.repeat(system.positions[None], CHUNK_FRAMES, axis=0)
    energy.reduced(frames, purpose="data")
    begun = time.perf_counter()
    energy.reduced(frames, purpose="data")
    energies_s = 100_000 * (time.perf_counter() - begun) / len(frames)
    if choice is None or not choice.step_ms:
        return ok("speed", f"100,000 energies take about {_duration(energies_s)} on {energy.platform}, one process.")
    steps = _NS_FS / system.definition.dynamics.timestep_fs
    timings = ", ".join(f"{name} {ms:.3g}" for name, ms in sorted(choice.step_ms.items(), key=lambda item: item[1]))
    nanosecond = _duration(steps * choice.step_ms[choice.name] / 1e3)
    sentence = f"{choice.name} is the fastest (ms a step: {timings}); one process takes about {nanosecond} for 1 ns "
    return ok("speed", f"{sentence}and {_duration(energies_s)} for 100,000 energies.")


def _molecules(system: MolecularSystem) -> Finding:
    neighbours = system.topology.neighbours()
    left = set(range(system.n_particles))
    pieces = 0
    while left:
        pieces += 1
        queue = [left.pop()]
        for atom in queue:
            fresh = [other for other in neighbours[atom] if other in left]
            left.difference_update(fresh)
            queue.extend(fresh)
    if pieces == 1:
        return ok("molecule", "All atoms are joined by bonds: one molecule.")
    remedy = "Keep one molecule whose atoms are all joined by bonds (CONECT records); strip solvent and ions."
    return problem("molecule", f"The topology falls into {pieces} molecules.", remedy)


def _bonds(system: MolecularSystem) -> Finding:
    """Terms between atoms far apart, or up to three bonds apart (Urey-Bradley, 1-4), are no bonds."""
    held, like_bonds = terms_like_bonds(system.topology, system.positions, system.system_xml)
    topology = set(system.topology.bonds)
    loose = sorted(topology - held)
    neighbours = system.topology.neighbours()
    strange = sorted(pair for pair in like_bonds - topology if not _near(neighbours, *pair))
    if loose:
        i, j = loose[0]
        count = plural(len(loose), "bond")
        sentence = f"The force field has no term for {count} of the topology, the first {_bond(system, i, j)}."
        return problem("bonds", sentence, "Give the System and the topology of the same molecule in the same order.")
    if strange:
        i, j = strange[0]
        sentence = f"The force field bonds atoms that the topology does not, the first {_bond(system, i, j)}."
        return problem("bonds", sentence, "Add the bond to the topology (CONECT), or give its own System.")
    fixed = f"; {plural(len(system.constraints), 'distance')} fixed by constraints" if system.constraints else ""
    return ok("bonds", f"Every bond of the topology is held by the force field and the other way round{fixed}.")


def _near(neighbours: tuple[tuple[int, ...], ...], i: int, j: int) -> bool:
    reached = {i}
    for _ in range(_NEAR):
        reached |= {other for atom in reached for other in neighbours[atom]}
    return j in reached


def _bond(system: MolecularSystem, i: int, j: int) -> str:
    return f"{atom_word(system.topology, i)} - {atom_word(system.topology, j)}"


def _shown(system: System, name: str, value: float) -> str:
    (kind,) = next(cv for cv in system.definition.cv if cv.name == name).kinds
    if kind in ("torsion", "angle"):
        return f"{math.degrees(value):.0f}°"
    return f"{value:.3g}" if kind == "position" else f"{value:.3f} nm"


def _duration(seconds: float) -> str:
    for limit, divisor, unit in ((90.0, 1.0, "s"), (5400.0, 60.0, "min"), (172800.0, 3600.0, "h")):
        if seconds < limit:
            return f"{seconds / divisor:.2g} {unit}"
    return f"{seconds / 86400.0:.2g} days"
