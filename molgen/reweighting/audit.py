"""The audit: random rows are computed a second time, and the parts that made the ensemble are compared by hash."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from molgen.arrays import BoolArray, FloatArray
from molgen.systems.constraints import log_constraint_determinant

ROWS = 64
"""Rows whose energy and log-density are recomputed."""
JACOBIAN_ROWS = 4
"""Rows on which the Jacobian is taken by finite differences."""
ENERGY_TOLERANCE = (0.02, 1e-4)
"""Absolute (kT) and relative difference allowed between two computations of u (single-precision platforms)."""
DENSITY_TOLERANCE = (0.05, 1e-4)
"""The same for log q: positions are stored in single precision, 1e-7 nm, and models compute in it."""
JACOBIAN_TOLERANCE = 0.1
"""Allowed spread over rows of log q minus its numerical value (a constant would only move ln Z)."""
_STEP = 1e-5


@dataclass(frozen=True)
class AuditCheck:
    """One check; ``performed`` False means that there was nothing to check it with."""

    name: str
    passed: bool
    detail: str
    performed: bool = True


@dataclass(frozen=True)
class Audit:
    """All checks on ``rows`` random rows."""

    rows: int
    checks: tuple[AuditCheck, ...]

    @property
    def passed(self) -> bool:
        """True if no check failed."""
        return all(check.passed for check in self.checks)

    @property
    def complete(self) -> bool:
        """True if every check could be made."""
        return all(check.performed for check in self.checks)

    @property
    def failures(self) -> tuple[str, ...]:
        """Name and detail of each failed check."""
        return tuple(f"{check.name}: {check.detail}" for check in self.checks if not check.passed)

    def to_json(self) -> dict[str, Any]:
        """The record in result.json."""
        checks = [{"name": check.name, "passed": check.passed, "detail": check.detail} for check in self.checks]
        return {"rows": self.rows, "passed": self.passed, "checks": checks}


@runtime_checkable
class LatentModel(Protocol):
    """What a model must offer for the numerical Jacobian: a map from d latent numbers to positions and back."""

    def to_latent(self, positions: Any) -> Any:
        """Positions ``(n, N, D)`` → latent ``(n, d)``."""
        ...

    def from_latent(self, latent: Any) -> Any:
        """Latent ``(n, d)`` → positions ``(n, N, D)`` in any frame that depends smoothly on the latent."""
        ...

    def latent_log_prob(self, latent: Any) -> Any:
        """Log-density ``(n,)`` of the latent distribution."""
        ...


def audit_rows(n: int, generator: np.random.Generator, rows: int = ROWS) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Indices ``(min(rows, n),)`` of the rows to recompute, ascending, without repetition."""
    return np.sort(generator.choice(n, size=min(rows, n), replace=False)).astype(np.int64)


def check_same(name: str, stored: object, expected: object) -> AuditCheck:
    """``stored`` equals ``expected`` (hashes, names)."""
    if stored == expected:
        return AuditCheck(name, True, f"{_short(stored)} in both")
    return AuditCheck(name, False, f"{_short(stored)} in the ensemble, {_short(expected)} here")


def check_temperature(stored_k: float, expected_k: float) -> AuditCheck:
    """Both temperatures agree to 1e-6 K."""
    passed = math.isfinite(stored_k) and abs(stored_k - expected_k) <= 1e-6
    detail = f"{stored_k:g} K in the ensemble, {expected_k:g} K here"
    return AuditCheck("temperature", passed, detail)


def check_values(name: str, stored: FloatArray, recomputed: FloatArray, tolerance: tuple[float, float]) -> AuditCheck:
    """``stored`` and ``recomputed`` ``(m,)`` agree within absolute + relative tolerance, or both are not finite."""
    first, second = np.isfinite(stored), np.isfinite(recomputed)
    both = first & second
    difference = np.abs(stored[both] - recomputed[both])
    excess = difference > tolerance[0] + tolerance[1] * np.abs(recomputed[both])
    wrong = int(np.sum(excess)) + int(np.sum(first != second))
    largest = float(np.max(difference, initial=0.0))
    detail = f"{len(stored) - wrong} of {len(stored)} rows agree, largest difference {largest:.2g}"
    return AuditCheck(name, wrong == 0, detail)


