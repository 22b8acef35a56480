r"""Which variables, and which atoms, a committor depends on, by shots that it was not fitted to.

Two measures for each group of features (a torsion is its cosine and sine together):

- its *permutation loss*: how much worse, in nats a shot, q̂ predicts the shots when the group's values are taken from
  other configurations, all else left as it is (L. Breiman, Mach. Learn. 45, 5 (2001), doi:10.1023/A:1010933404324).
  It is measured by outcomes, with an error, and 0 for what q does not depend on; two groups that say the same share it.
- its *sensitivity*: the change of logit q̂ for one standard deviation of the group near the transition,
  √⟨(∂z/∂y)²⟩ σ_y, averages weighted by K q̂(1 − q̂), the information that a configuration's shots hold on its logit.
  Of an angle y is the angle itself and σ its circular standard deviation.

An atom's share is that of the groups that it defines, each group's permutation loss in equal parts to its atoms.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from molgen.arrays import FloatArray, IntArray
from molgen.committor.features import FeatureGroup
from molgen.committor.likelihood import negative_log_likelihood
from molgen.committor.model import Committor
from molgen.observables.rows import Configurations

REPEATS = 10
"""Permutations of every group, fewer where there are many configurations."""
_MOST_ROWS = 20_000
"""Predictions for one group at most, but for one permutation."""
_UNIFORM = math.pi / math.sqrt(3.0)
"""Standard deviation of an angle that is anything; a circular one can be larger and means no more."""


@dataclass(frozen=True)
class Attribution:
    """What depends on one group: ``loss`` in nats a shot with its standard error, and its ``sensitivity``."""

    name: str
    loss: float
    loss_error: float
    sensitivity: float
    atoms: tuple[int, ...]


def attribute(
    model: Committor,
    positions: Configurations,
    reached: IntArray,
    decided: IntArray,
    lineage: IntArray,
    generator: np.random.Generator,
) -> tuple[Attribution, ...]:
    """Every group of the features of ``model``, that with the largest loss first.

    ``reached`` of ``decided`` shots (n,) from ``positions`` (n) outside the states; errors are those of
    independent ``lineage`` (n,).
    """
    features = model.features(positions).detach()
    shots, hits = torch.as_tensor(decided).double(), torch.as_tensor(reached).double()
    plain, slope = _logit_and_slope(model, features)
    loss = negative_log_likelihood(plain, hits, shots)
    information = shots * torch.sigmoid(plain) * torch.sigmoid(-plain)
    repeats = max(1, min(REPEATS, _MOST_ROWS // len(features)))
    found = []
    for group in model.features.groups:
        columns = list(group.columns)
        gain = torch.zeros_like(loss)
        for _ in range(repeats):
            mixed = features.clone()
            mixed[:, columns] = features[torch.as_tensor(generator.permutation(len(features)))][:, columns]
            gain += (negative_log_likelihood(_logit(model, mixed), hits, shots) - loss) / repeats
        value, error = _per_shot(gain.numpy(), decided, lineage)
        found.append(
            Attribution(group.name, value, error, _sensitivity(model, group, features, slope, information), group.atoms)
        )
    return tuple(sorted(found, key=lambda item: -item.loss))


def atom_shares(found: Sequence[Attribution]) -> dict[int, float]:
    """The share of every atom, of the sum 1, the largest first; losses below twice their error count for nothing."""
    share: dict[int, float] = {}
    for item in found:
        if item.atoms and item.loss > 2.0 * item.loss_error:
            for atom in item.atoms:
                share[atom] = share.get(atom, 0.0) + item.loss / len(item.atoms)
    total = sum(share.values())
    return {atom: share[atom] / total for atom in sorted(share, key=lambda atom: -share[atom])}


def _logit(model: Committor, features: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model.feature_logit(features)


def _logit_and_slope(model: Committor, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """z (n,) and its derivatives (n, F) by the standardised features."""
    with torch.enable_grad():
        inputs = features.clone().requires_grad_(True)
        logit = model.feature_logit(inputs)
        (slope,) = torch.autograd.grad(logit.sum(), inputs)
    return logit.detach(), slope


def _sensitivity(
    model: Committor, group: FeatureGroup, features: torch.Tensor, slope: torch.Tensor, information: torch.Tensor
) -> float:
    weight = information / information.sum().clamp(min=1e-300)
    if not group.angle:
        (column,) = group.columns
        values = features[:, column]
        deviation = (weight @ (values - weight @ values).square()).sqrt()
        return float((weight @ slope[:, column].square()).sqrt() * deviation)
    cosine, sine = group.columns
    scale, mean = model.features.spread, model.features.mean
    c, s = (features[:, column] * scale[column] + mean[column] for column in (cosine, sine))
    turn = -s * slope[:, cosine] / scale[cosine] + c * slope[:, sine] / scale[sine]
    resultant = float(torch.hypot(weight @ c, weight @ s).clamp(1e-12, 1.0))
    deviation_rad = min(math.sqrt(-2.0 * math.log(resultant)), _UNIFORM)
    return float((weight @ turn.square()).sqrt()) * deviation_rad


def _per_shot(gain: FloatArray, decided: IntArray, lineage: IntArray) -> tuple[float, float]:
    """Mean of ``gain`` (n,) a shot, and its standard error over lineages (a ratio of two sums)."""
    shots = float(decided.sum())
    value = float(gain.sum()) / shots
    _, number = np.unique(lineage, return_inverse=True)
    residual = np.bincount(number, gain - value * decided)
    groups = len(residual)
    if groups < 2:
        return value, math.inf
    return value, math.sqrt(groups / (groups - 1) * float((residual**2).sum())) / shots
