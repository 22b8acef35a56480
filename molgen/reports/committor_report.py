"""The report of a committor: is it calibrated, where is q one half, what does it depend on, how fast."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from molgen.reports import committor_figures as figures
from molgen.reports import committor_tables as tables
from molgen.reports.canvas import Figure
from molgen.reports.committor_data import CommittorLine, CommittorPlane, CommittorReport
from molgen.reports.page import Headline, Section, render_page, write_page
from molgen.reports.tables import Table, provenance_table
from molgen.reports.wording import as_number, count, fixed

_MEANING = {
    True: "What it predicts for shots that it never saw comes true as often as it says.",
    False: "It may rank configurations well, but its numbers are not the shares of shots that reach B.",
}


def write_committor_report(data: CommittorReport, path: Path) -> None:
    """Write ``data`` as one offline HTML file at ``path``, whole or not at all; ``InputError`` if it cannot be."""
    write_page(render_committor_report(data), path)


def render_committor_report(data: CommittorReport) -> str:
    """The report's HTML text; equal data give equal text."""
    record = data.record
    calibrated = bool(record["calibrated"])
    word = "calibrated" if calibrated else "not calibrated"
    return render_page(
        kind=f"the committor from {record['a']} to {record['b']}",
        system=str(record["system"]),
        version=data.version,
        headline=Headline("reliable" if calibrated else "caution", word, _MEANING[calibrated]),
        reasons=[str(reason) for reason in record["reasons"]],
        summary=_summary(record),
        sections=_sections(data),
    )


def _summary(record: Mapping[str, Any]) -> str:
    text = (
        f"{count(record['shots'])} held-out shots from {count(record['configurations'])} configurations: log loss "
        f"{fixed(record['log_loss'], 4)} nat a shot where {fixed(record['log_loss_floor'], 4)} is the least there "
        f"could be, recalibration slope {fixed(record['slope'], 2)} ± {fixed(record['slope_error'], 2)}."
    )
    learned = list((record.get("mechanism") or {}).get("variables") or ())
    error = as_number(learned[0]["loss_error"]) if learned else None
    if error is not None and learned[0]["loss"] > 2.0 * error:
        text += f" It depends most on {learned[0]['name']}."
    return text


def _sections(data: CommittorReport) -> tuple[Section, ...]:
    record = data.record
    formula = (record.get("mechanism") or {}).get("formula") or {}
    return (
        Section(
            "Calibration",
            tables=(tables.judgement_table(record),),
            figures=_present(figures.reliability_figure(record["reliability"]), _picture(data)),
        ),
        Section(
            "Mechanism",
            str(formula.get("text", "")),
            _tables(tables.dependence_table(record), tables.atom_table(record), tables.formula_table(record)),
            _present(
                figures.dependence_figure((record.get("mechanism") or {}).get("variables") or ()),
                figures.formula_figure(record),
            ),
        ),
        Section(
            "Shots in rounds",
            tables=_tables(tables.round_table(data.rounds)),
            figures=_present(figures.rounds_figure(data.rounds)),
        ),
        Section("Rates", tables=_tables(tables.rate_table(data.rates))),
        Section("How to make this again", tables=_tables(provenance_table(data.provenance or {}))),
    )


def _picture(data: CommittorReport) -> Figure | None:
    if isinstance(data.picture, CommittorPlane):
        return figures.plane_figure(data.picture)
    return figures.line_figure(data.picture) if isinstance(data.picture, CommittorLine) else None


def _present(*candidates: Figure | None) -> tuple[Figure, ...]:
    return tuple(figure for figure in candidates if figure is not None)


def _tables(*candidates: Table | None) -> tuple[Table, ...]:
    return tuple(table for table in candidates if table is not None)
