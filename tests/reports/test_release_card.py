"""The release card, the table of energies and entropies, the models alone, and the curve over draws."""

from typing import Any

import pytest

from molgen.reports.convergence_figure import convergence_figure
from molgen.reports.release_card import not_tested, release_tables
from molgen.reports.state_tables import models_table, thermodynamics_table
from tests.reports.conftest import make_report_data


@pytest.fixture
def result() -> dict[str, Any]:
    made = dict(make_report_data().result)
    made["distances"] = {**made["distances"], "jsd": {"phi": {"value": 0.00123, "floor": 0.0011}}}
    made["geometry"] = {"places": ["handedness at the atom CA of ALA 2 (3 frames)"], "constraints": {"number": 0}}
    return made


def test_the_card_says_fidelity_beside_its_floor_violations_and_how_to_repeat(result: dict[str, Any]) -> None:
    tables = {table.title: table for table in release_tables(result, {"command": "molgen reweight e", "seed": 7})}
    fidelity = {row[0]: row[1:] for row in tables["Fidelity"].rows}
    assert fidelity["Jensen-Shannon divergence along phi"] == ("0.0012", "0.0011 between two halves of the reference")
    assert fidelity["Population of alpha_l, error"][0] == "0.11 percentage points"
    violations = {row[0]: row[1] for row in tables["Violations"].rows}
    assert violations["Outside the domain"].startswith("0.01")
    assert violations["Where"].startswith("handedness at the atom CA")
    assert ("command", "molgen reweight e") in tables["To make it again"].rows


def test_what_was_not_tested_depends_on_what_was(result: dict[str, Any]) -> None:
    untested = {row[0] for row in not_tested(result)}
    assert "Kinetics" in untested
    assert "Coverage" not in untested
    alone = {**result, "coverage": {"tested": False}, "states": {}, "reference": None}
    assert {"Coverage", "States", "Agreement with independent dynamics"} <= {row[0] for row in not_tested(alone)}
    checks = {"checks": [{"name": "log_q", "passed": True}, {"name": "latent numbers", "passed": True}]}
    audited = {row[0] for row in not_tested({**result, "audit": checks})}
    assert not {"The log-densities", "Whether all draws are there"} & audited


def test_energies_and_entropies_have_intervals_and_verdicts() -> None:
    estimate = {"value": 1.234, "low": 1.2, "high": 1.27}
    item = dict.fromkeys(("energy", "delta_u", "minus_t_delta_s", "delta_f"), estimate)
    table = thermodynamics_table({"thermodynamics": {"a": {**item, "verdict": "caution"}}})
    assert table is not None
    assert table.rows[0][1] == "1.234 (1.200 to 1.270)"
    assert "caution" in table.rows[0][-1]
    assert thermodynamics_table({}) is None


def test_models_that_disagree_are_marked_without_colour() -> None:
    item = {"state": "a", "between": ["m1", "m2"], "populations": [0.2, 0.0], "z": 9.0, "agrees": False}
    table = models_table({"models_alone": [item]})
    assert table is not None
    assert table.rows[0][1:] == ("m1: 20.00\N{NO-BREAK SPACE}%", "m2: 0.00\N{NO-BREAK SPACE}%", "9.00", "✕ no")
    assert models_table({"models_alone": []}) is None


def test_the_curve_is_drawn_for_what_is_known() -> None:
    points = [
        {"draws": 100, "value": 0.2, "low": 0.1, "high": 0.4},
        {"draws": 1000, "value": 0.3, "low": 0.28, "high": 0.32},
    ]
    empty = [{"draws": 100, "value": None, "low": None, "high": None}, {**points[1], "value": 0.7}]
    figure = convergence_figure({"a": points, "b": empty})
    assert figure is not None
    assert "a 30.0 %" in figure.alt
    assert convergence_figure(None) is None
