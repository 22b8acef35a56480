"""The tables of a report, as rows of finished text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from molgen.reports.wording import (
    NOT_GIVEN,
    as_number,
    count,
    decimals_for,
    fixed,
    half_width,
    interval,
    percent,
    plain,
    scaled,
    significant,
)
from molgen.units import thermal_energy

MARKS = {"reliable": "✓ reliable", "caution": "△ caution", "refused": "✕ refused"}
"""Verdicts in a table: a shape and the word, so that no colour is needed."""

_DISTANCE_NAMES = {
    "e_w2": "E-W2 (energies, kT)",
    "t_w2": "T-W2 (torsions, rad)",
    "tica_w2": "TICA-W2",
    "e_w2_weighted": "E-W2, exact and weighted (kT)",
}


@dataclass(frozen=True)
class Table:
    """A table ready to print; ``numeric`` columns (from the second on) are set flush right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    numeric: bool = True


def population_table(result: Mapping[str, Any]) -> Table | None:
    """State populations in per cent with intervals, the reference and z where given."""
    populations = result.get("populations") or {}
    if not populations:
        return None
    compared = any(item.get("reference") for item in populations.values())
    columns = ["State", "Population / %", "95 % interval"]
    columns += ["Reference / %", "Reference interval", "z"] if compared else []
    columns += ["Effective samples", "k̂", "Verdict"]
    rows = []
    for name, item in populations.items():
        reference = item.get("reference") or {}
        # One number of decimals for both, the coarser one, so that they can be compared at a glance.
        known = [width for width in (half_width(item, 100.0), half_width(reference, 100.0)) if width]
        places = min(decimals_for(width) for width in known) if known else None
        cells = [name, *_value_and_interval(item, 100.0, places)]
        if compared:
            cells += [*_value_and_interval(reference, 100.0, places), fixed(item.get("z"), 2)]
        cells += [count(item.get("ess")), fixed(item.get("pareto_k"), 2), _mark(item.get("verdict"))]
        rows.append(tuple(cells))
    note = (
        "z is the difference from the reference over both standard errors; |z| ≤ 1.96 is agreement." if compared else ""
    )
    return Table("State populations", tuple(columns), tuple(rows), note)


def state_table(result: Mapping[str, Any]) -> Table | None:
    """What each state is, as a condition on the collective variables."""
    rows = tuple((name, str(where)) for name, where in (result.get("states") or {}).items())
    note = "A frame belongs to the first state whose condition holds." if len(rows) > 1 else ""
    return Table("States", ("State", "Where"), rows, note, numeric=False) if rows else None


def free_energy_table(result: Mapping[str, Any]) -> Table | None:
    """ΔF between states in kT and kJ/mol, and the verdict on each where there is one."""
    differences = result.get("delta_f") or {}
    if not differences:
        return None
    temperature = as_number(result.get("temperature_k"))
    compared = any(item.get("reference") for item in differences.values())
    columns = ["From → to", "ΔF / kT", "95 % interval", "ΔF / kJ mol⁻¹", "95 % interval, kJ mol⁻¹"]
    columns += ["Reference / kT", "z"] if compared else []
    rows = []
    for name, item in differences.items():
        kilojoules = scaled(item, thermal_energy(temperature)) if temperature is not None else {}
        cells = [name.replace("->", " → "), *_value_and_interval(item, 1.0), *_value_and_interval(kilojoules, 1.0)]
        if compared:
            cells += [_value_and_interval(item.get("reference") or {}, 1.0)[0], fixed(item.get("z"), 2)]
        cells.append(_mark(((result.get("estimates") or {}).get(f"delta_f:{name}") or item).get("verdict")))
        rows.append(tuple(cells))
    return _without_empty_columns(
        Table("Free-energy differences", (*columns, "Verdict"), tuple(rows), "ΔF(a → b) = −ln(p(b) / p(a)).")
    )


