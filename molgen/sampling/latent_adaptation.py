"""Adapting the latent distribution of a flow to a bias, in stages, without a single energy.

The target is q(x) e^{−B(x)}, q the flow's own density. Where that lies far from the bulk of q, no draw of q is near it:
so the bias is turned on by degrees, e^{−λB} with λ from 0 to 1, and each mixture draws for the next (adaptive
importance sampling, O. Cappé et al., J. Comput. Graph. Stat. 13, 907 (2004)). What comes out is frozen; the draws that
made it are thrown away, so that nothing adapted enters an estimate.
"""

from dataclasses import dataclass

import numpy as np
import torch

from molgen import seeds
from molgen.arrays import FloatArray
from molgen.bias.base import SumBias
from molgen.errors import PartialError
from molgen.interruption import Interruption
from molgen.models.spline_flow import SplineFlow
from molgen.progress import Progress, ProgressEvent, silent
from molgen.sampling.latent_fit import WeightedLatent, fit_mixture
from molgen.sampling.latent_proposal import LatentDraws, LatentProposal, LatentSettings
from molgen.weights import kish_ess

FINAL_ROUNDS = 3
"""Fits with the whole bias: the first sees draws of a weaker one."""
MIN_USABLE = 100
"""Draws inside the domain that a stage needs."""
SCALES = {"rad": 1.0, "nm": 0.1, "": 1.0}
"""Differences of a variable that count as much as a radian, by unit."""
_BISECTIONS = 40


@dataclass(frozen=True)
class Adapted:
    """The proposal, how many stages it took, and the share of effective draws of q e^{−B} before the last fit."""

    proposal: LatentProposal
    stages: int
    efficiency: float


def adapt_latent(
    flow: SplineFlow,
    bias: SumBias,
    settings: LatentSettings,
    seed: int,
    progress: Progress = silent,
    interruption: Interruption | None = None,
) -> Adapted:
    """``flow`` with its latent distribution adapted to ``bias``; all randomness from ``seed``.

    ``PartialError`` if the bias is so far from anything the flow draws that ``settings.stages`` do not reach it.
    """
    proposal = LatentProposal(flow, None, settings.base_share)
    strength, final, stage = 0.0, 0, 0
    efficiency = 0.0
    rounds: list[tuple[float, WeightedLatent]] = []
    while final < FINAL_ROUNDS:
        if stage == settings.stages:
            raise PartialError(
                f"After {stage} stages {strength:.1%} of the bias is on: the model draws nothing near where it leads.",
                "Use a weaker bias, or give more stages (--set latent.stages=...).",
            )
        if interruption is not None:
            interruption.check()
        generator = torch.Generator().manual_seed(seeds.child_seed(seed, "adaptation", stage))
        drawn = proposal.draw(settings.pilot, generator)
        if int(drawn.usable.sum()) < MIN_USABLE:
            raise PartialError(
                f"Of {settings.pilot} draws {int(drawn.usable.sum())} are inside the domain: nothing can be adapted.",
                "Train the model longer, or make more (--set latent.pilot=...).",
            )
        height = _height(bias, drawn)
        strength = next_strength(height, -drawn.log_ratio, strength, settings.least)
        log_weight = np.where(drawn.usable, -strength * np.where(drawn.usable, height, 0.0) - drawn.log_ratio, -np.inf)
        efficiency = kish_ess(log_weight)
        draws = WeightedLatent(drawn.angles, drawn.numbers, log_weight, _features(bias, drawn))
        if strength >= 1.0:
            rounds.append((efficiency, draws))
            draws = pooled(rounds[-2:])
        mixture = fit_mixture(draws, settings.base_share, seeds.numpy_generator(seed, "fit", stage))
        proposal = LatentProposal(flow, mixture, settings.base_share)
        stage += 1
        final += strength >= 1.0
        figures = {"strength": strength, "effective": efficiency, "components": float(len(mixture.components))}
        progress(ProgressEvent("adapt", stage, settings.stages, "stages", figures))
    return Adapted(proposal, stage, efficiency)


def pooled(rounds: list[tuple[float, WeightedLatent]]) -> WeightedLatent:
    """Draws of several rounds together, each with its own weights to one target, times its share of effective draws.

    Any factor a round is right, since every round's weights average to the same; this one lets poor rounds fade.
    """
    return WeightedLatent(
        np.concatenate([draws.angles for _, draws in rounds]),
        np.concatenate([draws.numbers for _, draws in rounds]),
        np.concatenate([draws.log_weight + np.log(max(share, 1e-300)) for share, draws in rounds]),
        np.concatenate([draws.features for _, draws in rounds]),
    )


def next_strength(height: FloatArray, log_ratio: FloatArray, strength: float, least: float) -> float:
    """The largest λ in [``strength``, 1] whose weights e^{−λB} q/q_mix leave a share ``least`` of the draws effective.

    ``height`` (n,) is B, ``log_ratio`` (n,) is ln q/q_mix; draws where B is +inf do not count.
    """
    usable = np.isfinite(height)
    height, log_ratio = height[usable], log_ratio[usable]

    def share(value: float) -> float:
        return kish_ess(log_ratio - value * height)

    if share(1.0) >= least:
        return 1.0
    low, high = strength, 1.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if share(middle) >= least else (low, middle)
    return low


def _height(bias: SumBias, drawn: LatentDraws) -> FloatArray:
    """B (n,) in kT, +inf for draws that do not count."""
    height = np.full(len(drawn.usable), np.inf)
    rows = np.flatnonzero(drawn.usable)
    with torch.no_grad():
        height[rows] = bias.reduced(drawn.draws.positions[torch.as_tensor(rows)]).numpy()
    return height


def _features(bias: SumBias, drawn: LatentDraws) -> FloatArray:
    """The variables of the bias (n, f): points on the unit circle for periodic ones, others over a scale of their unit.

    The same in every round, so that draws of several can stand together.
    """
    columns: list[FloatArray] = []
    with torch.no_grad():
        for cv in {term.cv.name: term.cv for term in bias.terms}.values():
            values = np.nan_to_num(cv(drawn.draws.positions.double()).numpy())
            columns += [np.cos(values), np.sin(values)] if cv.periodic else [values / SCALES[cv.unit]]
    return np.stack(columns, axis=1)
