"""The mathematics of importance weights that training and reweighting share: numpy only, pure functions.

A draw x of a model with density q gets ``log w = -u(x) - log q(x)`` with the reduced potential u = U/kT. Arrays are
``(n,)`` and hold log w; an entry that is not finite (a failed energy, a draw outside the domain) counts as weight 0
and still counts as a draw.
"""

import math
from dataclasses import dataclass

import numpy as np

from molgen.arrays import FloatArray, IntArray

WINSORISED_FRACTION = 1e-4
"""Share of the largest weights that are pulled down to the smallest of them (Schopmans and Friederich, TA-BG)."""
TRIMMED_FRACTION = 2e-3
"""Share of the largest weights that are deleted (Tan et al., SBG)."""
MAX_DISAGREEMENT_KT = 0.5
"""How much more evidence of a state the frames may show than the draws, beyond their errors, before the guard stops."""
MAX_ALLOWANCE_KT = 1.0
"""Most that the errors of the two estimates may excuse."""
MIN_KNOWN_DRAWS = 5
"""With fewer draws in a state nothing is known of its share."""
MIN_LINEAGES = 5
"""With fewer independent pieces of dynamics in a state the error of its frames is unknown and excuses nothing."""
MIN_SHARE_RATIO = 0.25
"""How much smaller than its weighted share the model's share of a state may be."""


def masked(log_weight: FloatArray) -> FloatArray:
    """``log_weight`` ``(n,)`` with everything that is not finite replaced by -inf, that is, by weight 0."""
    values = np.asarray(log_weight, dtype=np.float64)
    return np.asarray(np.where(np.isfinite(values), values, -np.inf), dtype=np.float64)


def log_sum_exp(values: FloatArray) -> float:
    """ln Σ exp(values) of ``(n,)`` values; -inf entries add nothing, and the sum of nothing is -inf."""
    peak = float(np.max(values, initial=-np.inf))
    if not math.isfinite(peak):
        return peak
    return peak + math.log(float(np.sum(np.exp(values - peak))))


def log_mean_exp(log_weight: FloatArray) -> float:
    """ln of the mean weight over all n draws, the estimate of ln Z = ln ∫ exp(-u); -inf without any weight."""
    if len(log_weight) == 0:
        return -math.inf
    return log_sum_exp(masked(log_weight)) - math.log(len(log_weight))


def normalised(log_weight: FloatArray) -> FloatArray:
    """Weights ``(n,)`` that sum to 1; all zero where there is no weight at all."""
    values = masked(log_weight)
    total = log_sum_exp(values)
    if not math.isfinite(total):
        return np.zeros(len(values))
    return np.asarray(np.exp(values - total), dtype=np.float64)


def kish_ess(log_weight: FloatArray) -> float:
    """Kish's effective sample size as a fraction of all n draws: (Σw)² / (n Σw²); 0 without any weight.

    Kish, Survey Sampling (Wiley, 1965); here exp(2·lse(log w) - lse(2·log w))/n.
    """
    if len(log_weight) == 0:
        return 0.0
    return effective_count(log_weight) / len(log_weight)


def effective_count(log_weight: FloatArray) -> float:
    """Kish's effective number of draws, (Σw)² / Σw²; 0 without any weight."""
    values = masked(log_weight)
    total = log_sum_exp(values)
    if not math.isfinite(total):
        return 0.0
    return math.exp(2.0 * total - log_sum_exp(2.0 * values))


def winsorised(log_weight: FloatArray, fraction: float = WINSORISED_FRACTION) -> FloatArray:
    """The ⌈fraction·n⌉ largest weights pulled down to the smallest among them, ``(n,)``."""
    values = masked(log_weight)
    if len(values) == 0:
        return values
    count = max(1, math.ceil(fraction * len(values) - 1e-9))
    limit = np.partition(values, len(values) - count)[len(values) - count]
    return np.asarray(np.minimum(values, limit), dtype=np.float64)


def winsorised_ess(log_weight: FloatArray, fraction: float = WINSORISED_FRACTION) -> float:
    """Kish's fraction after :func:`winsorised`: shown beside the raw figure, never in its place."""
    return kish_ess(winsorised(log_weight, fraction))


def trimmed_ess(log_weight: FloatArray, fraction: float = TRIMMED_FRACTION) -> float:
    """Kish's fraction of what is left after the ⌈fraction·n⌉ largest weights are deleted."""
    values = np.sort(masked(log_weight))
    count = max(1, math.ceil(fraction * len(values) - 1e-9))
    return kish_ess(values[: max(len(values) - count, 0)])