def expectation_table(result: Mapping[str, Any]) -> Table | None:
    """Weighted averages of observables."""
    rows = []
    for name, item in (result.get("expectations") or {}).items():
        estimate = item if isinstance(item, Mapping) else {"value": item}
        rows.append((name, *_value_and_interval(estimate, 1.0), str(estimate.get("unit") or "")))
    columns = ("Observable", "Average", "95 % interval", "Unit")
    return _without_empty_columns(Table("Averages", columns, tuple(rows))) if rows else None


def annealing_table(result: Mapping[str, Any]) -> Table | None:
    """Annealed populations: how many count, their evidence, the path and what it cost; None for other draws."""
    record = result.get("annealing")
    if not record:
        return None
    histories = record["populations"]
    temperatures = record["schedule"]["temperatures"]
    lowest = [
        min((item["ess"][k] for item in histories if len(item["ess"]) > k), default=None)
        for k in range(len(temperatures))
    ]
    rates = [rate for item in histories for rate in item["acceptance"]]
    low, high = ((result.get("log_z_interval") or {}).get(end) for end in ("low", "high"))
    rows = (
        ("Populations", f"{record['count']}, worth {fixed(record['effective'], 1)}", "by their evidences"),
        ("Largest share", percent(record["largest_share"]), "of all weight, of one population"),
        ("Worth in draws", count(record["ess"]), "independent draws that would scatter as the populations do"),
        ("ln Z", f"{fixed(result.get('log_z'), 3)} ({interval(low, high, 3)})", "with its 95 % interval"),
        (
            "Temperatures",
            count(len(temperatures)),
            f"the first at t = {significant(temperatures[0], 2)}, the last at 1",
        ),
        ("Lowest ESS on the way", percent(min((x for x in lowest if x is not None), default=None)), "of a population"),
        ("Moves accepted", percent(sum(rates) / len(rates) if rates else None), "on average"),
        ("Bias", str(record["bias"] or "none"), "taken back from every weight" if record["bias"] else ""),
    )
    return Table("Annealed populations", ("Figure", "Value", "Meaning"), rows, numeric=False)


def weight_table(result: Mapping[str, Any]) -> Table:
    """What the weights are worth: every diagnostic beside its meaning."""
    bounds = result.get("ess_raw_interval") or (None, None)
    raw = percent(result.get("ess_raw"))
    low, high = as_number(bounds[0]), as_number(bounds[1])
    if low is not None and high is not None:
        raw += f" ({interval(100.0 * low, 100.0 * high, 1)})"
    forward = as_number(result.get("ess_forward"))
    rows = (
        ("Raw ESS (Kish)", raw, "of all draws; the headline figure"),
        ("ESS, winsorised", percent(result.get("ess_winsorised")), "the heaviest 0.01 % of the weights capped"),
        ("ESS, trimmed", percent(result.get("ess_trimmed")), "the heaviest 0.2 % of the weights left out"),
        (
            "Forward ESS",
            NOT_GIVEN if forward is None else percent(forward),
            "needs independent equilibrium frames; none given" if forward is None else "from reference frames",
        ),
        ("Pareto k̂", fixed(result.get("pareto_k"), 2), f"must stay below {fixed(result.get('pareto_k_threshold'), 2)}"),
        ("Largest weight", percent(result.get("largest_weight_share"), 2), "share of the sum held by one draw"),
        ("Draws", count(result.get("n")), "every one counted"),
        ("Outside the domain", count(result.get("n_out_of_domain")), "wrong chirality or isomer; weight 0"),
        ("Non-finite energy", count(result.get("n_non_finite")), "weight 0"),
        ("ln Z", _log_z(result), "mean weight, up to the force field's arbitrary zero"),
    )
    return Table("What the weights are worth", ("Figure", "Value", "Meaning"), rows, numeric=False)


def _log_z(result: Mapping[str, Any]) -> str:
    ends = result.get("log_z_interval") or {}
    bounds = interval(ends.get("low"), ends.get("high"), 3)
    value = fixed(result.get("log_z"), 3)
    return value if bounds == NOT_GIVEN else f"{value} ({bounds})"


