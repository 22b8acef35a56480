"""Umbrella windows on φ around the circle by ``simulate --plain --bias``, joined by the MBAR of ``reweight``.

``reweight`` thins the frames to independent ones and refuses sets that do not hang together. Its rivals are not to be
the worse for that: :func:`all_frames` is plain MBAR (M. R. Shirts, J. D. Chodera, J. Chem. Phys. 129, 124105 (2008),
by pymbar) of every frame, refusing nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

STIFFNESS = 100.0
"""kJ/mol/rad²: 9° in a flat place, beside windows 15° apart. (With 50 and 22.5° windows slid off both barriers.)"""
CENTERS = tuple(-180.0 + 15.0 * index for index in range(24))
TRANSIENT = 0.2
SHORTEST_TRANSIENT_PS = 2.0
TIMESTEP_PS = 0.002
REWEIGHT = ["distances.enabled=false", "reference_energies=1", "bootstrap_repeats=20"]


@dataclass(frozen=True)
class Windows:
    """Finished windows: their run directories, the steps of all, equilibration counted."""

    system: Any
    runs: tuple[Path, ...]
    steps: int


def windows(
    system: Any, folder: Path, steps: int, seed: int, centers: Sequence[float] = CENTERS, k: float = STIFFNESS
) -> Windows:
    """``steps`` in all, divided equally; a window leaves out its first fifth.

    The window nearest to the system's structure starts there, each other one at the last frame of its neighbour on
    the way from there: pulled across the circle at once, an amide may turn cis.
    """
    from molgen import workflows
    from molgen.seeds import child_seed
    from molgen.trajectories.reading import read_frames

    length = steps // len(centers) * TIMESTEP_PS
    settings = workflows.SimulationSettings(
        plain_chains=1, piece_ps=length, equilibration_ps=max(SHORTEST_TRANSIENT_PS, TRANSIENT * length)
    )
    ends: dict[int, Any] = {-1: system.positions}
    homes, spent = [folder / f"window{center:+06.1f}" for center in centers], 0
    for index, before in _order(system, centers):
        done = workflows.simulate(
            replace(system, positions=ends[before]),
            homes[index],
            mode="plain",
            time_ps=length,
            bias=f"harmonic(phi, center={centers[index]:g}deg, k={k:g} kJ/mol/rad^2)",
            settings=settings,
            seed=child_seed(seed, "umbrella", f"{centers[index]:g}", steps, bits=31),
            platform="Reference",
        )
        ends[index] = read_frames([homes[index]], system, biased=True).positions[-1].astype(float)
        spent += done.evaluations
    return Windows(system, tuple(homes), spent)


def _order(system: Any, centers: Sequence[float]) -> list[tuple[int, int]]:
    """Each window and the one it starts from (-1: the structure), from the nearest up and down half the circle."""
    from molgen.observables.table import evaluate_cvs

    start = math.degrees(evaluate_cvs(system, system.positions[None])["phi"][0])
    n = len(centers)
    first = min(range(n), key=lambda index: abs((centers[index] - start + 180.0) % 360.0 - 180.0))
    up = [((first + step) % n, (first + step - 1) % n) for step in range(1, n // 2 + 1)]
    down = [((first - step) % n, (first - step + 1) % n) for step in range(1, n - n // 2)]
    return [(first, -1), *up, *down]


def reweighted(
    found: Windows, output: Path, seed: int, states: dict[str, str] | None = None, others: Sequence[Path] = ()
) -> tuple[dict[str, Any] | None, str]:
    """What ``reweight`` says of the windows (and ``others`` besides); None and its reason if it does not join them."""
    from molgen import workflows
    from molgen.errors import MolgenError

    chosen = workflows.ReweightSettings().with_overrides(REWEIGHT)
    runs = [*others, *found.runs]
    try:
        joined = workflows.reweight(runs, output, settings=chosen, seed=seed, states=states, allow_refused=True)
    except MolgenError as error:
        return None, str(error)
    return joined.record, ""


def all_frames(found: Windows, low: float, high: float) -> float | None:
    """−ln p/(1 − p) of ``low`` < φ < ``high`` (rad) by MBAR of every frame; None if one side was never visited."""
    import numpy as np
    import torch
    from pymbar import MBAR
    from scipy.special import logsumexp

    from molgen.bias.parsing import parse_bias
    from molgen.observables.table import evaluate_cvs
    from molgen.trajectories.reading import read_frames

    sets = [read_frames([run], found.system, biased=True) for run in found.runs]
    positions = np.concatenate([each.positions for each in sets])
    counts = np.array([len(each.positions) for each in sets])
    frames = torch.from_numpy(positions)
    biases = np.array([parse_bias(each.bias, found.system).reduced(frames).numpy() for each in sets])
    f = MBAR(biases, counts, solver_protocol="robust").f_k
    logs = -logsumexp(f[:, None] - biases, b=counts[:, None], axis=0)
    weights = np.exp(logs - logs.max())
    phi = evaluate_cvs(found.system, positions)["phi"]
    rare = (phi > low) & (phi < high)
    inside, outside = weights[rare].sum(), weights[~rare].sum()
    return float(-math.log(inside / outside)) if inside > 0.0 and outside > 0.0 else None
