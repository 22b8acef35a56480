"""The contract of a generative model of frames with a density."""

from dataclasses import dataclass
from typing import Protocol

import torch


@dataclass(frozen=True)
class Draws:
    """Frames (n, N, D), their log-density (n,) and whether each is inside the system's domain (n,).

    A draw outside the domain is kept and flagged: it has weight 0.
    """

    positions: torch.Tensor
    log_q: torch.Tensor
    in_domain: torch.Tensor


class GenerativeModel(Protocol):
    """Draws frames and gives the log-density of any frame, in float64."""

    measure: str

    def sample(self, n: int, generator: torch.Generator) -> Draws:
        """``n`` independent draws; the same generator state gives the same draws."""
        ...

    def log_prob(self, positions: torch.Tensor) -> torch.Tensor:
        """log q (n,) of frames (n, N, D) with respect to :attr:`measure`."""
        ...

    def in_domain(self, positions: torch.Tensor) -> torch.Tensor:
        """Whether each frame is inside the system's domain, bool (n,)."""
        ...

    def to_latent(self, positions: torch.Tensor) -> torch.Tensor:
        """Latent numbers (n, d) of frames."""
        ...

    def from_latent(self, latent: torch.Tensor) -> torch.Tensor:
        """Frames (n, N, D) of latent numbers (n, d): inverts :meth:`to_latent` up to symmetry and rigid motion."""
        ...

    def latent_log_prob(self, latent: torch.Tensor) -> torch.Tensor:
        """Log-density (n,) of the latent distribution, with the symmetry's log-order taken off."""
        ...
