"""Figures of an ensemble: their words hold the right numbers, and odd inputs are drawn, not raised."""

import numpy as np

from molgen.reports.canvas import Figure
from molgen.reports.data import EnergyHistograms, Profile1D, Profile2D
from molgen.reports.figures import energy_figure, population_figure, profile_figure, surface_figures

EDGES = np.linspace(-np.pi, np.pi, 13)


def _is_svg(figure: Figure) -> bool:
    return figure.svg.startswith(b"<?xml") and b"</svg>" in figure.svg[-20:]


def test_surface_words_give_the_minimum_on_the_right_axes() -> None:
    grid = np.full((12, 6), np.inf)
    grid[2, 4], grid[8, 1] = 0.0, 3.0
    figures = surface_figures(Profile2D("phi", "psi", EDGES, np.linspace(0.0, 6.0, 7), grid, grid + 1.0, unit_y="nm"))
    assert [figure.title for figure in figures] == ["Model, weighted", "Reference"]
    assert all(_is_svg(figure) for figure in figures)
    assert "lowest at (-105, 4.5); 3\u00a0% of the cells" in figures[0].alt


def test_surface_without_any_population_is_drawn_empty() -> None:
    (figure,) = surface_figures(Profile2D("phi", "psi", EDGES, EDGES, np.full((12, 12), np.nan)))
    assert "no occupied cell" in figure.alt


def test_surface_with_a_state_that_holds_nothing() -> None:
    grid, states = np.full((12, 12), np.inf), np.zeros((12, 12), dtype=np.int64)
    grid[:6] = 0.0
    states[6:] = 1
    profile = Profile2D("phi", "psi", EDGES, EDGES, grid, states=states, state_names=("left", "right", "unused"))
    assert _is_svg(surface_figures(profile)[0])


def test_profile_words_give_minimum_and_distance() -> None:
    x = np.radians([-90.0, 0.0, 90.0, 150.0])
    f = np.array([0.0, np.inf, 1.0, 2.0])
    figure = profile_figure(Profile1D("phi", "rad", x, f, f - 0.1, f + 0.1, f + np.array([0.2, 0.0, 0.2, 0.2])))
    assert "lowest at \N{MINUS SIGN}90; median distance to the reference 0.20 kT" in figure.alt
    empty = np.full(4, np.nan)
    assert "no occupied bin" in profile_figure(Profile1D("d", "nm", x, empty, empty, empty)).alt


def test_energy_words_give_means_whatever_the_normalisation() -> None:
    edges = np.array([0.0, 1.0, 2.0])
    figure = energy_figure(EnergyHistograms(edges, np.array([30.0, 10.0]), np.array([0.0, 0.5]), beyond=0.00041))
    assert figure.alt == "Histogram of the reduced potential: unweighted mean 0.8 kT, weighted mean 1.5 kT."
    assert figure.caption == "0.041 % of the draws lie outside this range."


def test_population_figure_leaves_out_what_has_no_place() -> None:
    assert population_figure({"a": {"value": 0.0}, "b": {"value": None}}) is None
    figure = population_figure(
        {"a": {"value": 0.9, "low": 0.8, "high": 1.0}, "b": {"value": 0.01, "low": 0.0, "high": 0.02}}
    )
    assert figure is not None
    assert "a 90.00\u00a0%; b 1.00\u00a0%" in figure.alt
