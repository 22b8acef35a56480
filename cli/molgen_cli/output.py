"""What a command prints when it is done: a table, or with --json one object."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from molgen.errors import InputError, RefusedError
from molgen.files import json_bytes
from molgen_cli import committor_tables, tables


def print_json(data: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    sys.stdout.write(json_bytes(data).decode())


def print_plan(plan: Mapping[str, Any], *, as_json: bool) -> None:
    """What a command would do, for --dry-run."""
    if as_json:
        print_json(plan)
    else:
        tables.print_plan(plan)


def print_result(command: str, result: Mapping[str, Any], directory: Path, *, as_json: bool) -> None:
    """The figures of ``simulate``, ``train`` or ``sample``, and where their files are."""
    if as_json:
        print_json(result)
    else:
        tables.print_figures(command, result, directory)


def print_init(result: Mapping[str, Any], *, as_json: bool) -> None:
    """What ``init`` made, what it chose, and the commands that come next."""
    if as_json:
        print_json(result)
    else:
        tables.print_init(result)


def print_reweighting(result: Mapping[str, Any], *, as_json: bool, allow_refused: bool) -> None:
    """Populations, free energies and verdict; exit 4 if it is ``refused`` and that was not allowed."""
    if as_json:
        print_json(result)
    else:
        tables.print_reweighting(result)
    if result["verdict"] == "refused" and not allow_refused:
        sys.stdout.flush()
        raise typer.Exit(RefusedError.exit_code)


def print_diagnosis(diagnosis: Mapping[str, Any], *, as_json: bool) -> None:
    """What ``doctor`` found; exit 3 if something that is needed is broken."""
    if as_json:
        print_json(diagnosis)
    else:
        tables.print_findings(diagnosis["findings"])
    if not diagnosis["healthy"]:
        sys.stdout.flush()
        raise typer.Exit(InputError.exit_code)


def print_evaluation(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Correlation and slope of a model's score on the forces."""
    if as_json:
        print_json(result)
    else:
        tables.print_evaluation(result)


def print_committor(result: Mapping[str, Any], *, as_json: bool) -> None:
    """How well a committor predicts shots it has not seen."""
    if as_json:
        print_json(result)
    else:
        committor_tables.print_committor(result)


def print_rate(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Rates both ways with their intervals."""
    if as_json:
        print_json(result)
    else:
        committor_tables.print_rate(result)


def print_transition_states(result: Mapping[str, Any], *, as_json: bool) -> None:
    """How many transition states were found, what they are worth, and where they lie."""
    if as_json:
        print_json(result)
    else:
        committor_tables.print_transition_states(result)


def print_selftest(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Every figure beside its bound; exit 4 if one is beyond it, so that figures must not be believed."""
    if as_json:
        print_json(result)
    else:
        committor_tables.print_selftest(result)
    if not result["passed"]:
        sys.stdout.flush()
        raise typer.Exit(RefusedError.exit_code)


def print_export(result: Mapping[str, Any], *, as_json: bool) -> None:
    """How many frames were written, what they are worth, and their files."""
    if as_json:
        print_json(result)
    else:
        tables.print_export(result)


def print_conformers(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Conformers with populations and free energies, and their files."""
    if as_json:
        print_json(result)
    else:
        tables.print_conformers(result)


def print_check(result: Mapping[str, Any], *, as_json: bool) -> None:
    """The findings of ``check``; exit 3 if one of them is a problem."""
    if as_json:
        print_json(result)
    else:
        tables.print_check(result)
    if result["problems"]:
        sys.stdout.flush()
        raise typer.Exit(InputError.exit_code)
