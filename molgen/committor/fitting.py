"""Fitting a committor to shots by its binomial likelihood, each member to its own bootstrap of the lineages."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from pydantic import Field, PositiveFloat, PositiveInt

from molgen.arrays import IntArray
from molgen.committor.likelihood import negative_log_likelihood, steepness
from molgen.committor.model import Committor, CommittorSettings, EquivariantMembers, pooled
from molgen.committor.variational import VariationalTerm, WeightedMoves
from molgen.errors import InputError
from molgen.observables.boundary import Boundary
from molgen.observables.rows import Configurations
from molgen.progress import Progress, ProgressEvent, silent
from molgen.seeds import child_seed
from molgen.settings import Settings
from molgen.shooting.shots import Counts

LEAST_DECIDED = 50
"""Fewer decided shots than this are too few to fit anything to."""
CALIBRATED = 0.25
"""A calibration is applied where the relative error of its slope is below this."""


class FittingSettings(Settings):
    """``steps`` of AdamW on ``batch`` configurations each; all, if there are no more.

    A member keeps the parameters of every ``check_every`` steps that serve its left-out lineages best. ``variational``
    is the weight of ln D (:mod:`molgen.committor.variational`) beside the mean over the configurations of -ln L, where
    there are moves to take it from.
    """

    model: CommittorSettings = CommittorSettings()
    steps: PositiveInt = 800
    batch: PositiveInt = 512
    rate: PositiveFloat = 5e-3
    decay: float = Field(default=1e-2, ge=0.0)
    check_every: PositiveInt = 40
    variational: PositiveFloat = 0.1


@dataclass(frozen=True, eq=False)
class FittingData:
    """Configurations (n) outside the states with shots decided and their lineage (n,)."""

    positions: Configurations
    reached: IntArray
    decided: IntArray
    lineage: IntArray

    @classmethod
    def of(cls, positions: Configurations, counts: Counts, lineage: IntArray) -> "FittingData":
        """The configurations from which some shot was decided.

        ``InputError`` if too few shots are decided, or all had one outcome.
        """
        used = counts.decided > 0
        reached, decided = counts.b[used], counts.decided[used]
        total, hits = int(decided.sum()), int(reached.sum())
        if total < LEAST_DECIDED:
            raise InputError(
                f"Only {total} shots reached a state, too few to fit a committor to.",
                f"Shoot more, or longer: at least {LEAST_DECIDED} decided shots.",
            )
        if hits in (0, total):
            raise InputError(
                f"All {total} decided shots reached the same state.",
                "Shoot from configurations nearer to the other state.",
            )
        return cls(positions[used], reached, decided, lineage[used])

    def rows(self, index: IntArray) -> "FittingData":
        """The configurations ``index``."""
        return FittingData(self.positions[index], self.reached[index], self.decided[index], self.lineage[index])


def fit_committor(
    boundary: Boundary,
    data: FittingData,
    settings: FittingSettings,
    seed: int,
    progress: Progress = silent,
    *,
    moves: WeightedMoves | None = None,
) -> Committor:
    """A committor fitted to ``data``.

    Lineages are drawn with replacement for each member; those that were not drawn are its held-out set, by which its
    parameters are chosen. With one lineage configurations are drawn instead. In the end the logits are calibrated by
    what each configuration's members that did not see it say of it (:func:`calibration`). ``moves`` add the
    variational term.
    """
    generator = torch.Generator().manual_seed(child_seed(seed, "initial"))
    model = Committor(boundary, settings.model, generator)
    model.features.fit(data.positions)
    with torch.no_grad():
        features = model.features(data.positions).float()
        if isinstance(model.members, EquivariantMembers):
            model.members.fit(features)
    weight, left_out = _bootstrap(data.lineage, settings.model.members, np.random.default_rng(child_seed(seed, "draw")))
    reached, decided = torch.as_tensor(data.reached).float(), torch.as_tensor(data.decided).float()
    parameters = [parameter for parameter in model.members.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=settings.rate, weight_decay=settings.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=settings.rate, total_steps=settings.steps)
    kept = _Kept(model, left_out)
    variational = None if moves is None else VariationalTerm(model, moves, settings.batch, child_seed(seed, "moves"))
    for step, rows in enumerate(_batches(len(features), settings, generator), start=1):
        optimiser.zero_grad()
        loss = negative_log_likelihood(model.members(features[rows]), reached[rows], decided[rows])
        total = (weight[:, rows] * loss).sum() / len(rows)
        if variational is not None:
            total = total + settings.variational * variational.loss()
        total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % settings.check_every == 0 or step == settings.steps:
            with torch.no_grad():
                beside = 0.0 if variational is None else settings.variational * variational.look()
                held_out = kept.look(negative_log_likelihood(model.members(features), reached, decided), beside)
            progress(ProgressEvent("fit", step, settings.steps, "steps", {"held_out_loss": held_out}))
    with torch.no_grad():
        kept.adopt()
        model.scale.fill_(calibration(model.members(features), left_out, data))
    return model.requires_grad_(False)


class _Kept:
    """Each member's parameters that served the lineages it did not see best; ``left_out`` (m, n) is 1 for those."""

    def __init__(self, model: Committor, left_out: torch.Tensor) -> None:
        self._members, self._left_out = model.members, left_out
        self._best = torch.full((len(left_out),), torch.inf)
        self._parts = [[part.clone() for part in model.members.parts(k)] for k in range(len(left_out))]

    def look(self, loss: torch.Tensor, beside: torch.Tensor | float) -> float:
        """Keep the members that are better than before; the mean of the best so far.

        By their ``loss`` (m, n) on what they did not see and what stands ``beside`` it (m,) in what is minimised.
        """
        held = (self._left_out * loss).sum(1) / self._left_out.sum(1) + beside
        better = held < self._best
        self._best = torch.where(better, held, self._best)
        for k in torch.nonzero(better)[:, 0].tolist():
            self._parts[k] = [part.clone() for part in self._members.parts(k)]
        return float(self._best.mean())

    def adopt(self) -> None:
        """Give every member its best parameters."""
        for k, parts in enumerate(self._parts):
            for part, best in zip(self._members.parts(k), parts, strict=True):
                part.copy_(best)


