"""Standard errors and 95 % intervals of weighted averages.

Every estimate here comes with its influence: ψ_i, the first-order change of the estimate per draw, so that
Var = Σ ψ_i² for independent draws, and the sum of squared block sums for correlated ones (the delta method, or
infinitesimal jackknife; Efron, J. R. Stat. Soc. B 54, 83 (1992)). Sums and ratios of estimates follow by the chain
rule with one set of weights, so that correlations between numerator and denominator are kept. Where weights themselves
depend on all rows (several ensembles joined by MBAR) replicates of the weights take the place of Σ ψ².

Intervals of shares are made on the logit and of ratios on the log scale: their ends stay inside (0, 1) or above 0.
With few effective samples or a heavy tail an estimated variance is too small; the verdict, not the interval, says so.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from molgen.arrays import BoolArray, Float32Array, FloatArray, IntArray
from molgen.weights import kish_ess, normalised

Z95 = 1.959963984540054
"""Half-width of a 95 % interval in standard errors of a normal variable."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval; ``error`` is the standard error on the scale on which the interval is made."""

    value: float
    low: float
    high: float
    error: float

    def to_json(self) -> dict[str, float | None]:
        """``value``, ``low``, ``high``; what is not finite becomes None."""
        items = {"value": self.value, "low": self.low, "high": self.high}
        return {key: value if math.isfinite(value) else None for key, value in items.items()}


@dataclass(frozen=True)
class WeightedRows:
    """Normalised weights ``(n,)`` of rows and, for correlated frames, the block ``(n,)`` each belongs to.

    ``replicates`` ``(R, n)`` are a bootstrap's weights relative to ``share`` (1 for no change); where they are given,
    errors are the spread over them.
    """

    share: FloatArray
    block: IntArray | None = None
    replicates: Float32Array | None = None

    @classmethod
    def from_log_weight(
        cls, log_weight: FloatArray, block: IntArray | None = None, replicates: Float32Array | None = None
    ) -> "WeightedRows":
        """Rows of ``log_weight`` ``(n,)``, what is not finite as weight 0."""
        return cls(normalised(log_weight), block, replicates)

    def standard_error(self, influence: FloatArray) -> float:
        """√Σψ² over independent rows, with the factor n/(n - 1), or over blocks; inf for fewer than two of them.

        Of B blocks with the shares W_b of the weight √((B - 1)/B·Σ(Ψ_b/(1 - W_b))²), Ψ_b ↔ the sum of ψ in a block:
        what a weighted mean changes by when the block is left out (the jackknife). With replicates the standard
        deviation of Σ_i s_ri ψ_i over them, s_ri ↔ the relative weight of row i: for a weighted mean,
        ψ_i = w̃_i (x_i - mean), exactly that of the replicates' means.
        """
        if self.replicates is not None:
            return float(np.std(self.replicates @ influence.astype(np.float32), ddof=1))
        if self.block is None:
            count, squares = len(influence), float(np.sum(influence**2))
            return math.sqrt(squares * count / (count - 1)) if count > 1 else math.inf
        sums = np.bincount(self.block, weights=influence)
        count = len(sums)
        left = 1.0 - np.bincount(self.block, weights=self.share)
        if count < 2 or np.any(left <= 0.0):
            return math.inf
        return math.sqrt(float(np.sum((sums / left) ** 2)) * (count - 1) / count)

    def under(self, log_weight: FloatArray) -> "WeightedRows":
        """The same rows with other weights ``(n,)``: a replicate changes how often a row counts, whatever it weighs."""
        share = normalised(log_weight)
        if self.replicates is None:
            return replace(self, share=share)
        total = (self.replicates @ share.astype(np.float32))[:, None]
        relative = np.divide(self.replicates, total, out=np.zeros_like(self.replicates), where=total > 0.0)
        return replace(self, share=share, replicates=relative)

    @property
    def quantile(self) -> float:
        """Half-width of a 95 % interval in standard errors: Student's for few blocks, else the normal one."""
        if self.block is None:
            return Z95
        from scipy.stats import t

        return float(t.ppf(0.975, max(int(np.max(self.block)), 1)))

    @property
    def effective(self) -> float:
        """Kish's effective number of rows or, for correlated frames, of blocks."""
        shares = self.share if self.block is None else np.bincount(self.block, weights=self.share)
        total = float(np.sum(shares**2))
        return 1.0 / total if total > 0.0 else 0.0


