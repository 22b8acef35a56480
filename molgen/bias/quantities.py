"""Numbers with units in the text of a bias: of a variable, or energies per its unit, into kT, rad and nm."""

import math
import re

from molgen.bias.base import Dimension
from molgen.errors import InputError
from molgen.units import thermal_energy

_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*)", re.DOTALL)
KJ_PER_KCAL = 4.184
UNITS: dict[str, dict[str, float]] = {
    "rad": {"deg": math.pi / 180.0, "rad": 1.0},
    "nm": {"nm": 1.0, "angstrom": 0.1, "Å": 0.1},
    "": {"": 1.0},
}
"""Units of a variable by the one it is computed in, and how large each is in it."""
_ENERGIES = ("kJ/mol", "kcal/mol", "kT")
_POWER = {"slope": 1, "stiffness": 2, "energy": 0, "energies": 0}


def parse_quantity(text: str, dimension: Dimension, unit: str, temperature_k: float, *, source: str) -> float:
    """``text`` in kT and ``unit`` (rad, nm or none); an energy is divided by kT at ``temperature_k``.

    0 needs no unit. ``InputError`` naming ``source`` for anything else without one, and for a wrong one.
    """
    match = _NUMBER.fullmatch(text.strip())
    example = example_of(dimension, unit)
    if match is None:
        raise InputError(f"{source}: {text.strip()!r} is no quantity.", f"Write, for example, {example}.")
    value, given = float(match.group(1)), _normalised(match.group(2))
    if not math.isfinite(value):
        raise InputError(f"{source}: {text.strip()!r} is not finite.", f"Write, for example, {example}.")
    if value == 0.0 and not given:
        return 0.0
    factors = _factors(dimension, unit, temperature_k)
    if given not in factors:
        problem = f"has the unit {match.group(2).strip()!r}" if given else "has no unit"
        raise InputError(
            f"{source}: {text.strip()!r} {problem}.", f"Write one of {', '.join(factors)}; for example, {example}."
        )
    return value * factors[given]


def parse_energies(text: str, temperature_k: float, *, source: str) -> tuple[float, ...]:
    """Numbers with one unit after the last, ``0; 1.5; 3 kT``, in kT; ``InputError`` naming ``source`` for others."""
    *first, last = text.split(";")
    match = _NUMBER.fullmatch(last.strip())
    if match is None or not all(_NUMBER.fullmatch(number.strip()) for number in first):
        raise InputError(f"{source}: {_start(text)!r} are no energies.", "Write, for example, values=0; 1.5; 3; 1 kT.")
    written = [f"{number} {match.group(2)}" for number in (*first, match.group(1))]
    return tuple(parse_quantity(number, "energy", "", temperature_k, source=source) for number in written)


def _start(text: str) -> str:
    return text.strip() if len(text) <= 40 else f"{text.strip()[:37]}..."


def tidy(text: str) -> str:
    """A quantity with one space before its unit, several with one after each semicolon, as a bias writes itself."""
    parts = []
    for part in text.split(";"):
        match = _NUMBER.fullmatch(part.strip())
        assert match is not None
        parts.append(f"{match.group(1)} {_normalised(match.group(2))}".strip())
    return "; ".join(parts)


def example_of(dimension: Dimension, unit: str) -> str:
    """A quantity of this dimension as a user writes it."""
    value = {"rad": "60 deg", "nm": "0.4 nm", "": "0.5"}[unit]
    per = {"rad": "/rad", "nm": "/nm", "": ""}[unit]
    examples = {"value": value, "slope": f"-5 kJ/mol{per}", "stiffness": f"50 kJ/mol{per}{'^2' if per else ''}"}
    others = {"energy": "10 kT", "energies": "0; 1.5; 3; 1 kT", "path": "result/profiles.json"}
    return (examples | others)[dimension]


def _factors(dimension: Dimension, unit: str, temperature_k: float) -> dict[str, float]:
    """Every unit allowed, and how large it is in kT and ``unit``."""
    if dimension == "value":
        return UNITS[unit]
    if dimension in ("energy", "energies"):
        unit = ""
    kt = thermal_energy(temperature_k)
    energies = dict(zip(_ENERGIES, (1.0 / kt, KJ_PER_KCAL / kt, 1.0), strict=True))
    power = _POWER[dimension]
    mark = "" if power == 1 else f"^{power}"
    return {
        energy + (f"/{name}{mark}" if name else ""): size / length**power
        for energy, size in energies.items()
        for name, length in UNITS[unit].items()
    }


def _normalised(unit: str) -> str:
    """A unit without spaces, its powers written as ^2."""
    return re.sub(r"\s+", "", unit).replace("**", "^").replace("²", "^2")
