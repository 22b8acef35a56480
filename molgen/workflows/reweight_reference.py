"""The reference ensemble of a reweighting: its frames, weights, blocks, states, and energies of a part of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from molgen.analysis.correlated import blocks
from molgen.analysis.intervals import WeightedRows
from molgen.arrays import FloatArray, IntArray
from molgen.energies.base import Energy
from molgen.errors import InputError
from molgen.observables.states import StateSet
from molgen.observables.table import build_cvs, evaluate_cvs
from molgen.reweighting.forward import forward_ess
from molgen.systems.system import System
from molgen.trajectories.options import ReadingOptions
from molgen.weights import normalised
from molgen.workflows.frames import check_temperature, open_frames


@dataclass(frozen=True)
class Reference:
    """Frames of the target: weights with blocks, states and variables of all; u ``(m,)`` of the frames ``row``.

    ``declared`` is True for a reference that the user named as equilibrium frames that were not trained on;
    ``counts`` says how many frames were used, left out, relabelled and made whole.
    """

    rows: WeightedRows
    label: IntArray
    variables: dict[str, FloatArray]
    row: IntArray
    energy: FloatArray
    positions: FloatArray
    declared: bool
    counts: dict[str, Any] = field(default_factory=dict)

    @property
    def energy_share(self) -> FloatArray:
        """Weights ``(m,)`` of the frames whose energy is known; they sum to 1."""
        share = self.rows.share[self.row]
        return np.asarray(share / np.sum(share), dtype=np.float64)


def open_reference(
    path: Path,
    system: System,
    states: StateSet,
    energy: Energy,
    *,
    declared: bool,
    reading: ReadingOptions,
    energies: int,
    generator: np.random.Generator,
) -> Reference:
    """Read the reference; ``InputError`` for frames of hot or exploring dynamics, which are no sample of the target.

    Frames outside the domain, to which the target is restricted, are left out and counted.
    """
    usable = open_frames([path], system, reading, kind="equilibrium")
    frames = usable.frames
    if frames.kind != "equilibrium":
        raise InputError(
            f"{path} holds explore frames, which are no equilibrium sample.", "Give plain dynamics to --reference."
        )
    check_temperature(frames, energy.temperature_k, str(path))
    positions = np.asarray(frames.positions, dtype=np.float64)
    variables = evaluate_cvs(system, positions)
    label = states.assign(variables) if states.names else np.full(len(positions), -1, dtype=np.int64)
    total = frames.total_log_weight
    log_weight = np.zeros(len(positions)) if total is None else total
    series = _series(system, variables) + [(label == index).astype(np.float64) for index in range(len(states.names))]
    rows = WeightedRows(normalised(log_weight), blocks(frames.lineage, series))
    row = np.sort(generator.choice(len(positions), size=min(energies, len(positions)), replace=False))
    some = positions[row]
    counts = {
        "frames": len(frames),
        "outside_domain": usable.outside,
        "relabelled": dict(usable.relabelled),
        "made_whole": frames.made_whole,
        "notes": list(usable.notes),
    }
    return Reference(rows, label, variables, row, energy.reduced(some, purpose="reweighting"), some, declared, counts)


def reference_forward_ess(
    reference: Reference, log_prob: Callable[[FloatArray], FloatArray], *, most: int | None = None
) -> float:
    """Forward ESS (a fraction) on the frames whose energy is known, about ``most`` of them at even distance.

    NaN where log q cannot be computed.
    """
    stride = 1 if most is None else max(1, -(-len(reference.energy) // most))
    energy, share = reference.energy[::stride], reference.energy_share[::stride]
    log_q = log_prob(reference.positions[::stride])
    usable = np.isfinite(energy)
    return forward_ess(-energy[usable] - log_q[usable], share[usable])


def _series(system: System, variables: dict[str, FloatArray]) -> list[FloatArray]:
    series: list[FloatArray] = []
    for name, variable in build_cvs(system).items():
        values = variables[name]
        series += [np.sin(values), np.cos(values)] if variable.periodic else [values]
    return series
