"""Umbrella windows on (φ, ψ) around both circles by ``simulate --plain --bias``, joined by the MBAR of ``reweight``.

On φ alone is not enough: near φ = 0 the molecule passes by ψ near 90° or near −70°, and a window of 80 ps does not see
it change over.

``reweight`` thins the frames to independent ones and refuses sets that do not hang together. Its rivals are not to be
the worse for that: :func:`all_frames` is plain MBAR (M. R. Shirts, J. D. Chodera, J. Chem. Phys. 129, 124105 (2008),
by pymbar) of every frame, refusing nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VARIABLES = ("phi", "psi")
STIFFNESS = (150.0, 40.0)
"""kJ/mol/rad² on φ and ψ: 7° and 14° in a flat place. The top at φ = 0 has a curvature of −100 kJ/mol/rad², from which
weaker windows slide off."""
CENTERS = tuple((-180.0 + 15.0 * i, -180.0 + 30.0 * j) for i in range(19) for j in range(12))
"""φ from −180° to 90°, which leaves out what lies 8 kT and more above both basins, by 15°; ψ around by 30°."""
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
    system: Any,
    folder: Path,
    steps: int,
    seed: int,
    centers: Sequence[tuple[float, ...]] = CENTERS,
    stiffness: tuple[float, ...] = STIFFNESS,
) -> Windows:
    """``steps`` in all, divided equally; a window leaves out its first fifth. ``centers`` are of φ, or of φ and ψ.

    The window nearest to the system's structure starts there, each other one at the last frame of its nearest
    neighbour among those that are done: pulled across the circle at once, an amide may turn cis.
    """
    from molgen import workflows
    from molgen.seeds import child_seed

    length = steps // len(centers) * TIMESTEP_PS
    settings = workflows.SimulationSettings(
        plain_chains=1, piece_ps=length, equilibration_ps=max(SHORTEST_TRANSIENT_PS, TRANSIENT * length)
    )
    names = ["-".join(f"{angle:+g}" for angle in center) for center in centers]
    homes, spent = [folder / f"window{name}" for name in names], 0
    for index, before in _order(system, centers):
        springs = zip(VARIABLES, centers[index], stiffness, strict=False)
        done = workflows.simulate(
            system,
            homes[index],
            mode="plain",
            time_ps=length,
            bias=" + ".join(f"harmonic({cv}, center={angle:g}deg, k={k:g} kJ/mol/rad^2)" for cv, angle, k in springs),
            start=None if before is None else homes[before],
            settings=settings,
            seed=child_seed(seed, "umbrella", names[index], steps, bits=31),
            platform="Reference",
        )
        spent += done.evaluations
    return Windows(system, tuple(homes), spent)


def _order(system: Any, centers: Sequence[tuple[float, ...]]) -> list[tuple[int, int | None]]:
    """Each window and the one it starts from (None: the structure), always the pair with the shortest way."""
    import numpy as np

    from molgen.observables.table import evaluate_cvs

    found = evaluate_cvs(system, system.positions[None])
    places = np.radians(centers)
    start = np.array([found[name][0] for name in VARIABLES[: places.shape[1]]])

    def away(place: Any) -> Any:
        return np.sum(1.0 - np.cos(places - place), axis=1)

    distance, parent = away(start), [None] * len(places)
    order: list[tuple[int, int | None]] = []
    left = set(range(len(places)))
    while left:
        index = min(left, key=lambda one: distance[one])
        left.remove(index)
        order.append((index, parent[index]))
        for other in left:
            way = away(places[index])[other]
            if len(order) == 1 or way < distance[other]:
                distance[other], parent[other] = way, index
    return order


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
    biases = np.array([parse_bias(each.biases[0], found.system).reduced(frames).numpy() for each in sets])
    f = MBAR(biases, counts, solver_protocol="robust").f_k
    logs = -logsumexp(f[:, None] - biases, b=counts[:, None], axis=0)
    weights = np.exp(logs - logs.max())
    phi = evaluate_cvs(found.system, positions)["phi"]
    rare = (phi > low) & (phi < high)
    inside, outside = weights[rare].sum(), weights[~rare].sum()
    return float(-math.log(inside / outside)) if inside > 0.0 and outside > 0.0 else None
