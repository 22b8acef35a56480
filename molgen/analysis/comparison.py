"""Whether an estimate agrees with a reference, given the errors of both."""

import math

from molgen.analysis.intervals import Z95, Estimate


def z_score(estimate: Estimate, reference: Estimate, *, logit: bool) -> float:
    """z = (x - x_ref)/√(s² + s_ref²) on the scale of the errors (logit for shares); NaN where it has no meaning."""
    first, second = (_logit(item.value) if logit else item.value for item in (estimate, reference))
    error = math.hypot(estimate.error, reference.error)
    if not (math.isfinite(first) and math.isfinite(second) and math.isfinite(error)):
        return math.nan
    return (first - second) / error if error > 0.0 else math.nan


def agrees(z: float) -> bool:
    """|Δ| ≤ 1.96·√(s² + s_ref²); False where z is not a number."""
    return math.isfinite(z) and abs(z) <= Z95


def _logit(value: float) -> float:
    return math.log(value) - math.log1p(-value) if 0.0 < value < 1.0 else math.nan
