"""Whether the draws reach every place the reference or the training frames have been to.

Figures on draws of q alone cannot see a missing mode, so states and cells of the collective variables that hold frames
but no draws are looked for by name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.weights import effective_count, normalised

CELLS = 12
"""Cells along each collective variable."""
MAX_UNREACHED_SHARE = 0.01
"""Share of the reference that may lie in cells without any draw (edges of sparsely populated regions)."""
MIN_STATE_RATIO = 0.1
"""A state is missing if its weight is below this part of what an equilibrium reference gives it."""
MIN_REFERENCE_FRAMES = 5
"""A state with fewer frames than this in the reference is not asked for."""

CoverageSource = Literal["reference", "training frames", "reference and training frames"]


@dataclass(frozen=True)
class Coverage:
    """``missing`` names states or regions, each a phrase that completes "… is missing from the draws"."""

    tested: bool
    by: CoverageSource | None = None
    missing: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The record in result.json."""
        return {"tested": self.tested, "by": self.by, "missing": list(self.missing)}


@dataclass(frozen=True)
class CVGrid:
    """Values of one collective variable on draws ``(n,)`` and frames ``(m,)``; a periodic one has period 2π."""

    name: str
    draws: FloatArray
    frames: FloatArray
    periodic: bool


def missing_states(
    names: Sequence[str],
    log_weight: FloatArray,
    labels: IntArray,
    frame_labels: IntArray,
    frame_weight: FloatArray,
    *,
    equilibrium: bool = True,
) -> tuple[str, ...]:
    """States with frames and without draws of weight > 0 or, for equilibrium frames, with far too little weight.

    ``frame_weight`` ``(m,)`` are the frames' own weights (any scale).
    """
    draw_shares = normalised(log_weight)
    frame_shares = frame_weight / np.sum(frame_weight)
    missing = []
    for index, name in enumerate(names):
        if int(np.sum(frame_labels == index)) < MIN_REFERENCE_FRAMES:
            continue
        share = float(np.sum(draw_shares[labels == index]))
        expected = float(np.sum(frame_shares[frame_labels == index]))
        if share <= 0.0:
            missing.append(f"state {name} ({expected:.2%} of the frames)")
        elif equilibrium and share < MIN_STATE_RATIO * expected:
            missing.append(f"most of state {name} ({expected:.2%} of the reference, {share:.2%} of the weight)")
    return tuple(missing)


def unreached_regions(grids: Sequence[CVGrid], log_weight: FloatArray, frame_weight: FloatArray) -> tuple[str, ...]:
    """Cells of each variable, and of the first two together, that hold frames but no draw of weight > 0.

    A region is named when such cells hold more of the frames' weight than ``MAX_UNREACHED_SHARE`` beyond what as many
    perfect draws as Kish's number would leave unreached: with π_c = exp(-n_eff·p_c) that is Σ p_c·π_c, and four
    standard deviations, of variance Σ p_c²·π_c·(1 - π_c).
    """
    valid = np.isfinite(log_weight)
    n_effective = effective_count(log_weight)
    shares = frame_weight / np.sum(frame_weight)
    cells = [_cells(grid, valid) for grid in grids]
    combinations: list[tuple[str, IntArray, IntArray]] = [
        (grid.name, draws, frames) for grid, (draws, frames) in zip(grids, cells, strict=True)
    ]
    if len(grids) >= 2:
        (first_draws, first_frames), (second_draws, second_frames) = cells[:2]
        pair = f"({grids[0].name}, {grids[1].name})"
        width = CELLS + 2
        combinations.append((pair, first_draws * width + second_draws, first_frames * width + second_frames))
    missing = []
    for name, draws, frames in combinations:
        unreached = float(np.sum(shares[~np.isin(frames, np.unique(draws[valid]))]))
        mass = np.bincount(frames, weights=shares)
        empty = np.exp(-n_effective * mass)
        by_chance = float(np.sum(mass * empty) + 4.0 * np.sqrt(np.sum(mass**2 * empty * (1.0 - empty))))
        if unreached > MAX_UNREACHED_SHARE + by_chance:
            missing.append(f"a region of {name} that holds {unreached:.2%} of the frames")
    return tuple(missing)


def _cells(grid: CVGrid, valid: BoolArray) -> tuple[IntArray, IntArray]:
    """Cell numbers of draws and frames; edges span the frames, and what lies beyond them has cells of its own."""
    if grid.periodic:
        edges = np.linspace(-np.pi, np.pi, CELLS + 1)
        draws, frames = (np.mod(values + np.pi, 2 * np.pi) - np.pi for values in (grid.draws, grid.frames))
    else:
        draws, frames = grid.draws, grid.frames
        low, high = np.quantile(frames, [0.001, 0.999])
        edges = np.linspace(low, max(high, low + 1e-9), CELLS + 1)
    found = np.digitize(np.where(valid, draws, edges[0]), edges)
    return found.astype(np.int64), np.digitize(frames, edges).astype(np.int64)


def from_training(*trainings: Mapping[str, Any]) -> Coverage:
    """Coverage by the training frames: the per-state guard that training recorded under ``states``
    (or ``states.guard``).

    Each entry is a mapping with ``name``, ``passed`` and ``reason``; anything else counts as not tested. Where the
    draws of several models are weighed together, a state is lost if none of those that know it has kept it.
    """
    entries = [entry for training in trainings for entry in _guard_entries(training)]
    if not entries:
        return Coverage(tested=False)
    kept = {entry.get("name") for entry in entries if entry["passed"]}
    lost = {str(entry.get("name")): entry.get("reason", "") for entry in entries if entry.get("name") not in kept}
    return Coverage(True, "training frames", tuple(f"state {name} ({reason})" for name, reason in lost.items()))


def _guard_entries(training: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    states = training.get("states")
    if isinstance(states, Mapping):
        states = states.get("guard")
    records = states if isinstance(states, Sequence) else ()
    return [entry for entry in records if isinstance(entry, Mapping) and "passed" in entry]


def merge(first: Coverage, second: Coverage) -> Coverage:
    """Both tests together."""
    if not first.tested or not second.tested:
        return first if first.tested else second
    return Coverage(tested=True, by="reference and training frames", missing=(*first.missing, *second.missing))
