"""Agreement with experiment, as tables and sentences."""

from collections.abc import Mapping
from typing import Any

from molgen.reports.tables import MARKS, Table
from molgen.reports.target_tables import with_interval
from molgen.reports.wording import NOT_GIVEN, count, fixed, percent, plain, significant


def restraint_lead(result: Mapping[str, Any]) -> str:
    """What was done to the weights and what it cost; what the data say of two force fields; empty without data."""
    record = result.get("restraints")
    if not record:
        return ""
    return " ".join(
        sentence for sentence in (_what_was_done(record), _likelihood(record.get("likelihood"))) if sentence
    )


def restraint_tables(result: Mapping[str, Any]) -> tuple[Table, ...]:
    """Measured and computed averages, populations before and after, and the figures of the final weights."""
    record = result.get("restraints")
    if not record:
        return ()
    tables = [_observables(record["observables"])]
    if "theta_rule" in record:
        if record["populations"]:
            tables.append(_populations(record["populations"]))
        tables.append(_figures(record))
    return tuple(tables)


def _what_was_done(record: Mapping[str, Any]) -> str:
    number = len(record["observables"])
    averages = "one measured average" if number == 1 else f"{number} measured averages"
    if "theta_rule" not in record:
        return f"The ensemble could not be brought to agree with {averages}. {' '.join(record['reasons'])}"
    if record["theta"] is None:
        why = f"by the rule for θ ({record['theta_rule']}) nothing is gained by changing them"
        return f"The weights were left as they are: {why}."
    return (
        f"The weights were changed as little as agreement with {averages} asks for, by maximum entropy. The "
        "populations at the top of this page are those of the force field alone. Intervals before are those of "
        "sampling; those after hold the errors of the data as well."
    )


def _likelihood(item: Mapping[str, Any] | None) -> str:
    if not item:
        return ""
    value, error = fixed(item["log_bayes_factor"], 2), fixed(item["error"], 2)
    return (
        f"The same data under both force fields, unrestrained: ln of the Bayes factor of {item['system']} over "
        f"{item['drawn_system']} is {value} (standard error of sampling {error}), with χ² per observable of "
        f"{significant(item['chi2'])} and {significant(item['chi2_drawn'])}. It is worth what the stated errors of the "
        "data are worth."
    )


def _observables(items: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = tuple(
        (
            name,
            str(item["column"]) if item["column"] != name else NOT_GIVEN,
            f"{plain(item['mean'])} ± {plain(item['error'])}",
            with_interval(item["before"], 1.0),
            NOT_GIVEN if item["after"] is None else with_interval(item["after"], 1.0),
            str(item["unit"]) or NOT_GIVEN,
        )
        for name, item in items.items()
    )
    return Table("Averages", ("Observable", "Computed as", "Measured", "Before", "After", "Unit"), rows)


def _populations(items: Mapping[str, Mapping[str, Any]]) -> Table:
    rows = tuple(
        (
            name,
            with_interval(item["before"], 100.0),
            with_interval(item["after"], 100.0),
            significant(100.0 * item["error_of_data"], 2),
            count(item["ess"]),
            MARKS[item["verdict"]],
        )
        for name, item in items.items()
    )
    columns = ("State", "Before / %", "After / %", "Standard error from the data / %", "Effective samples", "Verdict")
    return Table("Populations before and after", columns, rows)


def _figures(record: Mapping[str, Any]) -> Table:
    theta = "∞" if record["theta"] is None else significant(record["theta"])
    rows = (
        ("θ", theta, str(record["theta_rule"])),
        ("χ² per observable, before", significant(record["chi2_before"]), "1 is agreement within the errors"),
        ("χ² per observable, after", significant(record["chi2_after"]), ""),
        ("Relative entropy", significant(record["relative_entropy"]), "of the final weights to the first, in nats"),
        (
            "Effective samples",
            count(record["ess"]),
            f"of the final weights ({percent(record['ess_raw'])} of all draws)",
        ),
        ("Pareto k̂", fixed(record["pareto_k"], 2), "of the final weights"),
    )
    return Table("The fit", ("Figure", "Value", "Meaning"), rows, numeric=False)
