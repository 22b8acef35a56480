r"""Explicit Runge-Kutta steps of dx/dt = v(x, t) as maps with a Jacobian and an inverse.

A step of size h with stages :math:`k_i = v(x + h\sum_j a_{ij} k_j,\; t + c_i h)` is
:math:`y = x + h\sum_i b_i k_i`, and by the chain rule its Jacobian is :math:`1 + h\sum_i b_i K_i` with
:math:`K_i = V_i\,(1 + h\sum_j a_{ij} K_j)`, V ↔ dv/dx at the stage. The determinant of that matrix is exact for the
step as it is taken, however long: the density of what was drawn needs no converged integral of the divergence.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

Field = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Velocity (n, d) of points (n, d) at times (n,)."""
FieldWithJacobian = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Velocity (n, d) and its Jacobian (n, d, d)."""


@dataclass(frozen=True)
class Tableau:
    """Coefficients ``a`` (below the diagonal), ``b`` and ``c`` of an explicit scheme."""

    a: tuple[tuple[float, ...], ...]
    b: tuple[float, ...]
    c: tuple[float, ...]


TABLEAUX: dict[str, Tableau] = {
    "euler": Tableau(((),), (1.0,), (0.0,)),
    "midpoint": Tableau(((), (0.5,)), (0.0, 1.0), (0.0, 0.5)),
    "heun": Tableau(((), (1.0,)), (0.5, 0.5), (0.0, 1.0)),
    "rk4": Tableau(((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6), (0.0, 0.5, 0.5, 1.0)),
}


def step(field: Field, x: torch.Tensor, t: float, h: float, tableau: Tableau) -> torch.Tensor:
    """The point (n, d) one step from ``x`` (n, d)."""
    slopes: list[torch.Tensor] = []
    for row, c in zip(tableau.a, tableau.c, strict=True):
        stage = _moved(x, h, row, slopes)
        slopes.append(field(stage, _times(x, t + c * h)))
    return _moved(x, h, tableau.b, slopes)


def step_with_determinant(
    field: FieldWithJacobian, x: torch.Tensor, t: float, h: float, tableau: Tableau
) -> tuple[torch.Tensor, torch.Tensor]:
    """The point (n, d) one step from ``x`` (n, d) and log |dy/dx| (n,).

    ``nan`` where the determinant is not positive: there the step turns space over and is no invertible map.
    """
    y, jacobian = step_with_jacobian(field, x, t, h, tableau)
    sign, log_determinant = _log_determinant(jacobian)
    return y, torch.where(sign > 0, log_determinant, torch.nan)


def step_with_jacobian(
    field: FieldWithJacobian, x: torch.Tensor, t: float, h: float, tableau: Tableau
) -> tuple[torch.Tensor, torch.Tensor]:
    """The point (n, d) one step from ``x`` (n, d) and dy/dx (n, d, d)."""
    eye = torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
    slopes: list[torch.Tensor] = []
    jacobians: list[torch.Tensor] = []
    for row, c in zip(tableau.a, tableau.c, strict=True):
        stage = _moved(x, h, row, slopes)
        slope, jacobian = field(stage, _times(x, t + c * h))
        before = [(a, k) for a, k in zip(row, jacobians, strict=True) if a]
        slopes.append(slope)
        jacobians.append(jacobian + h * (jacobian @ sum(a * k for a, k in before)) if before else jacobian)
    total = eye + h * sum(b * k for b, k in zip(tableau.b, jacobians, strict=True) if b)
    return _moved(x, h, tableau.b, slopes), total


def _log_determinant(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    finite = torch.isfinite(matrix).all(-1).all(-1)
    # The routine refuses a whole batch for one bad matrix.
    good = torch.where(finite[:, None, None], matrix, torch.eye(matrix.shape[-1], dtype=matrix.dtype))
    sign, value = torch.linalg.slogdet(good)
    return torch.where(finite, sign, torch.zeros_like(sign)), value


def inverse_step(
    field: Field, y: torch.Tensor, t: float, h: float, tableau: Tableau, *, tolerance: float, rounds: int = 40
) -> tuple[torch.Tensor, torch.Tensor]:
    """The point x (n, d) from which a step leads to ``y`` (n, d), and whether it was found (n,).

    Fixed points of x = y - (step(x) - x), with Anderson's mixing of the last two iterates
    (D. G. Anderson, J. ACM 12 (1965) 547, doi:10.1145/321296.321305): a step shorter than the field's inverse slope
    has exactly one. ``tolerance`` bounds the largest component of step(x) - y.
    """
    x = y.clone()
    found = torch.zeros(len(y), dtype=torch.bool, device=y.device)
    open_rows = torch.arange(len(y), device=y.device)
    current, last_x, last_residual = y.clone(), None, None
    for _ in range(rounds):
        residual = y[open_rows] - step(field, current, t, h, tableau)
        done = residual.abs().amax(1) <= tolerance
        x[open_rows], found[open_rows] = current, done
        left = ~done & torch.isfinite(residual).all(1)
        if not bool(left.any()):
            break
        mixed = _mixed(current, residual, last_x, last_residual)
        last_x, last_residual = current[left], residual[left]
        open_rows, current = open_rows[left], mixed[left]
    return x, found


def newton_inverse_step(
    field: FieldWithJacobian,
    y: torch.Tensor,
    t: float,
    h: float,
    tableau: Tableau,
    *,
    tolerance: float,
    rounds: int = 30,
) -> tuple[torch.Tensor, torch.Tensor]:
    """As :func:`inverse_step`, for the few points where its iteration does not converge; a Jacobian a round.

    Newton's steps from y, halved while they do not bring step(x) nearer to y: where the field is steeper than a step
    is short, the fixed point repels and is found all the same. Found are only points with dy/dx of positive
    determinant.
    """
    x, found = y.clone(), torch.zeros(len(y), dtype=torch.bool, device=y.device)
    rows = torch.nonzero(torch.isfinite(y).all(1))[:, 0]
    current, share = y[rows], torch.ones(len(rows), dtype=y.dtype, device=y.device)
    away, jacobian = _residual(field, current, y[rows], t, h, tableau)
    for _ in range(rounds):
        sign, _ = _log_determinant(jacobian)
        done = away.abs().amax(1) <= tolerance
        x[rows], found[rows] = current, done & (sign > 0)
        left = ~done & (sign != 0)
        if not bool(left.any()):
            break
        rows, current, away, jacobian, share = rows[left], current[left], away[left], jacobian[left], share[left]
        tried = current + share[:, None] * torch.linalg.solve(jacobian, away)
        new_away, new_jacobian = _residual(field, tried, y[rows], t, h, tableau)
        # A comparison with a number that is none is False: such a step is halved too.
        nearer = new_away.norm(dim=1) < away.norm(dim=1)
        current, away = torch.where(nearer[:, None], tried, current), torch.where(nearer[:, None], new_away, away)
        jacobian = torch.where(nearer[:, None, None], new_jacobian, jacobian)
        share = torch.where(nearer, (2.0 * share).clamp_max(1.0), 0.5 * share)
    return x, found


def _residual(
    field: FieldWithJacobian, x: torch.Tensor, y: torch.Tensor, t: float, h: float, tableau: Tableau
) -> tuple[torch.Tensor, torch.Tensor]:
    """y - step(x) (n, d) and the step's Jacobian (n, d, d)."""
    reached, jacobian = step_with_jacobian(field, x, t, h, tableau)
    return y - reached, jacobian


def _mixed(
    x: torch.Tensor, residual: torch.Tensor, last_x: torch.Tensor | None, last_residual: torch.Tensor | None
) -> torch.Tensor:
    """The next iterate: the combination of two whose linearised residual is smallest."""
    if last_x is None or last_residual is None:
        return x + residual
    change = residual - last_residual
    share = (residual * change).sum(1, keepdim=True) / change.square().sum(1, keepdim=True).clamp_min(1e-300)
    return x + residual - share * (x - last_x + change)


def _moved(x: torch.Tensor, h: float, weights: tuple[float, ...], slopes: list[torch.Tensor]) -> torch.Tensor:
    for weight, slope in zip(weights, slopes, strict=True):
        if weight:
            x = x + (h * weight) * slope
    return x


def _times(x: torch.Tensor, t: float) -> torch.Tensor:
    return torch.full((len(x),), t, dtype=x.dtype, device=x.device)
