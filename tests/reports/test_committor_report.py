"""The report of a committor: what it says first, every part there or left out, readable without colour or network."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from molgen.committor.likelihood import wilson
from molgen.reports.committor_data import CommittorLine, CommittorPlane, CommittorReport
from molgen.reports.committor_figures import line_figure, reliability_figure, rounds_figure
from molgen.reports.committor_report import render_committor_report, write_committor_report
from molgen.reports.committor_tables import rate_table


def reliability() -> list[dict[str, Any]]:
    rows = []
    for k in range(10):
        q = 0.05 + 0.1 * k
        hits = round(400 * q)
        row = {"low": 0.1 * k, "high": 0.1 * k + 0.1, "configurations": 40, "shots": 400, "predicted": q}
        rows.append(row | {"observed": hits / 400, "interval": wilson(hits, 400)})
    return rows


def record(**changes: Any) -> dict[str, Any]:
    variables = [
        {"name": "phi", "loss": 0.31, "loss_error": 0.02, "sensitivity": 2.1, "share": 0.9, "atoms": [4, 6, 8, 14]},
        {"name": "torsion N-CA-C-N (ALA 2, NME 3) about psi", "loss": 0.04, "loss_error": 0.01, "sensitivity": 0.6,
         "share": 0.08, "atoms": [6, 8, 14, 16]},
        {"name": "angle N-CA-C (ALA 2)", "loss": 0.001, "loss_error": 0.002, "sensitivity": 0.1, "share": 0.02,
         "atoms": [6, 8, 14]},
    ]  # fmt: skip
    formula = {
        "terms": ["sin(phi)", "cos(phi) sin(psi)"], "coefficients": [4.1, -1.2], "intercept": 0.2, "scaled": {},
        "log_loss": 0.341, "log_loss_constant": 0.67, "by_size": [0.67, 0.36, 0.339, 0.338, 0.3385],
        "text": "logit q = 0.20 + 4.10 sin(phi) − 1.20 cos(phi) sin(psi)",
    }  # fmt: skip
    base = {
        "system": "alanine-dipeptide-vacuum", "a": "c7eq", "b": "c7ax", "calibrated": True, "reasons": [],
        "configurations": 400, "shots": 4000, "log_loss": 0.3301, "log_loss_floor": 0.3256, "brier": 0.104,
        "dispersion": 1.04, "undecided": 0, "slope": 1.01, "slope_error": 0.03, "intercept": 0.02,
        "intercept_error": 0.04, "ece": 0.012, "reliability": reliability(),
        "pairs": {"pairs": 2000, "correlation": 0.04, "error": 0.02},
        "histogram": {"points": 40, "mean": 0.49, "mean_error": 0.01, "deviation": 0.05, "upper": 0.08},
        "uncertainty_logit": 0.2,
        "mechanism": {
            "features": "internal", "variables": variables, "formula": formula,
            "atoms": [
                {"atom": 8, "name": "CA of ALA 2", "share": 0.3},
                {"atom": 6, "name": "N of ALA 2", "share": 0.3},
            ],
        },
    }  # fmt: skip
    return base | changes


def plane() -> CommittorPlane:
    """Two states, a ridge between them, and a corner of which nothing is known."""
    axis = np.linspace(-np.pi, np.pi, 73)
    phi, psi = np.meshgrid(axis, axis, indexing="ij")
    q = expit(4.0 * np.sin(phi) - 1.2 * np.cos(phi) * np.sin(psi))
    q = np.where((phi + 1.3) ** 2 + (psi - 1.2) ** 2 < 0.5, 0.0, q)
    q = np.where((phi - 1.1) ** 2 + (psi + 0.7) ** 2 < 0.5, 1.0, q)
    q = np.where((phi > 2.0) & (psi > 1.5), np.nan, q)
    rng = np.random.default_rng(1)
    points = rng.uniform(-2.8, 2.0, (300, 2))
    return CommittorPlane("phi", "rad", "psi", "rad", axis, axis, q, points, ("c7eq", "c7ax"), averaged=True)


ROUNDS = [
    {"round": k + 1, "shots": 1600 * (k + 1), "evaluations": 10**5 * (k + 1), "held_out_shots": 400 * (k + 1),
     "log_loss": 0.42 - 0.02 * k, "log_loss_floor": 0.33 + 0.001 * k}
    for k in range(4)
]  # fmt: skip
ONE = {"value": 2.1e-4, "low": 1.6e-4, "high": 2.8e-4}
RATES = [
    {
        "system": "alanine-dipeptide-vacuum", "a": "c7eq", "b": "c7ax", "unit": "1/ps",
        "route": "two-way shots", "k_ab": ONE, "k_ba": ONE, "notes": ["Two routes disagree."],
        "routes": [
            {"route": "two-way shots", "upper_bound": False, "k_ab": ONE, "k_ba": ONE},
            {"route": "direct passages", "upper_bound": False, "k_ab": None, "k_ba": ONE},
            {"route": "overdamped upper bound", "upper_bound": True, "k_ab": ONE, "k_ba": ONE},
        ],
    }
]  # fmt: skip


def full() -> CommittorReport:
    return CommittorReport(record(), plane(), ROUNDS, RATES, {"shots": "c", "seed": 1}, "0.1.0")


@pytest.fixture(scope="module")
def html() -> str:
    return render_committor_report(full())


def test_it_says_first_whether_to_believe_it(html: str) -> None:
    assert html.index("Calibrated") < html.index("held-out shots") < html.index("Reliability")
    assert "the committor from c7eq to c7ax" in html
    assert "It depends most on phi." in html
    doubted = render_committor_report(CommittorReport(record(calibrated=False, reasons=["The slope is 2."])))
    assert "Not calibrated" in doubted
    assert "<li>The slope is 2.</li>" in doubted


def test_every_part_is_there(html: str) -> None:
    for title in ("Reliability", "q on phi and psi", "Rounds of shots", "What q depends on", "Terms of the formula"):
        assert f"<strong>{title}</strong>" in html
    assert "logit q = 0.20 + 4.10 sin(phi)" in html
    assert "at most 2.10×10⁻⁴" in html
    assert "Two routes disagree." in html
    assert len(re.findall("<img", html)) == 5
    assert all(len(alt) > 30 for alt in re.findall(r'alt="([^"]*)"', html))
    assert not re.search(r"https?:|url\(|@import|<script", re.sub(r'src="data:[^"]*"', "", html))


def test_what_is_not_known_is_left_out() -> None:
    bare = render_committor_report(CommittorReport(record(mechanism=None, histogram=None, pairs=None)))
    for title in ("Mechanism", "Shots in rounds", "Rates"):
        assert f"<h2>{title}</h2>" not in bare
    assert len(re.findall("<img", bare)) == 1


def test_figures_of_one_variable_and_of_too_little() -> None:
    x = np.linspace(-1.0, 1.0, 41)
    observed = np.array([[-0.5, 0.1, 0.05, 0.2], [0.5, 0.9, 0.8, 0.95]])
    figure = line_figure(CommittorLine("x", "", x, expit(4.0 * x), observed))
    assert figure.svg.startswith(b"<?xml")
    assert "0.5 near" in figure.alt
    assert reliability_figure([]) is None
    assert rounds_figure(ROUNDS[:1]) is None


def test_rates_of_one_route_and_of_none() -> None:
    single = {key: value for key, value in RATES[0].items() if key != "routes"}
    table = rate_table([single])
    assert table is not None
    assert table.rows == (("two-way shots", *2 * ("2.10×10⁻⁴", "1.60×10⁻⁴ to 2.80×10⁻⁴")),)
    assert rate_table([]) is None
    several = rate_table(RATES)
    assert several is not None
    assert several.rows[1][1:3] == ("–", "–")


def test_it_is_written_whole(tmp_path: Path) -> None:
    data = replace(CommittorReport(record()), version="0.1.0")
    write_committor_report(data, tmp_path / "deep" / "report.html")
    assert (tmp_path / "deep" / "report.html").read_text() == render_committor_report(data)
