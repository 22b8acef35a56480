"""A bias given by numbers on a grid of a collective variable."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch

from molgen.arrays import FloatArray
from molgen.bias.base import Parameter, VariableBias
from molgen.bias.quantities import parse_quantity
from molgen.errors import InputError
from molgen.observables.base import CollectiveVariable
from molgen.settings import nearest_hint
from molgen.systems.system import System

DEFAULT_MAX = 10.0
"""Height in kT up to which a free-energy profile is levelled, unless ``max`` says another."""
MIN_KNOTS = 4
_DIGITS = 3


@dataclass(frozen=True)
class Grid(VariableBias):
    """B(s) = Σ_k c_k β((s − s_k)/h), the cubic B-spline with coefficients c_k ↔ ``levels`` at knots s_k, h apart.

    β is the cubic B-spline of support 4, so that at a knot B = (c_{k−1} + 4 c_k + c_{k+1})/6: the numbers are smoothed,
    not passed through, and B never leaves their range, as an interpolating spline would. B is twice continuously
    differentiable. On a circle the n knots are the middles of n equal parts from −π to π; on a line they run from
    ``low`` to ``high`` (rad, nm or reduced units), and beyond one step outside B is constant. ``levels`` in kT.
    """

    PARAMETERS: ClassVar[Mapping[str, Parameter]] = {
        "low": Parameter("value", optional=True),
        "high": Parameter("value", optional=True),
        "values": Parameter("energies", optional=True),
        "file": Parameter("path", optional=True),
        "max": Parameter("energy", optional=True, positive=True),
    }
    cv: CollectiveVariable
    low: float
    high: float
    levels: tuple[float, ...]
    text: str

    @classmethod
    def expand(
        cls, cv: CollectiveVariable, written: Mapping[str, str], system: System, folder: Path, source: str
    ) -> dict[str, str]:
        """See :class:`molgen.bias.base.VariableBias`: a ``file`` becomes the numbers that level its profile."""
        if "file" not in written:
            if "max" in written:
                raise InputError(f"{source}: max is given without a file.", "Leave it out: the values are the bias.")
            return dict(written)
        if extra := sorted({"low", "high", "values"} & set(written)):
            raise InputError(f"{source}: {extra[0]} is given beside a file.", "Give either a file or values.")
        centres, free = read_profile(folder / written["file"], cv, system, source)
        most = DEFAULT_MAX
        if "max" in written:
            most = parse_quantity(written["max"], "energy", "", system.temperature_k, source=f"{source}: max")
        if most <= 0.0:
            raise InputError(f"{source}: max is not above zero.", "Give a positive max.")
        return levelling(cv, centres, free, most)

    @classmethod
    def build(cls, cv: CollectiveVariable, values: Mapping[str, Any], text: str) -> Self:
        """See :class:`molgen.bias.base.VariableBias`; ``InputError`` for a grid with too few numbers or no ends."""
        levels = values.get("values")
        if levels is None or len(levels) < MIN_KNOTS:
            raise InputError(
                f"{_short(text)!r}: a grid needs a file or at least {MIN_KNOTS} values.",
                f"Write grid({cv.name}, file=result/profiles.json), or values=0; 1; 2; 1 kT.",
            )
        ends = [values[key] for key in ("low", "high") if key in values]
        if cv.periodic and ends:
            raise InputError(f"{_short(text)!r}: a grid on a circle has no ends.", "Leave out low and high.")
        if cv.periodic:
            half = math.pi / len(levels)
            return cls(cv, half - math.pi, math.pi - half, levels, text)
        low, high = values.get("low", math.nan), values.get("high", math.nan)
        if not low < high:
            raise InputError(
                f"{_short(text)!r}: a grid on a line needs low below high.",
                f"Say where the first and the last value stand, e.g. low=0.2 nm, high=0.9 nm for {cv.name}.",
            )
        return cls(cv, low, high, levels, text)

    @property
    def step(self) -> float:
        """h."""
        return (self.high - self.low) / (len(self.levels) - 1)

    def profile(self, values: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.bias.base.VariableBias`."""
        padded = self._coefficients
        table = torch.tensor(padded, dtype=torch.float64, device=values.device)
        place = (values.double() - self.low) / self.step
        if self.cv.periodic:
            place = place - len(self.levels) * torch.floor(place.detach() / len(self.levels))
        else:
            place = place.clamp(-2.0, len(self.levels) + 1.0)
        # Coefficients from k − 1 to k + 2 act between the knots k and k + 1; the table begins three knots early.
        cell = place.detach().floor().clamp(max=len(padded) - 6.0)
        index = cell.long() + 3
        f = place - cell
        weights = (
            (1.0 - f) ** 3 / 6.0,
            (3.0 * f**3 - 6.0 * f**2 + 4.0) / 6.0,
            (-3.0 * f**3 + 3.0 * f**2 + 3.0 * f + 1.0) / 6.0,
            f**3 / 6.0,
        )
        total = torch.zeros_like(f)
        for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
            total = total + table[index + offset] * weight
        return total

    @property
    def expression(self) -> str:
        """See :class:`molgen.bias.base.VariableBias`; β(u) = [max(2 − |u|, 0)³ − 4 max(1 − |u|, 0)³]/6."""
        n, place = len(self.levels), f"(s-({self.low!r}))/{self.step!r}"
        knots = enumerate(self.levels) if self.cv.periodic else enumerate(self._coefficients, start=-3)
        terms, places = [], []
        for number, (knot, level) in enumerate(knots):
            u = f"u{number}"
            terms.append(f"({level / 6.0!r})*(max(2-{u},0)^3-4*max(1-{u},0)^3)")
            turn = f"-{n}*floor((x-({knot}))/{n}+0.5)" if self.cv.periodic else ""
            places.append(f"{u}=abs(x-({knot}){turn})")
        ends = f"x={place}" if self.cv.periodic else f"x=min(max({place},-2),{n + 1})"
        return "; ".join(("+".join(terms), *places, ends))

    @property
    def _coefficients(self) -> tuple[float, ...]:
        """``levels`` with three more on the left and on the right: around the circle, or of the ends."""
        if self.cv.periodic:
            return (*self.levels[-3:], *self.levels, *self.levels[:3])
        return (*(self.levels[:1] * 3), *self.levels, *(self.levels[-1:] * 3))

    @property
    def slope_bound(self) -> float:
        """max |c_{k+1} − c_k|/h, since B' is a convex combination of such."""
        return float(np.max(np.abs(np.diff(self._coefficients)))) / self.step

    @property
    def curvature_bound(self) -> float:
        """max |c_{k+1} − 2 c_k + c_{k−1}|/h², since B'' is linear between its values at the knots."""
        return float(np.max(np.abs(np.diff(self._coefficients, 2)))) / self.step**2