def calibration(logits: torch.Tensor, left_out: torch.Tensor, data: FittingData) -> float:
    r"""b for which σ(b z̄) predicts well, z̄ (:func:`pooled`) of the members that a configuration was left out of.

    ``logits`` (m, n) are those of the members, ``left_out`` (m, n) is 1 where a member did not see a configuration. A
    network of many features says more than it knows where shots are few: b < 1 takes that back, as Platt scaling on
    out-of-bag predictions (L. Breiman, Out-of-bag estimation (1996)). Only those that half of the members did not see
    count, where there are any: a mean over fewer scatters more than that over all, which lowers its b.

    The likeliest :math:`\hat b` has a standard error s (of lineages, which err as a whole), which a fit that needs no
    calibration would be the worse for. So :math:`b = 1 + (\hat b - 1) \max(0, 1 - s^2 / (\hat b - 1)^2)`, what
    empirical Bayes leaves of it (B. Efron and C. Morris, J. Am. Stat. Assoc. 68, 117 (1973)). There is no intercept: a
    likelihood fit has none left to find. 1 where the shots do not determine b to ``CALIBRATED`` of itself, or where it
    is not positive.
    """
    members = left_out.sum(0)
    seen = (members >= min(0.5 * len(left_out), float(members.max()))).numpy()
    rest = pooled(logits[:, seen].double(), left_out[:, seen].double()).numpy()
    slope, error = steepness(rest, data.reached[seen], data.decided[seen], data.lineage[seen])
    away = abs(slope - 1.0)
    if not error < CALIBRATED * slope or away <= error:
        return 1.0
    return 1.0 + (slope - 1.0) * (1.0 - (error / away) ** 2)


def _batches(n: int, settings: FittingSettings, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """The rows of each step: every one of the ``n`` once in an order of chance, then anew."""
    size = min(settings.batch, n)
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(settings.steps):
        if size == n:
            yield torch.arange(n)
            continue
        if len(order) < size:
            order = torch.cat([order, torch.randperm(n, generator=generator)])
        yield order[:size]
        order = order[size:]


def _bootstrap(lineage: IntArray, members: int, generator: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """How often each configuration counts for each member (m, n), and which are left out (m, n), as floats."""
    _, number = np.unique(lineage, return_inverse=True)
    groups = int(number.max()) + 1
    if groups == 1:
        number, groups = np.arange(len(lineage)), len(lineage)
    drawn = np.stack([np.bincount(generator.integers(groups, size=groups), minlength=groups) for _ in range(members)])
    times = drawn[:, number]
    for row in times:  # with very few lineages a draw may hold them all
        if not (row == 0).any():
            row[number == generator.integers(groups)] = 0
    return torch.as_tensor(times).float(), torch.as_tensor(times == 0).float()
