"""Figures of several ensembles weighed together: their overlap, and where each contributes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from molgen.reports.canvas import (
    Figure,
    axis_name,
    finish,
    legend_above,
    panel,
    set_angle_ticks,
    shown_values,
)
from molgen.reports.data import MemberHistograms
from molgen.reports.wording import percent

_LIGHT = 0.55
"""Cells of the overlap matrix above this are dark, and their number is written in white."""
_MOST_NUMBERS = 10
"""Matrices of more ensembles than this have no numbers in their cells."""


def overlap_figure(overlap: Mapping[str, Any], method: str | None = None) -> Figure | None:
    """The matrix O_ij as shades with its numbers in per cent; None without one.

    ``method`` ``MBAR`` says that free energies hang on the overlap.
    """
    names, matrix = [str(name) for name in overlap.get("names") or ()], np.asarray(overlap.get("matrix") or ())
    if matrix.ndim != 2 or len(names) < 2:
        return None
    size = len(names)
    side = min(1.6 + 0.62 * size, 6.0)
    with panel((side + 0.6, side)) as (canvas, axes):
        axes.imshow(matrix, cmap="Blues", vmin=0.0, vmax=1.0)
        if size <= _MOST_NUMBERS:
            for i in range(size):
                for j in range(size):
                    shade = "white" if matrix[i, j] > _LIGHT else "#16191c"
                    axes.text(j, i, _number(float(matrix[i, j])), ha="center", va="center", color=shade, fontsize=8.5)
        axes.set_xticks(range(size), names, rotation=40, ha="right")
        axes.set_yticks(range(size), names)
        axes.tick_params(length=0)
        axes.set_xlabel("could have come from / %")
        axes.set_ylabel("rows of")
        weakest = percent(overlap.get("weakest"))
        caption = f"The mean probability that a row of one ensemble came from another. The weakest link is {weakest}"
        if method == "MBAR":
            caption += "; below 3\N{NO-BREAK SPACE}% a free energy across it is uncertain."
        else:
            caption += "; ensembles of known density need none."
        return finish(
            canvas,
            title="Overlap of the ensembles",
            alt=f"Overlap matrix of {', '.join(names)}; the weakest link that joins them is {weakest}.",
            caption=caption,
        )


def contribution_figure(members: MemberHistograms) -> Figure:
    """Where the rows of each ensemble lie: one line each, as shares of that ensemble, with the weight beneath."""
    import matplotlib

    x = shown_values(members.edges, members.unit)
    colours = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.9, len(members.names)))
    with panel((4.7, 3.5)) as (canvas, axes):
        total = members.weight.sum(axis=0)
        axes.stairs(total, x, fill=True, color="#8c97a3", alpha=0.3, label="all, weighted")
        for name, rows, colour in zip(members.names, members.rows, colours, strict=True):
            share = rows / max(float(rows.sum()), 1.0)
            axes.stairs(share, x, color=tuple(colour), linewidth=1.6, label=name)
        axes.set_xlabel(axis_name(members.cv, members.unit))
        axes.set_ylabel("share per bin")
        axes.set_ylim(bottom=0.0)
        axes.margins(x=0.0)
        set_angle_ticks(axes.xaxis, x, members.unit)
        legend_above(axes)
        peaks = ", ".join(
            f"{name} at {0.5 * (x[i] + x[i + 1]):.3g}"
            for name, i in zip(members.names, members.rows.argmax(axis=1), strict=True)
        )
        return finish(
            canvas,
            title=f"Rows of each ensemble along {members.cv}",
            alt=f"Histograms of each ensemble along {members.cv}; most rows of {peaks}.",
        )


def _number(value: float) -> str:
    shown = 100.0 * value
    return f"{shown:.0f}" if shown >= 9.95 or shown == 0.0 else f"{shown:.2g}" if shown >= 0.01 else "<0.01"
