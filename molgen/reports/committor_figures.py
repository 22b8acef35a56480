"""Figures of a committor: reliability, q on its variables, rounds of shots, what q depends on, the formula."""

from collections.abc import Mapping, Sequence
from typing import Any

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
    set_angle_ticks,
    shown_values,
)
from molgen.reports.committor_data import CommittorLine, CommittorPlane
from molgen.reports.wording import as_number, fixed, percent

_INK = "#16191c"
_LINES = {0.1: ":", 0.5: "-", 0.9: "--"}
"""Iso-lines of q by style, so that no colour is needed."""
MOST_BARS = 10


def reliability_figure(rows: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Observed against predicted shares with Wilson's intervals; None without any."""
    if not rows:
        return None
    predicted = np.array([row["predicted"] for row in rows])
    observed = np.array([row["observed"] for row in rows])
    low, high = (np.array([row["interval"][end] for row in rows]) for end in (0, 1))
    with panel((4.7, 4.0)) as (canvas, axes):
        axes.plot([0, 1], [0, 1], color=RAW, linestyle=":", linewidth=1.3, label="perfect")
        errors = np.clip(np.stack([observed - low, high - observed]), 0.0, None)
        axes.errorbar(
            predicted,
            observed,
            errors,
            fmt="o",
            color=MODEL,
            markersize=5,
            elinewidth=1.4,
            label="shots, 95 % interval",
        )
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_aspect("equal")
        axes.set_xlabel("predicted q")
        axes.set_ylabel("share of shots that reached B")
        legend_above(axes)
        off = int(np.sum((predicted < low) | (predicted > high)))
        words = f"{off} of {len(rows)} intervals leave out the prediction."
        return finish(canvas, title="Reliability", alt=f"Reliability diagram of {len(rows)} bins of q; {words}")


def plane_figure(plane: CommittorPlane) -> Figure:
    """q as shades with iso-lines at 0.1, 0.5 and 0.9, and the configurations that were shot from."""
    x, y = shown_values(plane.x, plane.unit_x), shown_values(plane.y, plane.unit_y)
    q = np.ma.masked_invalid(plane.q).T
    with panel((4.7, 4.0)) as (canvas, axes):
        import matplotlib

        filled = axes.contourf(x, y, q, levels=np.linspace(0.0, 1.0, 11), cmap=matplotlib.colormaps[COLOUR_MAP])
        filled.set_rasterized(False)
        px, py = shown_values(plane.points[:, 0], plane.unit_x), shown_values(plane.points[:, 1], plane.unit_y)
        axes.plot(px, py, ".", color="white", markersize=2.2, markeredgewidth=0.0, alpha=0.7, zorder=3)
        _iso_lines(axes, x, y, q)
        _state_names(axes, plane, x, y)
        bar = canvas.colorbar(filled, ax=axes, ticks=[0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
        bar.set_label("q")
        axes.set_xlim(float(x[0]), float(x[-1]))
        axes.set_ylim(float(y[0]), float(y[-1]))
        axes.set_xlabel(axis_name(plane.cv_x, plane.unit_x))
        axes.set_ylabel(axis_name(plane.cv_y, plane.unit_y))
        set_angle_ticks(axes.xaxis, x, plane.unit_x)
        set_angle_ticks(axes.yaxis, y, plane.unit_y)
        caption = "Lines: q = 0.1 dotted, 0.5 solid, 0.9 dashed. Dots: configurations that were shot from."
        if plane.averaged:
            caption += " q is the mean of its logit over configurations nearby; white: none is near."
        known = np.isfinite(plane.q)
        half = percent(float(np.mean(plane.q[known] >= 0.5)), 0) if known.any() else "none"
        alt = f"q over {plane.cv_x} and {plane.cv_y} with iso-lines at 0.1, 0.5 and 0.9; at least 0.5 on {half} of it."
        return finish(canvas, title=f"q on {plane.cv_x} and {plane.cv_y}", alt=alt, caption=caption)


def _iso_lines(axes: Any, x: FloatArray, y: FloatArray, q: Any) -> None:
    from matplotlib.patheffects import withStroke

    for level, style in _LINES.items():
        if not (float(q.min()) < level < float(q.max())):
            continue
        lines = axes.contour(x, y, q, levels=[level], colors=[_INK], linestyles=style, linewidths=1.5, zorder=4)
        lines.set_path_effects([withStroke(linewidth=3.0, foreground="white")])


def _state_names(axes: Any, plane: CommittorPlane, x: FloatArray, y: FloatArray) -> None:
    """The name of each state in the middle of the largest part of the plane where q is exactly 0 or 1."""
    from matplotlib.patheffects import withStroke
    from scipy.ndimage import label

    for value, name in zip((0.0, 1.0), plane.names, strict=True):
        parts, count = label(plane.q == value)
        if not count:
            continue
        largest = int(np.argmax(np.bincount(parts.ravel())[1:])) + 1
        i, j = (float(np.mean(places)) for places in np.nonzero(parts == largest))
        place = (np.interp(i, np.arange(len(x)), x), np.interp(j, np.arange(len(y)), y))
        text = axes.text(*place, name, fontsize=8.5, color=_INK, ha="center", va="center", zorder=5)
        text.set_path_effects([withStroke(linewidth=2.6, foreground="white")])


def line_figure(line: CommittorLine) -> Figure:
    """q along the only variable, with the shares observed."""
    x = shown_values(line.x, line.unit)
    with panel() as (canvas, axes):
        axes.plot(x, line.q, color=MODEL, label="predicted")
        at, share, low, high = line.observed.T
        errors = np.clip(np.stack([share - low, high - share]), 0.0, None)
        axes.errorbar(
            shown_values(at, line.unit), share, errors, fmt="s", color=REFERENCE, markerfacecolor="white",
            markersize=4, elinewidth=1.2, label="shots, 95 % interval",
        )  # fmt: skip
        axes.axhline(0.5, color=RAW, linestyle=":", linewidth=1.0)
        axes.set_ylim(-0.03, 1.03)
        axes.set_xlabel(axis_name(line.cv, line.unit))
        axes.set_ylabel("q")
        legend_above(axes)
        cross = x[int(np.argmin(np.abs(line.q - 0.5)))]
        return finish(
            canvas, title=f"q along {line.cv}", alt=f"q along {line.cv} with observed shares; 0.5 near {cross:.3g}."
        )


def rounds_figure(rounds: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Log loss of the held-out shots beside its floor over the shots fitted to; None with fewer than two rounds."""
    rows = [row for row in rounds if as_number(row.get("log_loss")) is not None]
    if len(rows) < 2:
        return None
    shots = [float(row["shots"]) for row in rows]
    loss, floor = ([float(row[key]) for row in rows] for key in ("log_loss", "log_loss_floor"))
    with panel() as (canvas, axes):
        axes.plot(shots, loss, color=MODEL, marker="o", markersize=4, label="committor")
        axes.plot(shots, floor, color=RAW, linestyle="--", marker="^", markersize=4, label="least there could be")
        axes.set_xlabel("shots fitted to")
        axes.set_ylabel("log loss / nat per held-out shot")
        axes.set_xlim(left=0.0)
        legend_above(axes)
        ends = f"{fixed(loss[0], 4)} at first, {fixed(loss[-1], 4)} at last"
        return finish(
            canvas,
            title="Rounds of shots",
            alt=f"Held-out log loss over {len(rows)} rounds: {ends}.",
            caption="Each round adds held-out shots, so that the floor moves too.",
        )


def dependence_figure(variables: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Permutation losses with their errors, the largest first."""
    rows = list(variables)[:MOST_BARS]
    if not rows:
        return None
    values = np.array([row["loss"] for row in rows], dtype=np.float64)
    errors = np.array([as_number(row["loss_error"]) or 0.0 for row in rows])
    with panel((4.7, 1.3 + 0.3 * len(rows))) as (canvas, axes):
        places = np.arange(len(rows))
        axes.barh(places, np.maximum(values, 0.0), height=0.6, color=MODEL)
        axes.errorbar(values, places, xerr=1.96 * errors, fmt="none", color=_INK, elinewidth=1.2, capsize=2.5)
        axes.set_yticks(places, [_short(str(row["name"])) for row in rows])
        axes.invert_yaxis()
        axes.set_xlabel("loss without it / nat per shot")
        axes.set_xlim(left=min(0.0, 1.1 * float((values - 1.96 * errors).min())))
        first = f"{rows[0]['name']} {fixed(values[0], 3)}"
        return finish(
            canvas, title="What q depends on", alt=f"Permutation losses, the largest first: {first} nat a shot."
        )


def formula_figure(record: Mapping[str, Any]) -> Figure | None:
    """Cross-validated log loss against the number of terms, beside the network's and the floor; None without terms."""
    formula = (record.get("mechanism") or {}).get("formula")
    if not formula or len(formula["by_size"]) < 2:
        return None
    pairs = [(size, as_number(value)) for size, value in enumerate(formula["by_size"])]
    known = [(size, value) for size, value in pairs if value is not None]
    with panel() as (canvas, axes):
        axes.plot(*zip(*known, strict=True), color=MODEL, marker="o", markersize=4, label="formula")
        chosen = len(formula["terms"])
        axes.plot(
            [chosen], [dict(known)[chosen]], "s", color=MODEL, markerfacecolor="white", markersize=9, label="chosen"
        )
        axes.axhline(record["log_loss"], color=REFERENCE, linestyle="--", label="network")
        axes.axhline(record["log_loss_floor"], color=RAW, linestyle=":", label="least there could be")
        axes.set_xlabel("terms")
        axes.set_xticks(range(len(formula["by_size"])))
        axes.set_ylabel("log loss / nat per held-out shot")
        axes.legend(loc="upper right")
        return finish(
            canvas,
            title="Terms of the formula",
            alt=f"Cross-validated log loss against the number of terms; {chosen} were chosen.",
        )


def _short(name: str) -> str:
    """A long name of an internal coordinate without its residues."""
    return name if len(name) <= 34 else name.split(" (")[0] + (name.split(")")[-1] if ")" in name else "")
