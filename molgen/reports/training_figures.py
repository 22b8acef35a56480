"""Figures of a training run: likelihood or loss, effective sample size and the per-state guard over the steps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from molgen.arrays import FloatArray
from molgen.reports.canvas import MODEL, RAW, REFERENCE, Figure, finish, panel
from molgen.reports.wording import as_number, fixed, percent

Series = tuple[FloatArray, FloatArray]
"""Steps and values, both (m,), only where the log has the value."""

_GUARD_LIMIT_KT = 0.5
"""A state's two weight estimates may differ by this much before the energy term is taken back."""
_STYLES = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"))


def training_figures(rows: Sequence[Mapping[str, Any]]) -> tuple[Figure, ...]:
    """One figure for each of NLL, loss, ESS and guard that ``rows`` (see ``ReportData.training``) hold; maybe none."""
    figures = (_likelihood(rows), _loss(rows), _effective(rows), _guard(rows))
    return tuple(figure for figure in figures if figure is not None)


def _likelihood(rows: Sequence[Mapping[str, Any]]) -> Figure | None:
    return _falling(rows, "nll", "Likelihood", "−log q / nat per frame", "Negative log-likelihood", " nat")


def _loss(rows: Sequence[Mapping[str, Any]]) -> Figure | None:
    return _falling(rows, "loss", "Loss", "loss per frame", "Loss", "")


def _falling(
    rows: Sequence[Mapping[str, Any]], key: str, title: str, axis: str, subject: str, unit: str
) -> Figure | None:
    """``train_<key>`` and ``validation_<key>`` over the steps."""
    train, validation = _series(rows, f"train_{key}"), _series(rows, f"validation_{key}")
    values = np.concatenate([train[1], validation[1]])
    if values.size == 0:
        return None
    with panel() as (canvas, axes):
        axes.plot(*train, color=RAW, linewidth=1.2, label="training")
        axes.plot(*validation, color=MODEL, marker="o", markersize=3, label="validation")
        # The first steps are far off the scale that matters; the axis keeps to the later ones.
        settled = np.concatenate([series[1][series[1].size // 10 :] for series in (train, validation)])
        spread = max(float(np.ptp(settled)), 1e-3)
        axes.set_ylim(float(settled.min()) - 0.06 * spread, float(settled.max()) + 0.06 * spread)
        axes.set_xlabel("step")
        axes.set_ylabel(axis)
        axes.legend(loc="upper right")
        last = validation[1][-1] if validation[1].size else train[1][-1]
        return finish(canvas, title=title, alt=f"{subject} over training; last {fixed(last, 2)}{unit}.")


def _effective(rows: Sequence[Mapping[str, Any]]) -> Figure | None:
    steps, values = _series(rows, "ess")
    if values.size == 0:
        return None
    with panel() as (canvas, axes):
        axes.plot(steps, 100.0 * values, color=MODEL, marker="o", markersize=3)
        axes.set_ylim(0.0, min(104.0, max(10.0, 115.0 * float(values.max()))))
        axes.set_xlabel("step")
        axes.set_ylabel("raw ESS / %")
        return finish(
            canvas,
            title="Effective sample size in training",
            alt=f"Raw ESS over training: last {percent(values[-1])}.",
            caption="From draws made during training; they enter no estimate.",
        )


def _guard(rows: Sequence[Mapping[str, Any]]) -> Figure | None:
    states = list(dict.fromkeys(name for row in rows for name in _guard_of(row)))
    series = {
        name: _series([{"step": row.get("step"), name: _guard_of(row).get(name)} for row in rows], name)
        for name in states
    }
    series = {name: item for name, item in series.items() if item[1].size}
    if not series:
        return None
    with panel() as (canvas, axes):
        axes.axhspan(-_GUARD_LIMIT_KT, _GUARD_LIMIT_KT, color=RAW, alpha=0.15, linewidth=0)
        colours = (MODEL, REFERENCE, "#3a4148")
        for index, (name, (steps, values)) in enumerate(series.items()):
            line, marker = _STYLES[index % len(_STYLES)]
            axes.plot(
                steps, values, line, marker=marker, color=colours[index % 3], markersize=3, linewidth=1.2, label=name
            )
        axes.set_xlabel("step")
        axes.set_ylabel("disagreement / kT")
        axes.legend(loc="best")
        worst = max(float(np.abs(values).max()) for _, values in series.values())
        return finish(
            canvas,
            title="Guard on each state",
            alt=f"Disagreement of each state's two weight estimates over training: at most {fixed(worst, 2)} kT.",
            caption=f"Shaded: the allowed ±{_GUARD_LIMIT_KT} kT.",
        )


def _guard_of(row: Mapping[str, Any]) -> Mapping[str, Any]:
    guard = row.get("guard")
    return guard if isinstance(guard, Mapping) else {}


def _series(rows: Sequence[Mapping[str, Any]], key: str) -> Series:
    pairs = [(as_number(row.get("step", index)), as_number(row.get(key))) for index, row in enumerate(rows)]
    known = [(step, value) for step, value in pairs if step is not None and value is not None]
    array = np.array(known, dtype=np.float64).reshape(-1, 2)
    return array[:, 0], array[:, 1]