def check_domain(in_domain: BoolArray, found: BoolArray) -> AuditCheck:
    """No row ``(n,)`` that is stored as inside the domain (chirality, cis and trans, hydrogens) is outside it."""
    wrong = int(np.sum(in_domain & ~found))
    return AuditCheck("domain", wrong == 0, f"{wrong} of {len(in_domain)} rows are stored as inside and are not")


def check_jacobian(
    model: LatentModel, positions: FloatArray, log_q: FloatArray, fixed_pairs: Sequence[tuple[int, int]] = ()
) -> AuditCheck:
    """log q of a few rows ``(m, N, D)`` against the latent density and a numerical Jacobian.

    Only the spread over rows is tested: the volume of rotations is a convention that moves ln Z alone.
    """
    numerical = np.array([numerical_log_q(model, row, fixed_pairs) for row in positions])
    finite = np.isfinite(numerical) & np.isfinite(log_q)
    if int(np.sum(finite)) < 2:
        return AuditCheck("jacobian", True, "too few rows with a finite density", performed=False)
    difference = (log_q - numerical)[finite]
    spread = float(np.max(difference) - np.min(difference))
    detail = f"log q minus its numerical value varies by {spread:.2g} over {len(difference)} rows"
    return AuditCheck("jacobian", spread <= JACOBIAN_TOLERANCE, detail)


def numerical_log_q(model: LatentModel, positions: FloatArray, fixed_pairs: Sequence[tuple[int, int]] = ()) -> float:
    """log q of one row ``(N, D)`` by central differences: ln p(z) - ln|det J|.

    Where the latent has 3N - 6 numbers, J is the full 3N × 3N map: three translations, three rotations ω × x and the
    columns ∂x/∂z. Its determinant does not depend on the frame in which the model places a molecule, and so carries
    the factors of the first three atoms. Where it has N·D numbers, or (N - 1)·D on the subspace of centred frames, J is
    ∂x/∂z. NaN for any other number.

    Where distances ``fixed_pairs`` are constants, z has as many numbers fewer and J is not square: the density is then
    one of delta(distances - constants) dx, and |det J|² is replaced by det(JᵀJ) / det(∇σ·∇σᵀ) with σ ↔ the distances.
    """
    import torch

    with torch.no_grad():
        z = model.to_latent(torch.as_tensor(positions[None], dtype=torch.float64))
        d = z.shape[1]
        steps = _STEP * torch.eye(d, dtype=z.dtype)
        placed = model.from_latent(torch.cat([z + steps, z - steps, z])).double().numpy()
        log_prior = float(model.latent_log_prob(z)[0])
    flat = placed.reshape(2 * d + 1, -1)
    jacobian = (flat[:d] - flat[d : 2 * d]).T / (2.0 * _STEP)
    n_particles, dim = positions.shape
    if dim == 3 and d == 3 * n_particles - 6 - len(fixed_pairs):
        jacobian = np.concatenate([_rigid_columns(placed[-1]), jacobian], axis=1)
    elif d not in (n_particles * dim, (n_particles - 1) * dim):
        return math.nan
    sign, log_determinant = np.linalg.slogdet(jacobian.T @ jacobian)
    if fixed_pairs:
        unit = np.ones(n_particles)
        log_determinant = log_determinant - log_constraint_determinant(placed[-1:], fixed_pairs, unit)[0]
    return log_prior - 0.5 * float(log_determinant) if sign > 0 else math.nan


def _rigid_columns(positions: FloatArray) -> FloatArray:
    """Columns ``(3N, 6)`` of the map's translations and infinitesimal rotations at ``positions`` ``(N, 3)``."""
    columns = [np.tile(axis, (len(positions), 1)).ravel() for axis in np.eye(3)]
    columns += [np.cross(axis, positions).ravel() for axis in np.eye(3)]
    return np.stack(columns, axis=1)


def check_log_density(
    log_prob: Callable[[FloatArray], FloatArray] | None, positions: FloatArray, stored: FloatArray
) -> AuditCheck:
    """``stored`` log q ``(m,)`` against the model's own ``log_prob`` of ``positions`` ``(m, N, D)``."""
    if log_prob is None:
        return AuditCheck("log_q", True, "not recomputed: the model was not found", performed=False)
    return check_values("log_q", stored, log_prob(positions), DENSITY_TOLERANCE)


def assemble(rows: int, checks: Sequence[AuditCheck | None]) -> Audit:
    """An audit of the checks that apply (None: does not apply to this ensemble)."""
    return Audit(rows, tuple(check for check in checks if check is not None))


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 20 else f"{text[:12]}…"
