"""The audit of a reweighting: what is compared, and with what."""

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from molgen.arrays import BoolArray, FloatArray, IntArray
from molgen.energies.base import Energy
from molgen.ensemble import EnsembleReader
from molgen.reweighting.audit import (
    ENERGY_TOLERANCE,
    JACOBIAN_ROWS,
    Audit,
    AuditCheck,
    LatentModel,
    assemble,
    audit_rows,
    check_domain,
    check_jacobian,
    check_log_density,
    check_same,
    check_temperature,
    check_values,
)
from molgen.reweighting.latents import check_latents, check_mass
from molgen.sampling.methods import PushedModel
from molgen.systems.system import AnalyticSystem, System
from molgen.workflows.reweight_model import log_density
from molgen.workflows.reweight_rows import RowTable

if TYPE_CHECKING:
    import torch

    from molgen.models.artifact import LoadedModel

MOST_LATENT = 20_000
"""Draws of which the latent numbers are computed."""
MOST_LENGTHS = 500
"""The same for a Cartesian flow, of which one number is tested and whose inverse costs more than a draw."""
MOST_PLACES = 8
"""Places of violations that are named."""
_CHUNK = 4096


def audit_ensemble(
    reader: EnsembleReader,
    system: System,
    energy: Energy,
    table: RowTable,
    loaded: "LoadedModel | None",
    *,
    rows: int,
    generator: np.random.Generator,
    same_target: bool = True,
) -> Audit:
    """Recompute u and log q of ``rows`` random rows, compare temperature and hashes, test the domain of every row.

    ``system`` is that of the draws. u is compared with the values that entered the weights and, where the ensemble
    stores energies, with those too, unless the target is another (``same_target`` False, or another temperature).
    Of plain draws of a flow the latent numbers must be distributed as the flow draws them, and biased ones must give
    the plain flow its mass, which shows rows that are missing.
    """
    index = audit_rows(len(reader), generator, rows)
    sample = reader.rows(index)
    header = reader.header
    fresh = energy.reduced(sample.positions, purpose="reweighting")
    log_q = table.log_q[index]
    inside = table.in_domain[index]
    checks: list[AuditCheck | None] = [
        check_temperature(header.temperature_k, header.drawing.get("temperature_k", system.temperature_k)),
        check_values("energy", table.energy[index], fresh, ENERGY_TOLERANCE),
        _stored_energy(sample.reduced_energy, fresh, same=same_target and energy.temperature_k == header.temperature_k),
        audit_domain(reader, system),
    ]
    density = log_density(loaded) if loaded is not None else None
    if header.kind == "model":
        error = None if sample.log_q_error is None else sample.log_q_error[inside]
        checks.append(check_log_density(density, sample.positions[inside], log_q[inside], error))
    if loaded is not None:
        checks.append(check_same("model", header.model_sha256, loaded.sha256))
        checks.append(check_same("system", system.fingerprint, loaded.system.fingerprint))
        if isinstance(loaded.model, LatentModel):
            few = np.flatnonzero(inside & np.isfinite(log_q))[:JACOBIAN_ROWS]
            if header.density != "exact" and density is not None:
                log_q = density(sample.positions)
            # In single precision the differences of a numerical derivative drown in rounding.
            precise = copy.deepcopy(loaded.model).double()
            fixed = () if isinstance(system, AnalyticSystem) else tuple((i, j) for i, j, _ in system.constraints)
            checks.append(check_jacobian(precise, sample.positions[few], log_q[few], fixed))
            if header.kind == "model" and header.bias is None:
                checks.append(audit_latents(reader, loaded.model, table.in_domain, generator))
        if isinstance(loaded.model, PushedModel):
            checks.append(audit_mass(reader, loaded.model, table.in_domain, generator))
    return assemble(len(index), checks)


def _stored_energy(stored: FloatArray | None, fresh: FloatArray, *, same: bool) -> AuditCheck | None:
    if stored is None or not same:
        return None
    return check_values("stored energy", stored, fresh, ENERGY_TOLERANCE)


