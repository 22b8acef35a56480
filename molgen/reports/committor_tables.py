"""Tables of a committor's report."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from molgen.reports.tables import Table
from molgen.reports.wording import NOT_GIVEN, as_number, count, fixed, percent, significant


def judgement_table(record: Mapping[str, Any]) -> Table:
    """Log loss, calibration and the histogram test, each with what it would be at best."""
    floor = fixed(record["log_loss_floor"], 4)
    slope, intercept = (
        f"{fixed(record[key], 3)} ± {fixed(record[f'{key}_error'], 3)}" for key in ("slope", "intercept")
    )
    rows = [
        ("Log loss, nat a shot", fixed(record["log_loss"], 4), floor),
        ("Brier score", fixed(record["brier"], 4), ""),
        ("Expected calibration error", fixed(record["ece"], 4), "0"),
        ("Recalibration slope", slope, "1"),
        ("Recalibration intercept", intercept, "0"),
        ("Dispersion of counts (their variance over that of binomial ones)", fixed(record["dispersion"], 2), "1"),
    ]
    half = record.get("histogram") or {}
    if as_number(half.get("mean")) is not None:
        mean = f"{fixed(half['mean'], 3)} ± {fixed(half['mean_error'], 3)}"
        spread = f"{fixed(half['deviation'], 3)} (at most {fixed(half['upper'], 3)})"
        rows += [(f"Mean of q where it is said to be ½ ({half['points']} configurations)", mean, "0.5")]
        rows += [("Spread of q there", spread, "0")]
    pairs = record.get("pairs") or {}
    if as_number(pairs.get("correlation")) is not None:
        rows.append(
            ("Correlation of paired shots", f"{fixed(pairs['correlation'], 3)} ± {fixed(pairs['error'], 3)}", "")
        )
    return Table("Judged by shots that it was not fitted to", ("Figure", "Value", "At best"), tuple(rows))


def dependence_table(record: Mapping[str, Any], most: int = 10) -> Table | None:
    """The variables that q depends on, with both measures."""
    variables = (record.get("mechanism") or {}).get("variables") or ()
    rows = tuple(
        (
            str(item["name"]),
            f"{fixed(item['loss'], 4)} ± {fixed(item['loss_error'], 4)}",
            fixed(item["sensitivity"], 2),
            percent(item["share"], 0),
        )
        for item in variables[:most]
    )
    note = (
        "Loss: how much worse q predicts held-out shots when the variable is taken from other configurations. "
        "Sensitivity: change of logit q for one standard deviation of the variable near q = ½; share: of its square."
    )
    columns = ("Variable", "Loss without it, nat a shot", "Sensitivity", "Share")
    return Table("What q depends on", columns, rows, note) if rows else None


def atom_table(record: Mapping[str, Any], most: int = 10) -> Table | None:
    """Atoms by their share of the loss."""
    atoms = (record.get("mechanism") or {}).get("atoms") or ()
    rows = tuple((str(item["name"]), percent(item["share"], 0)) for item in atoms[:most])
    note = "Each variable's loss in equal parts to the atoms that define it."
    return Table("Atoms", ("Atom", "Share"), rows, note) if rows else None


def formula_table(record: Mapping[str, Any]) -> Table | None:
    """The log loss of the formula beside those of the network, of one q for all, and the floor."""
    formula = (record.get("mechanism") or {}).get("formula")
    if not formula:
        return None
    rows = (
        ("Formula, cross-validated", fixed(formula["log_loss"], 4), count(len(formula["terms"]))),
        ("Network", fixed(record["log_loss"], 4), ""),
        ("One q for all, cross-validated", fixed(formula["log_loss_constant"], 4), "0"),
        ("Least there could be", fixed(record["log_loss_floor"], 4), ""),
    )
    return Table("What the formula is worth", ("Prediction", "Log loss, nat a shot", "Terms"), rows)


def round_table(rounds: Sequence[Mapping[str, Any]]) -> Table | None:
    """Shots, steps and held-out log loss of every round of a ``committor run``."""
    rows = tuple(
        (
            str(row["round"]),
            count(row["shots"]),
            count(row["evaluations"]),
            count(row["held_out_shots"]),
            fixed(row["log_loss"], 4),
            fixed(row["log_loss_floor"], 4),
        )
        for row in rounds
    )
    columns = ("Round", "Shots fitted to", "Steps", "Held-out shots", "Log loss", "At least")
    return Table("Rounds", columns, rows) if rows else None


def rate_table(rates: Sequence[Mapping[str, Any]]) -> Table | None:
    """k_AB and k_BA by every route with 95 % intervals; None without rates."""
    rows = tuple(row for record in rates for row in _routes(record))
    if not rows:
        return None
    a, b, unit = (str(rates[0][key]) for key in ("a", "b", "unit"))
    columns = ("Route", f"k, {a} to {b}", "95 % interval", f"k, {b} to {a}", "95 % interval")
    notes = dict.fromkeys(str(note) for record in rates for note in record.get("notes") or ())
    return Table(f"Rates in {unit}", columns, rows, " ".join(notes))


def _routes(record: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """One row a route; a record of one route alone is a row itself."""
    for route in record.get("routes") or (record,):
        upper = "at most " if route.get("upper_bound") else ""
        cells = []
        for key in ("k_ab", "k_ba"):
            item = route.get(key) or {}
            known = as_number(item.get("value")) is not None
            cells += [
                f"{upper}{_power(item['value'])}" if known else NOT_GIVEN,
                f"{_power(item['low'])} to {_power(item['high'])}" if known else NOT_GIVEN,
            ]
        yield (str(route["route"]), *cells)


def _power(value: Any) -> str:
    """Three significant digits, a power of ten in raised figures: 2.10×10⁻⁴."""
    head, mark, exponent = significant(value).partition("^")
    raised = exponent.translate(str.maketrans("\N{MINUS SIGN}0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{head}{raised}" if mark else head
