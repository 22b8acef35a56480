"""Units: nanometre, picosecond, kJ/mol, kelvin and radian inside; every conversion is here."""

import math
import re

from molgen.errors import UsageError

BOLTZMANN_KJ_PER_MOL_K = 0.00831446261815324
"""Molar gas constant in kJ/(mol K) (exact since the 2019 SI)."""

_QUANTITY = re.compile(r"^\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-zµ]*)\s*$")
_TIMES_PS = {"fs": 1e-3, "ps": 1.0, "ns": 1e3, "us": 1e6, "µs": 1e6}
_DURATIONS_S = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_ANGLES_RAD = {"deg": math.pi / 180.0, "rad": 1.0}


def thermal_energy(temperature_k: float) -> float:
    """kT in kJ/mol at ``temperature_k`` kelvin."""
    return BOLTZMANN_KJ_PER_MOL_K * temperature_k


def _parse(text: str, table: dict[str, float], what: str, example: str) -> float:
    match = _QUANTITY.match(text)
    units = ", ".join(table)
    if match is None or match.group(2) not in table:
        raise UsageError(f"{text!r} is not a {what}.", f"Write a number and one of {units}, for example {example}.")
    value = float(match.group(1)) * table[match.group(2)]
    if not math.isfinite(value):
        raise UsageError(f"{text!r} is not a finite {what}.", f"Write, for example, {example}.")
    return value


def parse_time_ps(text: str) -> float:
    """A simulation time such as ``5ns`` in picoseconds; ``UsageError`` without a known unit."""
    return _parse(text, _TIMES_PS, "simulation time", "5ns")


def parse_duration_s(text: str) -> float:
    """A wall-clock duration such as ``30m`` in seconds; ``UsageError`` without a known unit."""
    return _parse(text, _DURATIONS_S, "duration", "30m")


def parse_angle_rad(text: str) -> float:
    """An angle such as ``60deg`` in radians; ``UsageError`` without a known unit."""
    return _parse(text, _ANGLES_RAD, "angle", "60deg")