def audit_latents(
    reader: EnsembleReader, model: LatentModel, in_domain: BoolArray, generator: np.random.Generator
) -> AuditCheck:
    """Latent numbers of the draws, or of as many random ones as are affordable, against the model's distribution."""
    n_angles = getattr(model, "n_angles", None)

    def latent(positions: "torch.Tensor") -> "torch.Tensor":
        values: torch.Tensor = model.to_latent(positions)
        return values

    index = audit_rows(len(reader), generator, MOST_LENGTHS if n_angles is None else MOST_LATENT)
    found = _at_rows(reader, index, in_domain, int(getattr(model, "piece", _CHUNK)), latent)
    return check_latents(found, n_angles, len(index) - len(found))


def audit_mass(
    reader: EnsembleReader, model: PushedModel, in_domain: BoolArray, generator: np.random.Generator
) -> AuditCheck:
    """What biased draws, or as many random ones as are affordable, say of the mass of the plain model."""
    index = audit_rows(len(reader), generator, MOST_LENGTHS if model.costly else MOST_LATENT)
    found = _at_rows(reader, index, in_domain, model.piece, lambda positions: model.log_plain_ratio(positions).exp())
    # Without any row in the domain there are no columns either.
    return check_mass(found.reshape(-1), 1.0 / model.share, len(index) - len(found))


def _at_rows(
    reader: EnsembleReader,
    index: IntArray,
    in_domain: BoolArray,
    piece: int,
    function: Callable[["torch.Tensor"], "torch.Tensor"],
) -> FloatArray:
    """Values of ``function`` at the rows ``index`` that are ``in_domain``, ``piece`` rows of the file at a time."""
    import torch

    chosen = np.zeros(len(reader), dtype=np.bool_)
    chosen[index] = True
    chosen &= in_domain
    parts: list[FloatArray] = []
    for start in range(0, len(reader), piece):
        inside = chosen[start : start + piece]
        if np.any(inside):
            positions = reader.slice(start, min(start + piece, len(reader))).positions[inside]
            with torch.no_grad():
                parts.append(function(torch.as_tensor(positions, dtype=torch.float64)).double().numpy())
    return np.concatenate(parts) if parts else np.zeros((0, 0))


def geometry_record(reader: EnsembleReader, system: System, in_domain: BoolArray) -> dict[str, Any]:
    """Where draws leave the domain, in words, and how far they are off the distances that the system holds fixed."""
    if isinstance(system, AnalyticSystem):
        return {}
    from molgen.coordinates.violations import find_violations

    pairs = np.array([(i, j) for i, j, _ in system.constraints], dtype=np.int64).reshape(-1, 2)
    lengths = np.array([length for _, _, length in system.constraints])
    outside, largest = [], 0.0
    for start in range(0, len(reader), _CHUNK):
        stop = min(start + _CHUNK, len(reader))
        inside = in_domain[start:stop]
        if np.all(inside) and not len(pairs):
            continue
        positions = reader.slice(start, stop).positions
        outside.append(positions[~inside])
        if len(pairs) and np.any(inside):
            found = np.linalg.norm(positions[inside][:, pairs[:, 0]] - positions[inside][:, pairs[:, 1]], axis=-1)
            largest = max(largest, float(np.max(np.abs(found - lengths))))
    places = find_violations(np.concatenate(outside), system) if outside else ()
    constraints = {"number": len(pairs), "largest_deviation_nm": largest}
    return {"places": [str(place) for place in places[:MOST_PLACES]], "constraints": constraints}


def audit_domain(reader: EnsembleReader, system: System) -> AuditCheck | None:
    """Every row against the system's domain, from positions alone; None for a system without chemistry."""
    if isinstance(system, AnalyticSystem):
        return None
    from molgen.coordinates.domain import domain_of

    domain = domain_of(system)
    found = [domain.contains(rows.positions) for rows in reader.chunks(_CHUNK)]
    return check_domain(np.asarray(reader.column("in_domain"), dtype=np.bool_), np.concatenate(found))
