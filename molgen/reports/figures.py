"""Figures of an ensemble: free-energy surfaces and profiles, populations, energies.

Each function takes plain records and gives a :class:`~molgen.reports.canvas.Figure`; scripts may use them alone,
e.g. ``surface_figures(profile)[0].save(Path("surface.svg"))``.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from molgen.arrays import FloatArray
from molgen.reports.canvas import (
    COLOUR_MAP,
    MODEL,
    RAW,
    REFERENCE,
    Figure,
    axis_name,
    finish,
    legend_above,
    panel,
    plain_log_ticks,
    set_angle_ticks,
    shown_values,
)
from molgen.reports.data import EnergyHistograms, Profile1D, Profile2D
from molgen.reports.wording import as_number, fixed, percent, significant

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CEILING_KT = 12.0
"""Surfaces are coloured up to this at most: what lies above is unpopulated in any sample of usual size."""


def surface_figures(profile: Profile2D) -> tuple[Figure, ...]:
    """The model's surface and, if given, the reference's, on one colour scale (kT above the lower minimum of each)."""
    named = [("Model, weighted", profile.free_energy)]
    if profile.reference is not None:
        named.append(("Reference", profile.reference))
    top = _common_top([grid for _, grid in named])
    return tuple(_surface(profile, name, grid, top) for name, grid in named)


def profile_figure(profile: Profile1D) -> Figure:
    """F along one variable: the model's line and 95 % band over the reference's."""
    x = shown_values(profile.grid_centres, profile.unit)
    with panel() as (canvas, axes):
        axes.plot(x, _drawable(profile.free_energy), color=MODEL, label="model, weighted", zorder=4)
        low, high = _drawable(profile.low), _drawable(profile.high)
        axes.fill_between(x, low, high, color=MODEL, alpha=0.25, linewidth=0, label="95 % interval")
        if profile.reference is not None:
            if profile.reference_low is not None and profile.reference_high is not None:
                low, high = _drawable(profile.reference_low), _drawable(profile.reference_high)
                axes.fill_between(x, low, high, color=REFERENCE, alpha=0.18, linewidth=0)
            axes.plot(x, _drawable(profile.reference), color=REFERENCE, dashes=(4, 2), label="reference", zorder=5)
        axes.set_xlabel(axis_name(profile.cv, profile.unit))
        axes.set_ylabel("free energy / kT")
        axes.set_ylim(*_profile_range(profile))
        axes.margins(x=0.01)
        set_angle_ticks(axes.xaxis, x, profile.unit)
        legend_above(axes)
        return finish(
            canvas,
            title=f"Free energy along {profile.cv}",
            alt=_profile_words(profile, x),
            caption="" if profile.reference is not None else "No reference was given.",
        )


def energy_figure(energies: EnergyHistograms) -> Figure:
    """Densities of the reduced potential: draws as they came, weighted, and the reference."""
    with panel() as (canvas, axes):
        raw = _density(energies.model_raw, energies.edges)
        axes.stairs(raw, energies.edges, fill=True, color=RAW, alpha=0.3, label="model, unweighted")
        axes.stairs(raw, energies.edges, color=RAW, linewidth=1.0)
        if energies.reference is not None:
            reference = _density(energies.reference, energies.edges)
            axes.stairs(reference, energies.edges, color=REFERENCE, linewidth=1.7, linestyle="--", label="reference")
        weighted = _density(energies.model_weighted, energies.edges)
        axes.stairs(weighted, energies.edges, color=MODEL, linewidth=1.7, label="model, weighted")
        axes.set_xlabel("reduced potential u = U/kT")
        axes.set_ylabel("density / kT⁻¹")
        axes.set_ylim(bottom=0.0)
        axes.margins(x=0.0)
        legend_above(axes)
        outside = (
            f"{significant(100.0 * energies.beyond, 2)} % of the draws lie outside this range."
            if energies.beyond > 0
            else ""
        )
        return finish(canvas, title="Energies", alt=_energy_words(energies), caption=outside)


def population_figure(populations: Mapping[str, Any]) -> Figure | None:
    """States as points with 95 % intervals, the reference beneath each; logarithmic over a decade.

    ``populations``: state -> {value, low, high, reference: {value, low, high} | None}. None if nothing to draw.
    """
    drawn = {name: item for name, item in populations.items() if (as_number(item.get("value")) or 0.0) > 0.0}
    if not drawn:
        return None
    with panel((4.7, max(1.7, 1.15 + 0.42 * len(drawn)))) as (canvas, axes):
        for row, item in enumerate(drawn.values()):
            _whisker(axes, item, row - 0.12, MODEL, "o", "model, weighted" if row == 0 else None, filled=True)
            if item.get("reference"):
                _whisker(axes, item["reference"], row + 0.16, REFERENCE, "s", "reference" if row == 0 else None)
        axes.set_yticks(range(len(drawn)), list(drawn))
        axes.set_ylim(len(drawn) - 0.45, -0.55)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color="#e3e6e9", linewidth=0.7)
        axes.set_axisbelow(True)
        _population_axis(axes, [as_number(item["value"]) or 1.0 for item in drawn.values()])
        legend_above(axes)
        words = "; ".join(f"{name} {percent(item.get('value'), 2)}" for name, item in drawn.items())
        return finish(
            canvas, title="Populations and their 95 % intervals", alt=f"State populations with 95 % intervals: {words}."
        )


def _population_axis(axes: "Axes", values: list[float]) -> None:
    from matplotlib.ticker import FuncFormatter

    axes.set_xlabel("population / %")
    if max(values) > 10.0 * min(values):
        axes.set_xscale("log")
        plain_log_ticks(axes.xaxis, factor=100.0, steps=(1.0, 2.0, 5.0) if max(values) < 1e3 * min(values) else (1.0,))
    else:
        axes.set_xlim(left=0.0)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100.0 * value:g}"))


def _whisker(
    axes: "Axes",
    item: Mapping[str, Any],
    y: float,
    colour: str,
    marker: str,
    label: str | None,
    *,
    filled: bool = False,
) -> None:
    value = as_number(item.get("value"))
    if value is None or value <= 0.0:
        return
    low, high = as_number(item.get("low")), as_number(item.get("high"))
    if low is not None and high is not None:
        axes.plot([max(low, 1e-3 * value), high], [y, y], color=colour, linewidth=1.6, zorder=2)
    face = colour if filled else "white"
    axes.plot([value], [y], marker, color=colour, markerfacecolor=face, markersize=6, label=label, zorder=3)


def _surface(profile: Profile2D, name: str, grid: FloatArray, top: float) -> Figure:
    x, y = shown_values(profile.edges_x, profile.unit_x), shown_values(profile.edges_y, profile.unit_y)
    levels = np.arange(0.0, top + 1.0, 1.0)
    with panel((4.7, 4.0)) as (canvas, axes):
        import matplotlib
        from matplotlib.colors import BoundaryNorm

        values = np.ma.masked_invalid(_above_minimum(grid)).T
        colours = matplotlib.colormaps[COLOUR_MAP].resampled(256)
        norm = BoundaryNorm(levels, ncolors=colours.N, extend="max")
        mesh = axes.pcolormesh(x, y, values, cmap=colours, norm=norm, rasterized=True)
        _outline_states(axes, profile, x, y)
        bar = canvas.colorbar(mesh, ax=axes, extend="max", shrink=0.92, aspect=26, pad=0.03)
        bar.set_label("free energy / kT")
        bar.set_ticks(list(levels[:: 2 if top > 6 else 1]))
        bar.outline.set_linewidth(0.6)
        for side in ("top", "right"):
            axes.spines[side].set_visible(True)
        axes.set_xlabel(axis_name(profile.cv_x, profile.unit_x))
        axes.set_ylabel(axis_name(profile.cv_y, profile.unit_y))
        set_angle_ticks(axes.xaxis, x, profile.unit_x)
        set_angle_ticks(axes.yaxis, y, profile.unit_y)
        return finish(canvas, title=name, alt=_surface_words(profile, name, grid, x, y))


def _outline_states(axes: "Axes", profile: Profile2D, x: FloatArray, y: FloatArray) -> None:
    """Lines along the cell edges where the state changes, and each state's name at its deepest cell of the model."""
    if profile.states is None:
        return
    from matplotlib.collections import LineCollection
    from matplotlib.patheffects import withStroke

    ink = "#16191c"
    upright = [((x[i + 1], y[j]), (x[i + 1], y[j + 1])) for i, j in np.argwhere(np.diff(profile.states, axis=0) != 0)]
    level = [((x[i], y[j + 1]), (x[i + 1], y[j + 1])) for i, j in np.argwhere(np.diff(profile.states, axis=1) != 0)]
    axes.add_collection(LineCollection(upright + level, colors=ink, linewidths=0.9, capstyle="projecting"))
    middle_x, middle_y = 0.5 * (x[1:] + x[:-1]), 0.5 * (y[1:] + y[:-1])
    depth = np.where(np.isfinite(profile.free_energy), profile.free_energy, np.inf)
    for index, name in enumerate(profile.state_names):
        inside = profile.states == index
        if not np.isfinite(depth[inside]).any():
            continue
        i, j = np.unravel_index(int(np.argmin(np.where(inside, depth, np.inf))), depth.shape)
        across = (middle_x[i] - x[0]) / (x[-1] - x[0])
        side: Literal["left", "center", "right"] = "left" if across < 0.2 else "right" if across > 0.8 else "center"
        text = axes.text(middle_x[i], middle_y[j], name, fontsize=8.5, color=ink, ha=side, va="center")
        text.set_path_effects([withStroke(linewidth=2.6, foreground="white")])