def largest_share(log_weight: FloatArray) -> float:
    """The largest weight's share of the sum of weights; 1 where there is no weight at all."""
    shares = normalised(log_weight)
    if not np.any(shares):
        return 1.0
    return float(np.max(shares))


def state_evidence(log_weight: FloatArray, labels: IntArray, state: int) -> float:
    """ln Z_s from draws of q: Z_s = E_q[w·1_s] over all n draws; -inf where no draw with weight is in the state."""
    inside = np.where(np.asarray(labels) == state, masked(log_weight), -np.inf)
    return log_mean_exp(inside)


def reverse_state_evidence(model_share: float, frame_log_weight: FloatArray) -> float:
    """ln Z_s from frames in the state: Z_s = q(s) / E_{p|s}[1/w].

    ``model_share`` is q(s), ``frame_log_weight`` ``(m,)`` the log w of frames in local equilibrium within s: under
    p|s the mean of 1/w = q·e^{u} is ∫_s q / Z_s = q(s)/Z_s. A frame on which log w is not finite because the model
    gives it no density adds 1/w = 0, which is its true value. -inf where q(s) is 0, NaN without frames.
    """
    if len(frame_log_weight) == 0:
        return math.nan
    if model_share <= 0.0:
        return -math.inf
    inverse = -np.asarray(frame_log_weight, dtype=np.float64)
    mean = log_sum_exp(masked(inverse)) - math.log(len(inverse))
    return math.log(model_share) - mean


def evidence_error(
    log_weight: FloatArray, labels: IntArray, state: int, frame_log_weight: FloatArray, frame_lineage: IntArray
) -> float:
    """Standard error (kT) of the difference between the two evidences of a state.

    The difference is ln E_{q|s}[w] + ln E_{p|s}[1/w]; q(s) drops out. Draws: the delta method. Frames in the state,
    ``frame_*`` ``(m,)``: the mean of 1/w with whole lineages as units, since frames of one piece of dynamics are not
    independent; left out (0) where there are fewer than ``MIN_LINEAGES``.
    """
    inside = np.asarray(labels) == state
    if not np.any(inside) or len(frame_log_weight) == 0:
        return 0.0
    effective = effective_count(np.where(inside, masked(log_weight), -np.inf))
    variance = max(0.0, 1.0 / effective - 1.0 / int(np.sum(inside))) if effective > 0.0 else 0.0
    inverse = masked(-np.asarray(frame_log_weight, dtype=np.float64))
    peak = float(np.max(inverse))
    _, piece = np.unique(frame_lineage, return_inverse=True)
    pieces = int(piece.max()) + 1
    if pieces >= MIN_LINEAGES and math.isfinite(peak):
        values = np.exp(inverse - peak)
        mean = float(np.mean(values))
        residual = np.bincount(piece, values) - mean * np.bincount(piece)
        spread = pieces / (pieces - 1) * float(np.sum(residual**2))
        variance += spread / (len(values) * mean) ** 2
    return math.sqrt(variance)


@dataclass(frozen=True)
class StateGuard:
    """What the guard found for one state; evidences are ln Z_s, shares are fractions of draws and of weight.

    ``error_kt`` is the standard error of the difference between the two evidences, ``effective_draws`` Kish's number
    for the draws in the state. A ``negligible`` state was found and not declared, and is too rare to be asked for.
    """

    name: str
    log_evidence: float
    log_evidence_frames: float
    model_share: float
    weighted_share: float
    n_draws: int
    n_frames: int
    passed: bool
    reason: str
    error_kt: float = 0.0
    negligible: bool = False
    effective_draws: float = 0.0

    def is_negligible(self, least: float) -> bool:
        """Whether the state is known to hold less than ``least`` of the target, by draws and by frames.

        One in which the model draws next to nothing is not known: it may be lost.
        """
        known = self.n_draws >= MIN_KNOWN_DRAWS and math.isfinite(self.log_evidence + self.log_evidence_frames)
        return known and self.weighted_share < least

    @property
    def disagreement_kt(self) -> float:
        """|ln Z_s (draws) - ln Z_s (frames)| in kT; inf where one of them is missing."""
        difference = abs(self.log_evidence - self.log_evidence_frames)
        return difference if math.isfinite(difference) else math.inf

    def to_json(self) -> dict[str, float | int | bool | str | None]:
        """The record that the model's training report keeps (not-finite numbers become null)."""
        numbers = {
            "log_evidence": self.log_evidence,
            "log_evidence_frames": self.log_evidence_frames,
            "disagreement_kt": self.disagreement_kt,
            "error_kt": self.error_kt,
            "model_share": self.model_share,
            "weighted_share": self.weighted_share,
        }
        record: dict[str, float | int | bool | str | None] = {"name": self.name}
        record.update({key: value if math.isfinite(value) else None for key, value in numbers.items()})
        record.update({"n_draws": self.n_draws, "n_frames": self.n_frames, "passed": self.passed})
        record["effective_draws"] = round(self.effective_draws, 1)
        record["negligible"] = self.negligible
        record["reason"] = self.reason
        return record


