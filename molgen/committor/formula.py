r"""A sparse formula for logit q: few terms of the collective variables, chosen by shots that they were not fitted to.

Terms enter one after the other (forward selection for the binomial likelihood): the next is that with the largest score
statistic χ² = (φ̃ᵀ r)² / φ̃ᵀ W φ̃, r = S − K p the residuals, W = K p(1 − p), φ̃ the term without what those chosen
already say of it (C. R. Rao, Math. Proc. Camb. Philos. Soc. 44, 50 (1948), doi:10.1017/S0305004100023987), after which
all coefficients are fitted anew. Their number is the smallest whose cross-validated log loss is within one standard
error of the least (L. Breiman et al., Classification and Regression Trees, 1984); folds are made of whole lineages. The
log loss that is reported comes from a second cross-validation around all of this, so that no shot that is counted took
part in choosing or fitting what predicts it.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from molgen.arrays import FloatArray, IntArray
from molgen.committor.terms import Terms

MOST_TERMS = 8
FOLDS = 5
_RIDGE = 0.1
"""Weight of ½β² of each scaled coefficient beside the log-likelihood: a tenth of a shot, so that none runs away."""
_STEPS = 50


@dataclass(frozen=True)
class Formula:
    """logit q ≈ ``intercept`` + Σ coefficient · term.

    ``log_loss`` is that of cross-validation, nats a shot, and ``log_loss_constant`` that of the mean share alone;
    ``by_size`` that of every number of terms from 0 on, by which the number was chosen.
    """

    terms: tuple[str, ...]
    coefficients: tuple[float, ...]
    intercept: float
    scaled: dict[str, str]
    log_loss: float
    log_loss_constant: float
    by_size: tuple[float, ...]

    @property
    def text(self) -> str:
        """The formula in one line."""
        line = f"logit q = {self.intercept:.2f}"
        for term, coefficient in zip(self.terms, self.coefficients, strict=True):
            line += f" {'−' if coefficient < 0.0 else '+'} {abs(coefficient):.2f} {term}"
        used = {letter: how for letter, how in self.scaled.items() if any(letter in term for term in self.terms)}
        return line + "".join(f", {letter} = {how}" for letter, how in used.items())


@dataclass(frozen=True, eq=False)
class _Shots:
    """Terms (n, T), scaled, with shots that reached B of those decided, and their lineage (n,)."""

    terms: FloatArray
    reached: FloatArray
    decided: FloatArray
    lineage: IntArray

    def rows(self, used: np.ndarray) -> "_Shots":
        return _Shots(self.terms[used], self.reached[used], self.decided[used], self.lineage[used])

    def loss(self, logit: FloatArray) -> FloatArray:
        """−ln L (n,)."""
        return np.asarray(self.decided * np.logaddexp(0.0, logit) - self.reached * logit)


@dataclass(frozen=True, eq=False)
class _Model:
    """Columns chosen, their coefficients and the intercept first (1 + p,)."""

    columns: tuple[int, ...]
    beta: FloatArray

    def logit(self, terms: FloatArray) -> FloatArray:
        return np.asarray(self.beta[0] + terms[:, list(self.columns)] @ self.beta[1:])


def find_formula(
    terms: Terms,
    reached: IntArray,
    decided: IntArray,
    lineage: IntArray,
    generator: np.random.Generator,
    most: int = MOST_TERMS,
) -> Formula | None:
    """The formula for ``reached`` of ``decided`` shots (n,) at configurations of ``lineage`` (n,); None without terms
    or with fewer than ``FOLDS`` lineages."""
    used = decided > 0
    if not terms.names or len(np.unique(lineage[used])) < FOLDS:
        return None
    raw = terms.values[used]
    mean, deviation = raw.mean(axis=0), raw.std(axis=0)
    deviation = np.where(deviation > 1e-9, deviation, 1.0)
    data = _Shots((raw - mean) / deviation, reached[used].astype(float), decided[used].astype(float), lineage[used])
    outer, constant = 0.0, 0.0
    for held in _folds(data.lineage, generator):
        fitted, judged = data.rows(~held), data.rows(held)
        chosen, _ = _chosen(fitted, most, generator)
        outer += float(judged.loss(chosen.logit(judged.terms)).sum())
        constant += float(judged.loss(np.full(int(held.sum()), _fit(fitted, ()).beta[0])).sum())
    best, by_size = _chosen(data, most, generator)
    columns = list(best.columns)
    slopes = best.beta[1:] / deviation[columns]
    shots = float(data.decided.sum())
    return Formula(
        terms=tuple(terms.names[column] for column in columns),
        coefficients=tuple(float(slope) for slope in slopes),
        intercept=float(best.beta[0] - slopes @ mean[columns]),
        scaled=terms.scaled,
        log_loss=outer / shots,
        log_loss_constant=constant / shots,
        by_size=tuple(float(value) for value in by_size),
    )


def _chosen(data: _Shots, most: int, generator: np.random.Generator) -> tuple[_Model, FloatArray]:
    """The model of the number of terms that cross-validation chooses, and the loss a shot of every number."""
    sizes = most + 1
    loss = np.full((sizes, len(data.lineage)), np.inf)
    for held in _folds(data.lineage, generator):
        for size, model in enumerate(_path(data.rows(~held), most)):
            loss[size, held] = data.rows(held).loss(model.logit(data.terms[held]))
    known = np.isfinite(loss).all(axis=1)
    total = np.where(known, np.where(known[:, None], loss, 0.0).sum(axis=1), np.inf)
    best = int(np.argmin(total))
    size = next(
        size for size in range(best + 1) if total[size] - total[best] <= _error(loss[size] - loss[best], data.lineage)
    )
    path = _path(data, size)
    return path[-1], total / data.decided.sum()


def _error(difference: FloatArray, lineage: IntArray) -> float:
    """Standard error of the sum of ``difference`` (n,) over independent lineages."""
    _, number = np.unique(lineage, return_inverse=True)
    sums = np.bincount(number, difference)
    if len(sums) < 2 or not np.isfinite(sums).all():
        return 0.0
    return math.sqrt(len(sums) * float(sums.var(ddof=1)))


def _path(data: _Shots, most: int) -> list[_Model]:
    """Models of 0, 1, … ``most`` terms, each with one more than the last; fewer where no term is left."""
    models = [_fit(data, ())]
    while len(models) <= most:
        column = _next(data, models[-1])
        if column is None:
            break
        models.append(_fit(data, (*models[-1].columns, column), models[-1].beta))
    return models


def _next(data: _Shots, model: _Model) -> int | None:
    """The column with the largest score statistic."""
    p = expit(model.logit(data.terms))
    weight, residual = data.decided * p * (1.0 - p), data.reached - data.decided * p
    design = _design(data.terms, model.columns)
    projection = np.linalg.lstsq(
        design.T @ (weight[:, None] * design), design.T @ (weight[:, None] * data.terms), rcond=None
    )[0]
    rest = data.terms - design @ projection
    spread = weight @ rest**2
    whole = weight @ data.terms**2
    free = spread > 1e-6 * np.maximum(whole, 1e-300)
    free[list(model.columns)] = False
    if not free.any():
        return None
    score = np.where(free, (residual @ rest) ** 2 / np.where(free, spread, 1.0), -np.inf)
    return int(np.argmax(score))


def _fit(data: _Shots, columns: tuple[int, ...], start: FloatArray | None = None) -> _Model:
    """Newton's method on the penalised likelihood, its steps halved until the penalised loss falls."""
    design = _design(data.terms, columns)
    penalty = np.full(design.shape[1], _RIDGE)
    beta = np.zeros(design.shape[1])
    if start is not None:
        beta[: len(start)] = start

    def loss(value: FloatArray) -> float:
        return float(data.loss(design @ value).sum() + 0.5 * penalty @ value**2)

    now = loss(beta)
    for _ in range(_STEPS):
        p = expit(design @ beta)
        slope = design.T @ (data.reached - data.decided * p) - penalty * beta
        weight = data.decided * p * (1.0 - p)
        change = np.linalg.solve(design.T @ (weight[:, None] * design) + np.diag(penalty), slope)
        length = 1.0
        while length > 1e-6 and loss(beta + length * change) > now:
            length *= 0.5
        beta = beta + length * change
        before, now = now, loss(beta)
        if before - now < 1e-9 * max(abs(now), 1.0):
            break
    return _Model(columns, beta)


def _design(terms: FloatArray, columns: tuple[int, ...]) -> FloatArray:
    return np.column_stack([np.ones(len(terms)), terms[:, list(columns)]])


def _folds(lineage: IntArray, generator: np.random.Generator) -> list[np.ndarray]:
    """Rows (n,) of each of ``FOLDS`` parts of the lineages, drawn at random."""
    names, number = np.unique(lineage, return_inverse=True)
    part = generator.permutation(len(names)) % FOLDS
    return [part[number] == fold for fold in range(min(FOLDS, len(names)))]
