"""Populations against the number of draws."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from molgen.reports.canvas import MODEL, RAW, REFERENCE, Figure, finish, legend_above, panel, plain_log_ticks

MOST = 6
"""States drawn: more curves cannot be told apart."""
_COLOURS = (MODEL, REFERENCE, "#2d7d59", "#7a4a9e", RAW, "#1f2429")
_MARKERS = ("o", "s", "^", "D", "v", "P")


def convergence_figure(curves: Mapping[str, Sequence[Mapping[str, Any]]] | None) -> Figure | None:
    """Of every state its population with its 95 % interval from the first k draws; None without curves.

    ``curves``: state -> [{draws, value, low, high}, …] as in result.json. The states that hold most are drawn.
    """
    if not curves:
        return None
    last = {name: points[-1].get("value") or 0.0 for name, points in curves.items() if points}
    shown = sorted(last, key=lambda name: -last[name])[:MOST]
    with panel() as (canvas, axes):
        for index, name in enumerate(shown):
            points = [point for point in curves[name] if point.get("value") is not None]
            draws = np.array([point["draws"] for point in points], dtype=np.float64)
            value, low, high = (
                np.array([np.nan if point.get(key) is None else point[key] for point in points], dtype=np.float64)
                for key in ("value", "low", "high")
            )
            colour = _COLOURS[index]
            axes.fill_between(draws, 100.0 * low, 100.0 * high, color=colour, alpha=0.15, linewidth=0.0)
            axes.plot(draws, 100.0 * value, color=colour, marker=_MARKERS[index], markersize=3.5, label=name)
        axes.set_xscale("log")
        plain_log_ticks(axes.xaxis, steps=(1.0, 3.0))
        axes.set_xlabel("draws")
        axes.set_ylabel("population / %")
        axes.set_ylim(bottom=0.0)
        legend_above(axes)
        words = ", ".join(f"{name} {100.0 * last[name]:.1f} %" for name in shown)
        left_out = len(last) - len(shown)
        return finish(
            canvas,
            title="Populations against the number of draws",
            alt=f"Populations with intervals from the first draws up to all of them; in the end {words}.",
            caption="Bands are 95 % intervals. A curve that leaves the bands of fewer draws tells of heavy weights."
            + (f" {left_out} further states are not drawn." if left_out else ""),
        )