def guard_states(
    names: tuple[str, ...],
    log_weight: FloatArray,
    labels: IntArray,
    frame_log_weight: FloatArray,
    frame_labels: IntArray,
    frame_lineage: IntArray | None = None,
) -> tuple[StateGuard, ...]:
    """The guard of training (docs/statistics.md, section 2): one record for every state that has frames.

    ``log_weight``/``labels`` ``(n,)`` belong to fresh draws of q, ``frame_*`` ``(m,)`` to frames that need local
    equilibrium within each state only, and ``frame_lineage`` ``(m,)`` numbers their independent pieces (None: one
    piece). A state fails if it has no draw, if its frames show more evidence than its draws by more than
    ``MAX_DISAGREEMENT_KT`` beyond 1.96 standard errors (of which at most ``MAX_ALLOWANCE_KT`` count), or if q(s) is
    below ``MIN_SHARE_RATIO`` of Z_s/Z, where Z_s is the larger of the two evidences and Z their sum over the states and
    the rest. Less evidence from frames is no loss: draws never find too much on average, and frames that a model was
    fitted to have 1/w too large.
    """
    forward: list[float] = []
    backward: list[float] = []
    shares: list[float] = []
    for state in range(len(names)):
        shares.append(float(np.mean(np.asarray(labels) == state)) if len(labels) else 0.0)
        forward.append(state_evidence(log_weight, labels, state))
        backward.append(reverse_state_evidence(shares[state], frame_log_weight[frame_labels == state]))
    larger = [max(a, -math.inf if math.isnan(b) else b) for a, b in zip(forward, backward, strict=True)]
    total = log_sum_exp(np.array([*larger, state_evidence(log_weight, labels, -1)]))
    guards = []
    lineage = np.zeros(len(frame_labels), dtype=np.int64) if frame_lineage is None else frame_lineage
    for state, name in enumerate(names):
        n_frames = int(np.sum(frame_labels == state))
        if n_frames == 0:
            continue
        weighted = math.exp(larger[state] - total) if math.isfinite(total) else 0.0
        rows = frame_labels == state
        error = evidence_error(log_weight, labels, state, frame_log_weight[rows], lineage[rows])
        reason = _guard_reason(name, forward[state], backward[state], shares[state], weighted, error)
        guards.append(
            StateGuard(
                name=name,
                log_evidence=forward[state],
                log_evidence_frames=backward[state],
                model_share=shares[state],
                weighted_share=weighted,
                n_draws=int(np.sum(np.asarray(labels) == state)),
                n_frames=n_frames,
                passed=not reason,
                reason=reason,
                error_kt=error,
                effective_draws=effective_count(np.where(np.asarray(labels) == state, masked(log_weight), -np.inf)),
            )
        )
    return tuple(guards)


def _guard_reason(name: str, forward: float, backward: float, share: float, weighted: float, error: float) -> str:
    if share <= 0.0:
        return f"The model draws nothing in state {name}, which the frames visit."
    if not (math.isfinite(forward) and math.isfinite(backward)):
        return f"The evidence of state {name} cannot be estimated from both the draws and the frames."
    missing = backward - forward
    if missing > MAX_DISAGREEMENT_KT + min(1.96 * error, MAX_ALLOWANCE_KT):
        return f"The frames of state {name} show {missing:.2f} kT more evidence than the draws find."
    if share < MIN_SHARE_RATIO * weighted:
        return f"The model gives state {name} a share of {share:.2g}, but its weight is {weighted:.2g}."
    return ""
