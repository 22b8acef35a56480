"""`auto:CV`: a bias that levels the free-energy profile of the target along one collective variable, found by itself.

Draws of the model are weighed to the target with their energies, u from the force field, and the profile F along the
variable gives the grid bias B = −min(F, max). Why the target's profile and not the model's own, which would cost no
energy: a model is least right where it draws least. On alanine dipeptide a trained spline flow has a hundred times too
much on the barriers along phi, and levelling its own profile would spend the draws there. The bias is then frozen.

Where ``max`` is higher than what the draws show, the bias found so far pushes new ones, up to ``rounds`` times.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import Field, PositiveInt

from molgen import seeds
from molgen.arrays import FloatArray
from molgen.bias.base import SumBias
from molgen.bias.grid import levelling
from molgen.bias.parsing import NO_FUNCTIONS, Functions, find_variable, parse_bias
from molgen.bias.quantities import parse_quantity
from molgen.energies.base import Energy
from molgen.errors import InputError, PartialError
from molgen.interruption import Interruption
from molgen.observables.base import CollectiveVariable
from molgen.progress import Progress, ProgressEvent, silent
from molgen.sampling.methods import PushedModel
from molgen.settings import Settings
from molgen.systems.system import System
from molgen.weights import normalised

_VARIABLE = r"([^\s,()+]+(?:\([^()]*\))?)"
_SHORT = re.compile(rf"auto:\s*{_VARIABLE}")
_LONG = re.compile(rf"auto\s*\(\s*{_VARIABLE}\s*(?:,\s*max\s*=\s*([^,()]+))?\)")
MIN_EFFECTIVE = 3.0
"""Kish's number of effective draws that a bin and half of its neighbours need for their free energy to be known."""
BASIN_DEPTH = 1.0
"""A basin is a minimum of F from which every way into a deeper one rises by this much (kT)."""
MARGIN = 2.0
"""The profile is levelled to so much (kT) above the highest basin, unless ``max`` says otherwise."""
LOWEST = 4.0
"""... and at least to this (kT)."""


class FlatteningSettings(Settings):
    """``pilot`` draws a round, each of which costs one energy; ``bins`` of the grid; at most ``rounds``."""

    pilot: PositiveInt = 2000
    bins: int = Field(default=48, ge=8)
    rounds: PositiveInt = 4


@dataclass(frozen=True)
class AutoBias:
    """Level the profile along ``cv`` up to ``most`` kT (None: a little above the highest basin)."""

    cv: CollectiveVariable
    most: float | None
    text: str


@dataclass(frozen=True)
class Flattened:
    """The bias found, its height ``most`` in kT, after how many rounds."""

    bias: SumBias
    most: float
    rounds: int


def parse_auto(
    line: str, system: System, folder: Path | None = None, functions: Functions = NO_FUNCTIONS
) -> AutoBias | None:
    """``auto:phi`` or ``auto(phi, max=8 kT)``; None for a line that is something else.

    ``InputError`` for a variable that the system has not, a maximum that is none, or ``auto`` beside other terms.
    """
    text = line.strip()
    if not re.match(r"auto\b", text):
        return None
    match = _SHORT.fullmatch(text) or _LONG.fullmatch(text)
    if match is None:
        raise InputError(f"The bias {text!r} cannot be read.", "Write auto:phi or auto(phi, max=8 kT), alone.")
    cv = find_variable(match.group(1), system, folder, functions)
    given = match.group(2) if match.re is _LONG else None
    if given is None:
        return AutoBias(cv, None, f"auto:{cv.name}")
    most = parse_quantity(given, "energy", "", system.temperature_k, source=f"{text}: max")
    if most <= 0.0:
        raise InputError(f"{text!r}: max is not above zero.", "Give a positive max.")
    return AutoBias(cv, most, f"auto({cv.name}, max={given.strip()})")


def flatten(
    model: PushedModel,
    system: System,
    auto: AutoBias,
    energy: Energy,
    push: Callable[[SumBias, int], PushedModel],
    settings: FlatteningSettings,
    seed: int,
    progress: Progress = silent,
    interruption: Interruption | None = None,
    functions: Functions = NO_FUNCTIONS,
) -> Flattened:
    """The bias that levels the target's profile along ``auto.cv``; ``model`` draws first, then ``push(bias, round)``.

    Energies are counted under ``sampling``. ``PartialError`` if the draws say nothing of the profile.
    """
    proposal, found, most = model, None, 0.0
    for round_ in range(settings.rounds):
        if interruption is not None:
            interruption.check()
        generator = torch.Generator().manual_seed(seeds.child_seed(seed, "profile", round_))
        values, log_weight = _weighted(proposal, auto.cv, energy, settings.pilot, generator)
        centres, free = profile(values, log_weight, auto.cv.periodic, settings.bins)
        known = np.isfinite(free)
        if int(known.sum()) < 2:
            raise PartialError(
                f"{settings.pilot} draws say nothing of the free energy along {auto.cv.name}.",
                "Make more (--set flattening.pilot=...), or train the model longer.",
            )
        most = auto.most if auto.most is not None else default_height(free, auto.cv.periodic)
        line = _line(auto.cv, centres, free, most)
        found = Flattened(parse_bias(line, system, functions=functions), most, round_ + 1)
        figures = {"known": float(known.mean()), "highest": float(np.nanmax(free))}
        progress(ProgressEvent("profile", round_ + 1, settings.rounds, "rounds", figures))
        if known.all() or float(np.nanmax(free)) >= most or auto.most is None or round_ + 1 == settings.rounds:
            break
        proposal = push(found.bias, round_)
    assert found is not None
    return found