def _common_top(grids: list[FloatArray]) -> float:
    """Upper end of the colour scale: the 98th percentile of all occupied cells, whole kT, at most the ceiling."""
    occupied = np.concatenate([_above_minimum(grid)[np.isfinite(grid)] for grid in grids])
    if occupied.size == 0:
        return 1.0
    return float(min(_CEILING_KT, max(2.0, math.ceil(np.percentile(occupied, 98.0)))))


def _above_minimum(grid: FloatArray) -> FloatArray:
    finite = np.isfinite(grid)
    return np.where(finite, grid - np.min(grid[finite]), np.nan) if finite.any() else np.full(grid.shape, np.nan)


def _drawable(values: FloatArray) -> FloatArray:
    return np.where(np.isfinite(values), values, np.nan)


def _profile_range(profile: Profile1D) -> tuple[float, float]:
    lines = [profile.free_energy] if profile.reference is None else [profile.free_energy, profile.reference]
    values = np.concatenate([line[np.isfinite(line)] for line in lines])
    if values.size == 0:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return low - 0.05 * (high - low) - 0.1, high + 0.1 * (high - low) + 0.2


def _density(histogram: FloatArray, edges: FloatArray) -> FloatArray:
    area = float(np.sum(histogram * np.diff(edges)))
    return np.asarray(histogram / area) if area > 0 else np.zeros_like(histogram, dtype=np.float64)