def distance_table(result: Mapping[str, Any]) -> Table | None:
    """Distances to the reference beside their floor."""
    rows = []
    for name, item in _flat_distances(result.get("distances") or {}).items():
        estimate = item if isinstance(item, Mapping) else {"value": item}
        shown, bounds = _value_and_interval(estimate, 1.0, decimals=3)
        rows.append((_DISTANCE_NAMES.get(name, name), shown, bounds, fixed(estimate.get("floor"), 3)))
    note = (
        "The floor is the same distance between two halves of the reference: no model can be told from it below that."
    )
    columns = ("Distance", "Model", "95 % interval", "Floor")
    return _without_empty_columns(Table("Distance to the reference", columns, tuple(rows), note)) if rows else None


def _flat_distances(distances: Mapping[str, Any]) -> dict[str, Any]:
    """Every distance under a name of its own: those of the Ramachandran plane, and one for each variable."""
    found: dict[str, Any] = {}
    for name, item in distances.items():
        if name == "jsd":
            found |= {f"JSD along {cv} (base 2)": record for cv, record in item.items()}
        elif name == "ramachandran" and item is not None:
            found |= {f"Ramachandran, {key.replace('_', ' ')}": item[key] for key in ("total_variation", "kl", "jsd")}
        elif item is not None:
            found[name] = item
    return found


def audit_table(result: Mapping[str, Any]) -> Table | None:
    """Each check of the audit: passed or failed in words."""
    audit = result.get("audit") or {}
    rows = tuple(
        (str(check.get("name", "")), "✓ passed" if check.get("passed") else "✕ failed", str(check.get("detail") or ""))
        for check in audit.get("checks") or ()
    )
    note = f"Recomputed for {count(audit.get('rows'))} rows chosen at random." if as_number(audit.get("rows")) else ""
    return Table("Audit", ("Check", "Outcome", "Detail"), rows, note, numeric=False) if rows else None


def evaluation_table(result: Mapping[str, Any]) -> Table | None:
    """Force-field evaluations by purpose and their sum."""
    evaluations = result.get("evaluations") or {}
    if not evaluations:
        return None
    meaning = {
        "data": "molecular dynamics for training frames",
        "training": "energies and forces in training",
        "sampling": "energies in drawing",
        "reweighting": "energies of the final draws",
    }
    rows = [(name, count(number), meaning.get(name, "")) for name, number in evaluations.items()]
    rows.append(("total", count(sum(as_number(number) or 0.0 for number in evaluations.values())), ""))
    note = "Every energy or force call is one; so is a step of molecular dynamics."
    return Table("Energy evaluations", ("Purpose", "Number", "Used for"), tuple(rows), note, numeric=False)


def provenance_table(provenance: Mapping[str, Any]) -> Table | None:
    """Nested provenance as dotted names."""
    rows = tuple(_flat(provenance, ""))
    return Table("Provenance", ("What", "Value"), rows, numeric=False) if rows else None


def _value_and_interval(item: Mapping[str, Any], factor: float, decimals: int | None = None) -> tuple[str, str]:
    values = scaled(item, factor)
    places = decimals_for(half_width(item, factor)) if decimals is None else decimals
    if decimals is None and half_width(item, factor) is None:
        return significant(values["value"]), NOT_GIVEN
    return fixed(values["value"], places), interval(values["low"], values["high"], places)


def _mark(verdict: Any) -> str:
    return MARKS.get(str(verdict), NOT_GIVEN)


def _without_empty_columns(table: Table) -> Table:
    """``table`` without the columns in which no row says anything."""
    kept = [i for i in range(len(table.columns)) if any(row[i] not in ("", NOT_GIVEN) for row in table.rows)]
    columns = tuple(table.columns[i] for i in kept)
    rows = tuple(tuple(row[i] for i in kept) for row in table.rows)
    return Table(table.title, columns, rows, table.note, table.numeric)


def _flat(value: Any, name: str) -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [row for key, item in value.items() for row in _flat(item, f"{name}.{key}" if name else str(key))]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [(name, " ".join(str(item) for item in value))]
    if value is None:
        return [(name, NOT_GIVEN)]
    number = as_number(value)
    return [(name, plain(number) if isinstance(value, float) and number is not None else str(value))]