def levelling(cv: CollectiveVariable, centres: FloatArray, free: FloatArray, most: float) -> dict[str, str]:
    """Parameters, as text, of the grid B = −min(F − min F, ``most``) for F (n,) in kT at equidistant ``centres`` (n,).

    Where F is not known (NaN) it counts as the highest value known, or as ``most`` if that is lower: a region of which
    nothing is known is pushed to no more than its highest known neighbours.
    """
    height = free - np.nanmin(free)
    height = np.minimum(np.where(np.isfinite(height), height, np.nanmax(height)), most)
    written = {"values": "; ".join(f"{0.0 - level:.{_DIGITS}f}" for level in height) + " kT"}
    if cv.periodic:
        return written
    ends = {"low": float(centres[0]), "high": float(centres[-1])}
    return {key: f"{value:.6g} {cv.unit}".strip() for key, value in ends.items()} | written


def read_profile(path: Path, cv: CollectiveVariable, system: System, source: str) -> tuple[FloatArray, FloatArray]:
    """Centres and free energies in kT (NaN where unknown) of ``cv`` in a ``profiles.json`` or its run directory.

    ``InputError`` naming ``source`` for a file that is none, of another system, or without this variable.
    """
    file = path / "profiles.json" if path.is_dir() else path
    hint = "Give the -o of molgen reweight, or the profiles.json in it."
    if not file.is_file():
        raise InputError(f"{source}: there is no {file}.", hint)
    try:
        lines = {line["cv"]: line for line in json.loads(file.read_bytes())["profiles_1d"]}
        result = file.parent / "result.json"
        of = json.loads(result.read_bytes())["system"] if result.is_file() else system.name
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{source}: {file} holds no free-energy profiles.", hint) from error
    if of != system.name:
        raise InputError(f"{source}: {file} is of {of}, not of {system.name}.", f"Give a profile of {system.name}.")
    if cv.name not in lines:
        raise InputError(f"{source}: {file} has no profile of {cv.name}.", nearest_hint(cv.name, lines))
    line = lines[cv.name]
    centres = np.asarray(line["grid_centres"], dtype=np.float64)
    free = np.asarray([math.nan if value is None else value for value in line["free_energy"]], dtype=np.float64)
    if line["unit"] != cv.unit:
        raise InputError(f"{source}: the profile in {file} is in {line['unit'] or 'no unit'}, not {cv.unit}.", hint)
    if len(centres) < MIN_KNOTS or len(free) != len(centres) or int(np.sum(np.isfinite(free))) < 2:
        raise InputError(f"{source}: the profile of {cv.name} in {file} has too few known values.", hint)
    return centres, free


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
