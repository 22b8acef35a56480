"""What is said of each state beside its population: energy and entropy, and what single models say of it."""

from collections.abc import Mapping
from typing import Any

from molgen.reports.tables import MARKS, Table
from molgen.reports.wording import NOT_GIVEN, decimals_for, fixed, half_width, interval, percent

_COLUMNS = (("delta_f", "ΔF / kT"), ("delta_u", "ΔU / kT"), ("minus_t_delta_s", "−TΔS / kT"), ("energy", "⟨U⟩ / kT"))


def thermodynamics_table(result: Mapping[str, Any]) -> Table | None:
    """ΔF, ΔU and -TΔS of every state relative to the whole ensemble, and ⟨U⟩, each with its interval; in kT."""
    rows = []
    for name, item in (result.get("thermodynamics") or {}).items():
        cells = [_with_interval(item.get(key) or {}) for key, _ in _COLUMNS]
        rows.append((name, *cells, MARKS.get(str(item.get("verdict")), NOT_GIVEN)))
    note = (
        "Relative to the whole ensemble: ΔF = −ln p, ΔU = ⟨U⟩ of the state − ⟨U⟩, and −TΔS = ΔF − ΔU. U is the force "
        "field's potential energy; what an implicit solvent gives counts as energy."
    )
    columns = ("State", *(title for _, title in _COLUMNS), "Verdict")
    return Table("Energy and entropy of the states", columns, tuple(rows), note) if rows else None


def models_table(result: Mapping[str, Any]) -> Table | None:
    """What each of several models says of each state by its own draws alone."""
    rows = tuple(
        (
            str(item["state"]),
            *(f"{name}: {percent(share, 2)}" for name, share in zip(item["between"], item["populations"], strict=True)),
            fixed(item.get("z"), 2),
            "✓ yes" if item.get("agrees") else "✕ no",
        )
        for item in result.get("models_alone") or ()
    )
    note = "A mode that training has lost is rarely lost by two models: where they disagree, believe neither alone."
    columns = ("State", "One model alone", "Another alone", "z", "Agree")
    return Table("Models trained independently", columns, rows, note, numeric=False) if rows else None


def _with_interval(estimate: Mapping[str, Any]) -> str:
    places = decimals_for(half_width(estimate))
    bounds = interval(estimate.get("low"), estimate.get("high"), places)
    value = fixed(estimate.get("value"), places)
    return value if bounds == NOT_GIVEN else f"{value} ({bounds})"
