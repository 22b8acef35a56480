"""The path of densities between a model and a physical target, in the model's latent numbers.

With x = T(z), p(z) the latent density and q the model's, the target e^{−u(x) − B(x)} dx is the density
e^{−u − B} |dx/dz| of z, and

    ln π_t(z) = ln p(z) + t ℓ(z),    ℓ = −u − B − ln q,    ln q = ln p − ln |dx/dz| − ln(order)

leads from the model (t = 0) to the target (t = 1): π_t = q^{1−t} (e^{−u−B})^t. Where a frame is outside the domain or
has no finite energy ℓ = −∞, so that the density is 0 for every t > 0. A draw's label among equivalent ones is drawn
once and kept: the target is one of labelled frames, each label as likely as another under q.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol, Self, runtime_checkable

import torch

from molgen.bias.base import Bias
from molgen.coordinates.internal import wrap
from molgen.energies.autograd import reduced_energy
from molgen.energies.base import Energy

ROWS = 500
"""Frames that are pushed through the model together: memory of the backward pass."""


class _Relabelled(Protocol):
    def unfold(self, positions: torch.Tensor, generator: torch.Generator) -> torch.Tensor: ...


@runtime_checkable
class LatentMap(Protocol):
    """What a model has to offer: a differentiable map from latent numbers to frames, with its volume element.

    The first ``n_angles`` latent numbers are angles, uniform on [−π, π); the others are standard normal.
    """

    chart: Any

    @property
    def n_angles(self) -> int:
        """Latent numbers on a circle."""
        ...

    def draw_latent(self, n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """``n`` rows of latent angles and of the other latent numbers."""
        ...

    def place_latent(self, latent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Frames (n, N, D), ln |dx/dz| (n,) and whether z is in the map's range (n,), differentiable."""
        ...

    def latent_log_prob(self, latent: torch.Tensor) -> torch.Tensor:
        """ln p(z) − ln(order), (n,) in float64."""
        ...

    def in_domain(self, positions: torch.Tensor) -> torch.Tensor:
        """Whether each frame is inside the system's domain, bool (n,)."""
        ...


@dataclass(frozen=True)
class Points:
    """Particles with all that is known of them, row by row; float64.

    ``z`` (n, d); ``order`` (n, N) the atom that stands in each place; ``log_prior`` ln p(z) − ln(order) (n,);
    ``log_ratio`` ℓ (n,), −inf where the density is 0; ``slope`` ∂(−u − B + ln |dx/dz|)/∂z (n, d), 0 where it is not
    known; ``positions`` (n, N, D) in nm; ``energy`` u and ``bias`` B (n,) in kT.
    """

    z: torch.Tensor
    order: torch.Tensor
    log_prior: torch.Tensor
    log_ratio: torch.Tensor
    slope: torch.Tensor
    positions: torch.Tensor
    energy: torch.Tensor
    bias: torch.Tensor

    def __len__(self) -> int:
        return len(self.z)

    def take(self, rows: torch.Tensor) -> Self:
        """The rows ``rows`` (m,), in that order."""
        return self._map(lambda name: getattr(self, name)[rows])

    def replaced(self, other: Self, accepted: torch.Tensor) -> Self:
        """The rows of ``other`` where ``accepted`` (n,), the own ones elsewhere."""

        def chosen(name: str) -> torch.Tensor:
            own, new = getattr(self, name), getattr(other, name)
            return torch.where(accepted.reshape(-1, *[1] * (own.ndim - 1)), new, own)

        return self._map(chosen)

    def log_density(self, t: float) -> torch.Tensor:
        """ln π_t (n,) up to a constant; −inf where it is 0."""
        return self.log_prior + t * self.log_ratio if t > 0.0 else self.log_prior

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """The rows of all ``parts``, one after the other."""
        return cls(*(torch.cat([getattr(part, item.name) for part in parts]) for item in fields(cls)))

    def _map(self, function: Callable[[str], torch.Tensor]) -> Self:
        return type(self)(*(function(item.name) for item in fields(self)))


@dataclass(frozen=True)
class LatentTarget:
    """The densities π_t of one model, energy and (perhaps) bias."""

    model: LatentMap
    energy: Energy
    bias: Bias | None = None

    def draw(self, n: int, generator: torch.Generator) -> Points:
        """``n`` particles of the model, π_0."""
        z = torch.cat(self.model.draw_latent(n, generator), 1).double()
        places = torch.arange(self.energy.n_particles, dtype=torch.float64)
        # Whatever stands in an atom's place goes with it; here, the atom's number.
        frames = places[None, :, None].expand(n, -1, self.energy.dim)
        order = self.model.chart.unfold(frames, generator)[..., 0].long()
        return self.evaluate(z, order)

    def evaluate(self, z: torch.Tensor, order: torch.Tensor) -> Points:
        """Densities and slopes at ``z`` (n, d) with labels ``order`` (n, N); one evaluation of the energy a row."""
        pieces = [slice(start, start + ROWS) for start in range(0, len(z), ROWS)]
        return Points.joined([self._evaluate(z[piece], order[piece]) for piece in pieces])

    def _evaluate(self, z: torch.Tensor, order: torch.Tensor) -> Points:
        with torch.enable_grad():
            latent = z.detach().clone().requires_grad_(True)
            frames, log_volume, inside = self.model.place_latent(latent)
            positions = torch.gather(frames, 1, order[..., None].expand_as(frames))
            energy = reduced_energy(self.energy, positions, "sampling")
            bias = self.bias.reduced(positions) if self.bias is not None else torch.zeros_like(energy)
            total = log_volume - energy - bias
            known = inside & torch.isfinite(total)
            (slope,) = torch.autograd.grad(torch.where(known, total, 0.0).sum(), latent)
        positions, total, log_volume = positions.detach(), total.detach(), log_volume.detach()
        log_prior = self.model.latent_log_prob(z).detach()
        log_ratio = total - log_prior
        valid = known & torch.isfinite(log_ratio)
        valid = valid & self.model.in_domain(positions)
        return Points(
            z=z.detach(),
            order=order,
            log_prior=log_prior,
            log_ratio=torch.where(valid, log_ratio, -torch.inf),
            slope=torch.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0),
            positions=positions,
            energy=energy.detach(),
            bias=bias.detach(),
        )

    def gradient(self, points: Points, t: float) -> torch.Tensor:
        """∇ ln π_t (n, d); what is not known of it is 0."""
        prior = -points.z
        prior[:, : self.model.n_angles] = 0.0
        return (1.0 - t) * prior + t * points.slope

    def wrapped(self, z: torch.Tensor) -> torch.Tensor:
        """``z`` (n, d) with its angles in [−π, π)."""
        angles, rest = torch.tensor_split(z, (self.model.n_angles,), 1)
        return torch.cat([wrap(angles), rest], 1)
