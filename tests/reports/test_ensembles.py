"""What the report says of several ensembles."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from molgen.errors import UsageError
from molgen.reports import ensemble_figures, ensemble_tables
from molgen.reports.data import MemberHistograms, ReportData
from molgen.reports.report import render_report
from molgen.reports.wording import summary


def _joined(result: dict[str, Any]) -> dict[str, Any]:
    plain = {"kind": "model", "bias": None, "temperature_k": 300.0, "n": 4000, "weight_share": 0.9, "ess": 3000.4}
    window = {
        "name": "u60", "kind": "equilibrium", "bias": "harmonic(phi, center=60 deg, k=50 kJ/mol/rad^2)",
        "temperature_k": 300.0, "n": 120, "frames": 1840, "weight_share": 0.1, "ess": 92.0,
    }  # fmt: skip
    side = {"log_z": -196.3, "error": 0.02, "believed": True}
    found = {"rows": 12, "expected": 18.4, "weight_share": 0.34}
    return {
        **result,
        "method": "MBAR",
        "ensembles": [{"name": "plain", **plain}, window],
        "overlap": {"names": ["plain", "u60"], "matrix": [[0.98, 0.02], [0.6, 0.4]], "weakest": 0.6},
        "contributions": {"alpha_l": {"plain": found, "u60": found}},
        "bidirectional": [
            {"ensemble": "u60", "forward": side, "backward": side, "bar": -196.31, "bar_error": 0.01, "agrees": None}
        ],
    }


def test_tables_name_every_ensemble_and_what_it_carries(report_data: ReportData) -> None:
    result = _joined(dict(report_data.result))
    table = ensemble_tables.ensemble_table(result)
    assert table is not None
    assert table.rows[1][:3] == ("u60", "frames of dynamics", "harmonic(phi, center=60 deg, k=50 kJ/mol/rad^2)")
    assert "1\N{NARROW NO-BREAK SPACE}840" in table.rows[1][4]
    states = ensemble_tables.contribution_table(result)
    assert states is not None
    assert states.rows == (("alpha_l", "12 (18), 34\N{NO-BREAK SPACE}%", "12 (18), 34\N{NO-BREAK SPACE}%"),)
    both = ensemble_tables.bidirectional_table(result)
    assert both is not None
    assert both.rows[0][-2:] == ("−196.310 ± 0.010", "cannot be said")


def test_one_ensemble_has_no_such_section(report_data: ReportData) -> None:
    result = report_data.result
    assert ensemble_tables.ensemble_table(result) is None
    assert ensemble_tables.contribution_table(result) is None
    assert ensemble_tables.bidirectional_table(result) is None
    assert ensemble_figures.overlap_figure({}) is None
    assert ">Ensembles<" not in render_report(report_data)


def test_the_page_shows_overlap_and_where_each_contributes(report_data: ReportData) -> None:
    edges = np.linspace(-np.pi, np.pi, 13)
    rows = np.stack([np.full(12, 10.0), np.r_[np.zeros(7), 60.0, 60.0, np.zeros(3)]])
    members = MemberHistograms("phi", "rad", edges, ("plain", "u60"), rows, rows / rows.sum())
    page = render_report(replace(report_data, result=_joined(dict(report_data.result)), members=(members,)))
    for words in ("Overlap of the ensembles", "Rows of each ensemble along phi", "MBAR found the factors"):
        assert words in page
    assert "from 2 ensembles were weighted together" in summary(_joined(dict(report_data.result)))


def test_the_overlap_says_what_it_means() -> None:
    overlap = {"names": ["a", "b"], "matrix": [[0.9, 0.1], [0.2, 0.8]], "weakest": 0.2}
    joined, mixed = (ensemble_figures.overlap_figure(overlap, method) for method in ("MBAR", "deterministic mixture"))
    assert joined is not None
    assert mixed is not None
    assert "free energy" in joined.caption
    assert "need none" in mixed.caption


def test_histograms_of_another_shape_are_refused() -> None:
    with pytest.raises(UsageError, match="histograms of phi"):
        MemberHistograms("phi", "rad", np.linspace(0, 1, 5), ("a",), np.zeros((1, 3)), np.zeros((1, 4)))
