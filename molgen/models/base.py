"""The contract of a generative model of frames with a density."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

import torch

from molgen.ensemble import Density
from molgen.settings import Settings


@dataclass(frozen=True)
class Draws:
    """Frames (n, N, D), their log-density (n,) and whether each is inside the system's domain (n,).

    A draw outside the domain is kept and flagged: it has weight 0. So has one that the model rejects, of ``log_q``
    +inf: the rest have a density of total mass below 1. ``log_q_error`` (n,) are standard errors where the
    log-density is estimated with noise, None where it is exact. ``stopped_at`` (n,) is the time at which a trajectory
    stopped being finite, NaN for one that reached its end; None for a model that has no trajectories.
    """

    positions: torch.Tensor
    log_q: torch.Tensor
    in_domain: torch.Tensor
    log_q_error: torch.Tensor | None = None
    stopped_at: torch.Tensor | None = None


@dataclass(frozen=True)
class DrawOptions:
    """What can be chosen when drawing: integration steps and temperature (None: the model's own), how log q is found.

    ``hutchinson`` estimates it from ``probes`` random vectors: fast, unbiased, and noisy.
    """

    steps: int | None = None
    density: Density = "exact"
    probes: int = 4
    temperature_k: float | None = None

    def chosen(self) -> dict[str, Any]:
        """The choices that differ from the defaults, as plain data."""
        return {name: value for name, value in asdict(self).items() if value != getattr(DrawOptions(), name)}


class GenerativeModel(Protocol):
    """Draws frames and gives the log-density of any frame, in float64."""

    measure: str

    @property
    def piece(self) -> int:
        """How many frames are best handled at a time, by memory and by the time one piece takes."""
        ...

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

    def with_options(self, options: DrawOptions) -> "GenerativeModel":
        """The same model drawing with ``options``; ``UsageError`` for a choice that this kind of model has not."""
        ...


class SavedModel(GenerativeModel, Protocol):
    """A generative model with parameters and settings: what is trained, written and read (an ``nn.Module``)."""

    @property
    def settings(self) -> Settings:
        """Its shape; with the system all that is needed to build it."""
        ...

    def with_options(self, options: DrawOptions) -> "SavedModel":
        """See :class:`GenerativeModel`."""
        ...

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """Its parameters."""
        ...

    def state_dict(self) -> Mapping[str, torch.Tensor]:
        """All its numbers by name."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, torch.Tensor]) -> Any:
        """Take up a :meth:`state_dict`."""
        ...

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Whether its parameters have gradients."""
        ...

    def double(self) -> Self:
        """The model in double precision, in place."""
        ...
