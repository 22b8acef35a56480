"""Figures of importance weights: their spread, how few draws carry them, how heavy their tail is."""

import numpy as np

from molgen.arrays import FloatArray, IntArray
from molgen.reports.canvas import MODEL, RAW, REFERENCE, Figure, finish, legend_above, panel, plain_log_ticks
from molgen.reports.wording import count, fixed, percent

_POINTS = 200
"""Points drawn of a curve over all draws, spaced evenly in the logarithm of the rank."""


def weight_figures(
    log_weight: FloatArray, *, pareto_k: float | None = None, threshold: float | None = None
) -> tuple[Figure, ...]:
    """Histogram of log w, cumulative share, and the tail with its fit; empty if no weight is positive.

    ``log_weight`` (n,): unnormalised log w, not finite for weight 0. ``pareto_k`` and ``threshold`` as in the result.
    """
    relative = relative_log_weight(log_weight)
    if relative.size == 0:
        return ()
    figures = [_histogram(relative, log_weight.size), _share(relative, log_weight.size)]
    if relative.size >= 25:
        figures.append(_tail(relative, log_weight.size, pareto_k, threshold))
    return tuple(figures)


def relative_log_weight(log_weight: FloatArray) -> FloatArray:
    """ln(w / mean w) of the positive weights, shape (m,), m <= n; the mean is over all n draws, zeros counted.

    Infinite and NaN log weights count as weight 0.
    """
    positive = log_weight[np.isfinite(log_weight)]
    if positive.size == 0:
        return np.zeros(0)
    top = positive.max()
    return np.asarray(positive - (top + np.log(np.exp(positive - top).sum() / log_weight.size)))


def _histogram(relative: FloatArray, n: int) -> Figure:
    """Where the draws are and where the weight is, over ln(w / mean w)."""
    low, high = np.percentile(relative, 0.1), relative.max()
    edges = np.linspace(low, max(high, low + 1e-3), 61)
    draws, _ = np.histogram(relative, edges)
    weight, _ = np.histogram(relative, edges, weights=np.exp(relative))
    with panel() as (canvas, axes):
        axes.stairs(draws / n, edges, fill=True, color=RAW, alpha=0.35, label="share of the draws")
        axes.stairs(weight / n, edges, color=MODEL, linewidth=1.7, label="share of the weight")
        axes.axvline(0.0, color="#3a4148", linewidth=0.8, dashes=(1, 2))
        axes.set_xlabel("ln (w / mean w)")
        axes.set_ylabel("share per bin")
        axes.set_ylim(bottom=0.0)
        axes.margins(x=0.0)
        legend_above(axes)
        zero = n - relative.size
        return finish(
            canvas,
            title="Spread of the weights",
            alt=f"Histogram of ln w over its mean: standard deviation {fixed(relative.std(), 2)}, "
            f"largest {fixed(relative.max(), 2)}.",
            caption=f"A perfect model has every draw at 0. {count(zero)} of {count(n)} draws have weight 0.",
        )


def _share(relative: FloatArray, n: int) -> Figure:
    """Cumulative share of the weight, heaviest draws first (a Lorenz curve read from the top)."""
    share = np.cumsum(np.exp(np.sort(relative)[::-1])) / n
    ranks = _log_spaced_ranks(share.size)
    one_percent = float(share[min(share.size, max(1, round(0.01 * n))) - 1])
    with panel() as (canvas, axes):
        fraction = ranks / n
        axes.plot(fraction, fraction, color=RAW, dashes=(1, 1.5), label="equal weights")
        axes.plot(fraction, share[ranks - 1], color=MODEL, label="these weights")
        axes.set_xscale("log")
        plain_log_ticks(axes.xaxis, factor=100.0)
        axes.set_ylim(0.0, 1.02)
        axes.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0", "25", "50", "75", "100"])
        axes.set_xlabel("heaviest draws / % of all")
        axes.set_ylabel("their weight / % of all")
        legend_above(axes)
        return finish(
            canvas,
            title="How few draws carry the weight",
            alt=f"Cumulative weight: the heaviest 1 % of the draws hold {percent(one_percent)} of the weight.",
            caption=f"The heaviest 1 % of the draws hold {percent(one_percent)} of the weight, "
            f"the heaviest one {percent(float(share[0]), 2)}.",
        )


def _tail(relative: FloatArray, n: int, pareto_k: float | None, threshold: float | None) -> Figure:
    """Exceedance of the largest weights beside generalised Pareto tails of the fitted and the highest allowed shape.

    P(w > u + y | w > u) = (1 + k·y/σ)^(-1/k); u is the cutoff below the M = min(n/5, 3√n) largest weights
    (Vehtari et al., J. Mach. Learn. Res. 25, 72 (2024)), k is given, and σ is set by the median excess:
    σ = k·median / (2^k - 1), so that curves of different k share it and differ in the tail alone.
    """
    ordered = np.sort(relative)[::-1]
    size = min(ordered.size - 1, max(5, int(np.ceil(min(0.2 * n, 3.0 * np.sqrt(n))))))
    cutoff, excess = np.exp(ordered[size]), np.exp(ordered[:size]) - np.exp(ordered[size])
    ranks = _log_spaced_ranks(size)
    with panel() as (canvas, axes):
        probability = (ranks - 0.5) / size
        axes.plot(np.exp(ordered[ranks - 1]), probability, "o", color=MODEL, markersize=3.2, label="largest weights")
        lines = ((pareto_k, REFERENCE, (None, None), "fit, k̂"), (threshold, RAW, (4, 2), "limit, k"))
        for shape, colour, dashes, name in lines:
            if shape is not None and np.median(excess) > 0:
                y = _pareto_excess(probability, shape, float(np.median(excess)))
                axes.plot(cutoff + y, probability, color=colour, dashes=dashes, label=f"{name} = {fixed(shape, 2)}")
        axes.set_xscale("log")
        axes.set_yscale("log")
        left, right = axes.get_xlim()
        plain_log_ticks(axes.xaxis, steps=(1.0, 2.0, 5.0) if right < 300.0 * left else (1.0,))
        plain_log_ticks(axes.yaxis, factor=100.0)
        axes.set_xlabel("weight w / mean w")
        axes.set_ylabel("tail above w / %")
        axes.legend(loc="upper right")
        return finish(
            canvas,
            title="Tail of the weights",
            alt=f"The {count(size)} largest weights on logarithmic axes; Pareto shape {fixed(pareto_k, 2)}, "
            f"threshold {fixed(threshold, 2)}.",
            caption="Points to the right of the dashed line mean a tail too heavy for error bars to hold.",
        )


def _pareto_excess(probability: FloatArray, shape: float, median: float) -> FloatArray:
    if abs(shape) < 1e-6:
        return np.asarray(-np.log(probability) * median / np.log(2.0))
    with np.errstate(over="ignore"):
        sigma = shape * median / (2.0**shape - 1.0)
        return np.asarray(sigma / shape * (probability**-shape - 1.0))


def _log_spaced_ranks(size: int) -> IntArray:
    return np.unique(np.round(np.geomspace(1, size, min(size, _POINTS))).astype(np.int64))