def _profile_words(profile: Profile1D, x: FloatArray) -> str:
    finite = np.isfinite(profile.free_energy)
    if not finite.any():
        return f"Free energy along {profile.cv}: no occupied bin."
    best = int(np.argmin(np.where(finite, profile.free_energy, np.inf)))
    lowest = fixed(x[best], 0 if profile.unit == "rad" else 2)
    words = f"Free energy along {axis_name(profile.cv, profile.unit)}: lowest at {lowest}"
    if profile.reference is None:
        return f"{words}."
    both = finite & np.isfinite(profile.reference)
    gap = np.abs(profile.free_energy[both] - profile.reference[both])
    median = fixed(float(np.median(gap)), 2) if gap.size else "unknown"
    return f"{words}; median distance to the reference {median} kT."


def _surface_words(profile: Profile2D, name: str, grid: FloatArray, x: FloatArray, y: FloatArray) -> str:
    finite = np.isfinite(grid)
    what = f"{name}: free-energy surface over {profile.cv_x} and {profile.cv_y}"
    if not finite.any():
        return f"{what}, with no occupied cell."
    i, j = np.unravel_index(int(np.argmin(np.where(finite, grid, np.inf))), grid.shape)
    at_x, at_y = 0.5 * (x[i] + x[i + 1]), 0.5 * (y[j] + y[j + 1])
    return f"{what}, lowest at ({at_x:.3g}, {at_y:.3g}); {percent(finite.mean(), 0)} of the cells are occupied."


def _energy_words(energies: EnergyHistograms) -> str:
    middles = 0.5 * (energies.edges[1:] + energies.edges[:-1])
    named = [
        ("unweighted", energies.model_raw),
        ("weighted", energies.model_weighted),
        ("reference", energies.reference),
    ]
    means = []
    for name, histogram in named:
        area = None if histogram is None else _density(histogram, energies.edges) * np.diff(energies.edges)
        if area is not None and area.sum() > 0:
            means.append(f"{name} mean {fixed(float(np.sum(area * middles)), 1)} kT")
    return f"Histogram of the reduced potential: {', '.join(means)}."
