"""The report of an ensemble: composes words, tables and figures into one page of offline HTML."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from molgen.reports import ensemble_figures, figures, training_figures, weight_figures
from molgen.reports import ensemble_tables as tables_of_ensembles
from molgen.reports import tables as make
from molgen.reports.canvas import Figure
from molgen.reports.convergence_figure import convergence_figure
from molgen.reports.data import Profile1D, ReportData
from molgen.reports.page import Headline, Section, render_page, write_page
from molgen.reports.release_card import release_tables
from molgen.reports.restraint_tables import restraint_lead, restraint_tables
from molgen.reports.state_tables import models_table, thermodynamics_table
from molgen.reports.target_tables import target_lead, target_tables
from molgen.reports.wording import VERDICT_MEANING, estimate_name, summary


def write_report(data: ReportData, path: Path) -> None:
    """Write ``data`` as one offline HTML file at ``path``: no script, no external resource.

    The file appears whole or not at all (temporary file, fsync, rename). ``InputError`` if it cannot be written.
    """
    write_page(render_report(data), path)


def render_report(data: ReportData) -> str:
    """The report's HTML text; equal data give equal text."""
    verdict = str(data.result["verdict"])
    return render_page(
        kind="a reweighted Boltzmann ensemble",
        system=str(data.result.get("system", "ensemble")),
        version=str(data.result.get("molgen", "")),
        headline=Headline(verdict, verdict, VERDICT_MEANING[verdict]),
        reasons=[str(reason) for reason in data.result.get("reasons") or ()],
        estimates=_doubted_estimates(data.result),
        summary=summary(data.result),
        sections=_sections(data),
    )


def _undrawn(profiles: Sequence[Profile1D]) -> str:
    names = [item.cv for item in profiles if not item.has_values]
    return f"Too few effective draws in every bin for a free energy along {', '.join(names)}." if names else ""


def _sections(data: ReportData) -> tuple[Section, ...]:
    result, provenance = data.result, _provenance(data)
    return (
        _populations(result),
        Section("Another force field", target_lead(result), target_tables(result)),
        Section("Agreement with experiment", restraint_lead(result), restraint_tables(result)),
        _ensembles(data),
        *_surfaces_and_profiles(data),
        _weights(data),
        Section("Training", figures=training_figures.training_figures(data.training or ())),
        Section("Checks and cost", tables=_present(make.audit_table(result), make.evaluation_table(result))),
        Section("Release card", _card_lead(result), release_tables(result, provenance)),
        Section("How to make this again", tables=_present(make.provenance_table(provenance))),
    )


def _populations(result: Mapping[str, Any]) -> Section:
    drawn = (figures.population_figure(result.get("populations") or {}), convergence_figure(result.get("convergence")))
    return Section(
        "Populations and free energies",
        tables=_present(
            make.state_table(result),
            make.population_table(result),
            make.free_energy_table(result),
            thermodynamics_table(result),
        ),
        figures=tuple(figure for figure in drawn if figure is not None),
    )


def _ensembles(data: ReportData) -> Section:
    result = data.result
    drawn = (
        ensemble_figures.overlap_figure(result.get("overlap") or {}, result.get("method")),
        *(ensemble_figures.contribution_figure(item) for item in data.members),
    )
    return Section(
        "Ensembles",
        _joined_sentence(result),
        tables=_present(
            tables_of_ensembles.ensemble_table(result),
            tables_of_ensembles.contribution_table(result),
            tables_of_ensembles.bidirectional_table(result),
            models_table(result),
        ),
        figures=tuple(figure for figure in drawn if figure is not None),
    )


def _surfaces_and_profiles(data: ReportData) -> tuple[Section, ...]:
    return (
        Section(
            "Free-energy surfaces",
            "Empty cells are white. Both surfaces share one colour scale." if data.profiles_2d else "",
            figures=tuple(figure for item in data.profiles_2d for figure in figures.surface_figures(item)),
        ),
        Section(
            "Free-energy profiles",
            _undrawn(data.profiles_1d),
            figures=tuple(figures.profile_figure(item) for item in data.profiles_1d if item.has_values),
        ),
        Section(
            "Energies and distances",
            tables=_present(make.distance_table(data.result), make.expectation_table(data.result)),
            figures=() if data.energies is None else (figures.energy_figure(data.energies),),
        ),
    )


def _weights(data: ReportData) -> Section:
    result = data.result
    drawn: tuple[Figure, ...] = ()
    if data.log_weight is not None:
        drawn = weight_figures.weight_figures(
            data.log_weight, pareto_k=result.get("pareto_k"), threshold=result.get("pareto_k_threshold")
        )
    tables = _present(make.weight_table(result), make.annealing_table(result))
    return Section("Weights", _coverage_sentence(result), tables, drawn)


def _card_lead(result: Mapping[str, Any]) -> str:
    if not result.get("n"):
        return ""
    verdict = str(result["verdict"])
    return f"What a reader of this ensemble has to know. The verdict is: {verdict}. {VERDICT_MEANING[verdict]}"


def _present(*candidates: make.Table | None) -> tuple[make.Table, ...]:
    return tuple(table for table in candidates if table is not None)


def _joined_sentence(result: Mapping[str, Any]) -> str:
    method = result.get("method")
    if not result.get("ensembles") or method is None:
        return ""
    if method == "MBAR":
        return (
            "The densities of frames of dynamics are known up to a factor; MBAR found the factors, and every row is "
            "weighed by the density of all ensembles together."
        )
    return "Every row is weighed by the density of all ensembles together (deterministic mixture)."


def _coverage_sentence(result: Mapping[str, Any]) -> str:
    coverage = result.get("coverage") or {}
    if not coverage.get("tested"):
        return "Coverage not tested: a state that the model never draws would not be noticed by its weights."
    missing = [str(name) for name in coverage.get("missing") or ()]
    by = f" against {coverage['by']}" if coverage.get("by") else ""
    if missing:
        return f"Coverage was tested{by}: the draws miss {', '.join(missing)}."
    return f"Coverage was tested{by}: no state is missing."


def _doubted_estimates(result: Mapping[str, Any]) -> list[tuple[str, str, list[str]]]:
    """Estimates that are less than reliable: name, verdict mark, reasons."""
    doubted = []
    for name, item in (result.get("estimates") or {}).items():
        if item.get("verdict") in ("caution", "refused"):
            reasons = [str(reason) for reason in item.get("reasons") or ()]
            doubted.append((estimate_name(str(name)), make.MARKS[item["verdict"]], reasons))
    return doubted


def _provenance(data: ReportData) -> dict[str, Any]:
    """What was handed in (else the result's own), after the seed and the platform."""
    basics = {name: data.result[name] for name in ("seed", "platform") if data.result.get(name) is not None}
    return {**basics, **(data.provenance or data.result.get("provenance") or {})}