def _line(cv: CollectiveVariable, centres: FloatArray, free: FloatArray, most: float) -> str:
    written = levelling(cv, centres, free, most)
    return f"grid({cv.name}, {', '.join(f'{key}={value}' for key, value in written.items())})"


def _weighted(
    model: PushedModel, cv: CollectiveVariable, energy: Energy, n: int, generator: torch.Generator
) -> tuple[FloatArray, FloatArray]:
    """The variable (n,) at draws and ln w = −u − ln q (n,), -inf where there is no weight."""
    values, log_weight = [], []
    for start in range(0, n, model.piece):
        draws = model.sample(min(model.piece, n - start), generator)
        inside = (draws.in_domain & torch.isfinite(draws.log_q)).numpy()
        weight = np.full(len(inside), -np.inf)
        rows = np.flatnonzero(inside)
        reduced = energy.reduced(draws.positions[torch.as_tensor(rows)].numpy(), purpose="sampling")
        weight[rows] = -reduced - draws.log_q.numpy()[rows]
        values.append(np.nan_to_num(cv(draws.positions.double()).numpy()))
        log_weight.append(weight)
    return np.concatenate(values), np.concatenate(log_weight)


def profile(values: FloatArray, log_weight: FloatArray, periodic: bool, bins: int) -> tuple[FloatArray, FloatArray]:
    """Centres (bins,) and F (bins,) in kT, its lowest value 0, NaN where too few draws are.

    Each bin shares a quarter of its mass with either neighbour: F is smoothed over two bins.
    """
    weight = normalised(log_weight)
    if periodic:
        low, high = -math.pi, math.pi
    else:
        seen = values[np.isfinite(log_weight)]
        low, high = (float(item) for item in np.quantile(seen, [1e-3, 1.0 - 1e-3])) if len(seen) else (0.0, 1.0)
        high = max(high, low + 1e-9)
    width = (high - low) / bins
    cell = np.floor((values - low) / width).astype(np.int64)
    cell, inside = (cell % bins, weight > 0.0) if periodic else (cell, (weight > 0.0) & (cell >= 0) & (cell < bins))
    cell, weight = cell[inside], weight[inside]
    mass = _smoothed(np.bincount(cell, weights=weight, minlength=bins).astype(np.float64), periodic)
    second = np.asarray(np.bincount(cell, weights=weight**2, minlength=bins), dtype=np.float64)
    squares = _smoothed(second, periodic)
    known = mass**2 >= MIN_EFFECTIVE * np.maximum(squares, 1e-300)
    with np.errstate(divide="ignore"):
        free = np.where(known, -np.log(mass), np.nan)
    centres = np.asarray(low + width * (np.arange(bins) + 0.5), dtype=np.float64)
    return centres, np.asarray(free - np.nanmin(free) if known.any() else free, dtype=np.float64)


def _smoothed(mass: FloatArray, periodic: bool) -> FloatArray:
    padded = np.pad(mass, 1, mode="wrap" if periodic else "edge")
    return np.asarray(0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:], dtype=np.float64)


def default_height(free: FloatArray, periodic: bool) -> float:
    """How far to level: ``MARGIN`` above the highest basin of F, at least ``LOWEST``."""
    return max(LOWEST, max(basins(free, periodic)) + MARGIN)


def basins(free: FloatArray, periodic: bool) -> list[float]:
    """F at the bottom of every basin, by flooding from below; unknown places (NaN) part what lies beside them."""
    count = len(free)
    lake = np.full(count, -1)
    bottom: list[float] = []
    merged: list[int] = []

    def root(index: int) -> int:
        while merged[index] != index:
            index = merged[index]
        return index

    shallow: set[int] = set()
    for cell in np.argsort(np.where(np.isfinite(free), free, np.inf)):
        if not np.isfinite(free[cell]):
            break
        sides = [(cell + step) % count for step in (-1, 1) if periodic or 0 <= cell + step < count]
        near = sorted({root(int(lake[side])) for side in sides if lake[side] >= 0}, key=lambda item: bottom[item])
        if not near:
            bottom.append(float(free[cell]))
            merged.append(len(merged))
            lake[cell] = len(merged) - 1
            continue
        lake[cell] = near[0]
        for other in near[1:]:
            if free[cell] - bottom[other] < BASIN_DEPTH:
                shallow.add(other)
            merged[other] = near[0]
    return [value for index, value in enumerate(bottom) if index not in shallow]