def difference_error(after: WeightedRows, raised: FloatArray, before: WeightedRows, lowered: FloatArray) -> float:
    """Standard error of a difference of two estimates from the same rows under two sets of weights.

    ``raised`` and ``lowered`` ``(n,)`` are the influences of the one ``after`` and of the one ``before``. As in
    :meth:`WeightedRows.standard_error`, with what the two have in common subtracted row by row, block by block or
    replicate by replicate.
    """
    if after.replicates is not None and before.replicates is not None:
        changes = after.replicates @ raised.astype(np.float32) - before.replicates @ lowered.astype(np.float32)
        return float(np.std(changes, ddof=1))
    if after.block is None:
        return after.standard_error(raised - lowered)
    changes = np.zeros(int(np.max(after.block)) + 1)
    for rows, influence, sign in ((after, raised, 1.0), (before, lowered, -1.0)):
        left = 1.0 - np.bincount(after.block, weights=rows.share)
        if len(left) < 2 or np.any(left <= 0.0):
            return math.inf
        changes += sign * np.bincount(after.block, weights=influence) / left
    return math.sqrt(float(np.sum(changes**2)) * (len(changes) - 1) / len(changes))


def share_influence(rows: WeightedRows, inside: BoolArray) -> tuple[float, FloatArray]:
    """The weighted share p of rows with ``inside`` ``(n,)`` and its influence w̃_i·(1_i - p)."""
    value = float(np.sum(rows.share[inside]))
    return value, rows.share * (inside - value)


def mean_influence(rows: WeightedRows, values: FloatArray) -> tuple[float, FloatArray]:
    """The weighted mean of ``values`` ``(n,)`` and its influence; rows of weight 0 are not looked at."""
    used = np.where(rows.share > 0.0, values, 0.0)
    value = float(np.sum(rows.share * used))
    return value, rows.share * (used - value)


def share_interval(value: float, error: float, rows: WeightedRows) -> Estimate:
    """A share with its interval on the logit scale, ``error`` on the natural one.

    A share of 0 (or 1) gets the interval that ``effective`` independent rows without an event allow, 1 - 0.05^(1/n).
    """
    if not 0.0 < value < 1.0:
        effective = max(rows.effective, 1.0)
        limit = 1.0 - 0.05 ** (1.0 / effective)
        return Estimate(0.0, 0.0, limit, math.inf) if value <= 0.0 else Estimate(1.0, 1.0 - limit, 1.0, math.inf)
    logit = math.log(value) - math.log1p(-value)
    scaled = error / (value * (1.0 - value))
    half = rows.quantile * scaled
    return Estimate(value, _sigmoid(logit - half), _sigmoid(logit + half), scaled)


def plain_interval(value: float, error: float, rows: WeightedRows) -> Estimate:
    """A value with the interval ± quantile·error on its own scale."""
    half = rows.quantile * error
    return Estimate(value, value - half, value + half, error)


def ess_interval(log_weight: FloatArray, generator: np.random.Generator, repeats: int = 200) -> tuple[float, float]:
    """95 % interval of the raw Kish fraction by the Poisson bootstrap over draws (percentiles).

    It cannot know of weights larger than those drawn: under a heavy tail the true ESS lies below it.
    """
    n = len(log_weight)
    share = normalised(log_weight)
    if n == 0 or not np.any(share):
        return 0.0, 0.0
    values = []
    squares = share**2
    for _ in range(repeats):
        counts = generator.poisson(1.0, n)
        total, second = float(counts @ share), float(counts @ squares)
        values.append(total**2 / (second * max(int(np.sum(counts)), 1)) if second > 0.0 else 0.0)
    low, high = np.quantile(values, [0.025, 0.975])
    raw = kish_ess(log_weight)
    return min(float(low), raw), max(float(high), raw)


def _sigmoid(value: float) -> float:
    if value >= 0.0:
        return 1.0 / (1.0 + math.exp(-value))
    small = math.exp(max(value, -700.0))
    return small / (1.0 + small)
