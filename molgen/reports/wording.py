"""Numbers and findings in words: what the report says before it shows anything."""

import math
from collections.abc import Mapping
from typing import Any

NOT_GIVEN = "–"
"""Shown where a figure was not computed."""

VERDICT_MEANING = {
    "reliable": "The diagnostics found no reason to doubt these numbers and their intervals.",
    "caution": "The numbers may be used, with the reservations listed here.",
    "refused": "These numbers must not be believed; they are shown for diagnosis only.",
}
"""One sentence a verdict."""


def as_number(value: Any) -> float | None:
    """``value`` as a finite float, else None (JSON null, NaN, infinities, text)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def decimals_for(half_width: float | None, *, default: int = 2) -> int:
    """Decimals that show two significant digits of ``half_width`` (0 to 6)."""
    if half_width is None or half_width <= 0.0 or not math.isfinite(half_width):
        return default
    return min(6, max(0, 1 - math.floor(math.log10(half_width))))


def fixed(value: Any, decimals: int) -> str:
    """``value`` with ``decimals`` decimals, a true minus sign and no negative zero."""
    number = as_number(value)
    if number is None:
        return NOT_GIVEN
    text = f"{number:.{decimals}f}"
    if float(text) == 0.0:
        text = text.lstrip("-")
    return text.replace("-", "\N{MINUS SIGN}")


def significant(value: Any, digits: int = 3) -> str:
    """``value`` with ``digits`` significant digits, in plain or power-of-ten notation."""
    number = as_number(value)
    if number is None:
        return NOT_GIVEN
    if number == 0.0 or 1e-3 <= abs(number) < 1e6:
        decimals = digits - 1 - (math.floor(math.log10(abs(number))) if number else 0)
        return fixed(number, max(0, decimals))
    mantissa, exponent = f"{number:.{digits - 1}e}".split("e")
    return f"{mantissa}×10^{int(exponent)}".replace("-", "\N{MINUS SIGN}")


def plain(value: Any) -> str:
    """``value`` as short as it can be written, e.g. 300 or 298.15."""
    number = as_number(value)
    return NOT_GIVEN if number is None else f"{number:g}".replace("-", "\N{MINUS SIGN}")


def count(value: Any) -> str:
    """A whole number with thin spaces between thousands."""
    number = as_number(value)
    return NOT_GIVEN if number is None else f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def percent(value: Any, decimals: int = 1) -> str:
    """A share (0 to 1) in per cent."""
    number = as_number(value)
    return NOT_GIVEN if number is None else f"{fixed(100.0 * number, decimals)}\N{NO-BREAK SPACE}%"


def half_width(estimate: Mapping[str, Any], scale: float = 1.0) -> float | None:
    """Half the length of an estimate's interval times ``scale``; None where it has none."""
    low, high = as_number(estimate.get("low")), as_number(estimate.get("high"))
    return None if low is None or high is None else 0.5 * abs(high - low) * scale


def interval(low: Any, high: Any, decimals: int) -> str:
    """``low to high``, or a dash where there is none."""
    if as_number(low) is None or as_number(high) is None:
        return NOT_GIVEN
    return f"{fixed(low, decimals)} to {fixed(high, decimals)}"


def scaled(estimate: Mapping[str, Any], factor: float) -> dict[str, float | None]:
    """Value, low and high of ``estimate`` times ``factor`` (e.g. kT in kJ/mol, or 100 for per cent)."""
    numbers = {name: as_number(estimate.get(name)) for name in ("value", "low", "high")}
    return {name: None if number is None else number * factor for name, number in numbers.items()}


def estimate_name(key: str) -> str:
    """``population:a`` and ``delta_f:a->b`` as a reader would write them."""
    kind, separator, what = key.partition(":")
    names = {"population": "population of", "delta_f": "ΔF", "expectation": "average of"}
    names |= {"shift": "ΔΔF of", "restrained": "restrained population of"}
    return f"{names.get(kind, kind)} {what}".replace("->", " → ") if separator else key


def summary(result: Mapping[str, Any]) -> str:
    """The result in a few plain sentences: what was done, what it is worth, what came out."""
    sentences = [_what_was_done(result), _worth(result), _populations(result), _agreement(result)]
    return " ".join(sentence for sentence in sentences if sentence)


def _what_was_done(result: Mapping[str, Any]) -> str:
    if result.get("annealing"):
        record = result["annealing"]
        under = f" under the bias {record['bias']}, which their weights take back" if record["bias"] else ""
        return (
            f"{count(result.get('n'))} particles of {result.get('system', 'the system')} in {count(record['count'])} "
            f"populations were annealed from a generative model to the Boltzmann distribution of its force field"
            f"{under}, at {plain(result.get('temperature_k'))}\N{NO-BREAK SPACE}K."
        )
    if result.get("ensembles"):
        kinds = {str(item.get("kind")) for item in result["ensembles"]}
        named = {"model": "draws of generative models", "equilibrium": "frames of dynamics"}
        what = " and ".join(words for kind, words in named.items() if kind in kinds)
        return (
            f"{count(result.get('n'))} configurations of {result.get('system', 'the system')}, {what}, from "
            f"{len(result['ensembles'])} ensembles were weighted together to the Boltzmann distribution of its force "
            f"field at {plain(result.get('temperature_k'))}\N{NO-BREAK SPACE}K."
        )
    target = result.get("target")
    drawn = target["drawn_system"] if target else result.get("system", "the system")
    whose = f"another force field, {target['system']}," if target else "its force field"
    return (
        f"{count(result.get('n'))} configurations of {drawn} were drawn from a generative model and weighted to the "
        f"Boltzmann distribution of {whose} at {plain(result.get('temperature_k'))}\N{NO-BREAK SPACE}K."
    )


def _worth(result: Mapping[str, Any]) -> str:
    ess, n = as_number(result.get("ess_raw")), as_number(result.get("n"))
    if ess is None or n is None:
        return ""
    worth = float(f"{ess * n:.3g}")
    return f"For averages they are worth about {count(worth)} independent ones (raw ESS {percent(ess)})."


def _populations(result: Mapping[str, Any]) -> str:
    parts = []
    for name, estimate in (result.get("populations") or {}).items():
        values = scaled(estimate, 100.0)
        decimals = decimals_for(half_width(estimate, 100.0), default=1)
        bounds = interval(values["low"], values["high"], decimals)
        shown = f"{name} {fixed(values['value'], decimals)}\N{NO-BREAK SPACE}%"
        parts.append(shown if bounds == NOT_GIVEN else f"{shown} ({bounds})")
    # Whoever copies this paragraph takes the warning along.
    start = "Refused, for diagnosis only: state" if result.get("verdict") == "refused" else "State"
    return f"{start} populations, with 95\N{NO-BREAK SPACE}% intervals: {', '.join(parts)}." if parts else ""


def _agreement(result: Mapping[str, Any]) -> str:
    scores = {name: as_number(item.get("z")) for name, item in (result.get("populations") or {}).items()}
    known = {name: z for name, z in scores.items() if z is not None}
    if result.get("verdict") == "refused":
        return ""
    if result.get("populations") == {}:
        return "There are no states, and so no populations."
    if not known:
        return "No reference populations were given to compare with."
    apart = [name for name, z in known.items() if abs(z) > 1.96]
    if not apart:
        return "All agree with the reference within both errors."
    return f"Beyond both errors from the reference: {', '.join(apart)}."
