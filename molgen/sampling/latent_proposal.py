"""A spline flow whose latent distribution is another one: a generative model with an exact density.

With z(x) the latent numbers of a frame, p their distribution under the flow and g another,

    ln q(x) = ln q_base(x) + ln[a + (1 − a) g(z)/p(z)],    a ↔ ``base_share``

is the density of frames whose z comes from g, mixed with a share a of the flow's own: a defensive mixture
(T. Hesterberg, Technometrics 37, 185 (1995), doi:10.1080/00401706.1995.10484303). Weights to any target are −u − ln q;
the bias that g was fitted to does not enter.
"""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from pydantic import Field, PositiveInt

from molgen.bias.parsing import NO_FUNCTIONS, Functions
from molgen.errors import InputError
from molgen.models.base import Draws
from molgen.models.spline_flow import SplineFlow
from molgen.sampling.latent_mixture import LatentMixture
from molgen.settings import Settings
from molgen.systems.system import System

LATENT = "latent"


class LatentSettings(Settings):
    """How the latent distribution is adapted.

    ``base_share`` of the draws come from the flow as it is, so that none weighs more than 1/``base_share`` of what it
    would without the bias. Each stage of the adaptation makes ``pilot`` draws, and turns the bias on as far as leaves
    ``least`` of them effective; there are at most ``stages``.
    """

    base_share: float = Field(default=0.1, ge=0.1, lt=1.0)
    pilot: PositiveInt = 8000
    stages: PositiveInt = 40
    least: float = Field(default=0.1, gt=0.0, lt=1.0)


@dataclass(frozen=True)
class LatentDraws:
    """Draws with their latent angles (n, m) and numbers (n, k) and ``log_ratio`` (n,): ln q/q_base of what was drawn.

    ``usable`` (n,) are those inside the domain whose density is finite.
    """

    draws: Draws
    angles: np.ndarray[Any, np.dtype[np.float64]]
    numbers: np.ndarray[Any, np.dtype[np.float64]]
    log_ratio: np.ndarray[Any, np.dtype[np.float64]]
    usable: np.ndarray[Any, np.dtype[np.bool_]]


class LatentProposal:
    """The flow ``base`` with latent numbers from ``mixture``; None leaves them as they are.

    Sampling, density and latent numbers are those of :class:`molgen.models.base.GenerativeModel`. The flow computes in
    double precision: where it has next to no probability its latent angles crowd together.
    """

    def __init__(self, base: SplineFlow, mixture: LatentMixture | None, base_share: float) -> None:
        self.base = copy.deepcopy(base).double()
        self.mixture = mixture
        self.share = base_share
        self.measure = base.measure

    @property
    def piece(self) -> int:
        """How many frames are best handled at a time."""
        return self.base.piece

    def double(self) -> Self:
        """The model in double precision, which it always is."""
        return self

    def draw(self, n: int, generator: torch.Generator) -> LatentDraws:
        """``n`` draws with their latent numbers; one outside the range of the flow has ``log_q`` +inf (rejected)."""
        plain = torch.rand(n, generator=generator, dtype=torch.float64).numpy() < self.share
        z_t, z_r = self.base.draw_latent(n, generator)
        angles, numbers = z_t.numpy(), z_r.numpy()
        if self.mixture is not None:
            own = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator).item()))
            pushed = np.flatnonzero(~plain)
            turned, moved = angles[pushed], numbers[pushed]
            self.mixture.move(turned, moved, own)
            angles[pushed], numbers[pushed] = turned, moved
        drawn = self.base.carry(torch.as_tensor(angles), torch.as_tensor(numbers), generator)
        log_ratio = self._log_ratio(angles, numbers)
        known = torch.isfinite(drawn.log_q)
        log_q = torch.where(known, drawn.log_q + torch.as_tensor(log_ratio), torch.inf)
        draws = Draws(drawn.positions, log_q, drawn.in_domain & known)
        return LatentDraws(draws, angles, numbers, log_ratio, draws.in_domain.numpy())

    def sample(self, n: int, generator: torch.Generator) -> Draws:
        """See :class:`molgen.models.base.GenerativeModel`."""
        return self.draw(n, generator).draws

    def log_prob(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.models.base.GenerativeModel`."""
        return self.base.log_prob(positions) + self._ratio_at(self.base.to_latent(positions))

    costly = False

    def log_plain_ratio(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.sampling.methods.PushedModel`."""
        return -self._ratio_at(self.base.to_latent(positions))

    def in_domain(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.models.base.GenerativeModel`."""
        return self.base.in_domain(positions)

    def to_latent(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.models.base.GenerativeModel`; the flow's own latent numbers."""
        return self.base.to_latent(positions)

    def from_latent(self, latent: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.models.base.GenerativeModel`."""
        return self.base.from_latent(latent)

    def latent_log_prob(self, latent: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.models.base.GenerativeModel`."""
        return self.base.latent_log_prob(latent) + self._ratio_at(latent)

    def _ratio_at(self, latent: torch.Tensor) -> torch.Tensor:
        split = self.base.whitening.n_circular
        z = latent.detach().double().numpy()
        return torch.as_tensor(self._log_ratio(z[:, :split], z[:, split:]))

    def _log_ratio(
        self, angles: np.ndarray[Any, np.dtype[np.float64]], numbers: np.ndarray[Any, np.dtype[np.float64]]
    ) -> np.ndarray[Any, np.dtype[np.float64]]:
        """ln[a + (1 − a) g/p] (n,)."""
        if self.mixture is None:
            return np.zeros(len(angles))
        ratio = self.mixture.log_ratio(angles, numbers)
        return np.asarray(np.logaddexp(math.log(self.share), math.log1p(-self.share) + ratio), dtype=np.float64)


def checked_flow(model: object) -> SplineFlow:
    """``model`` if its latent distribution can be adapted, else ``InputError``."""
    if not isinstance(model, SplineFlow):
        raise InputError(
            "Only a spline flow has a latent distribution that is adapted here.",
            "Take --method guided, or train a model with --model spline.",
        )
    return model


def latent_record(text: str, proposal: LatentProposal, settings: LatentSettings) -> dict[str, Any]:
    """What an ensemble's header says of its bias: the line, how it was applied, and the latent distribution."""
    assert proposal.mixture is not None
    return {
        "text": text,
        "method": LATENT,
        "base_share": proposal.share,
        "adaptation": settings.model_dump(),
        "mixture": proposal.mixture.to_json(),
    }


def model_of_record(
    model: object, record: Mapping[str, Any], system: System, source: str, functions: Functions = NO_FUNCTIONS
) -> LatentProposal:
    """The model that drew an ensemble with this :func:`latent_record`; see :mod:`molgen.sampling.methods`.

    The bias itself is not needed.
    """
    flow = checked_flow(model)
    try:
        share = float(record["base_share"])
        if not 0.0 < share < 1.0:
            raise ValueError(share)
        mixture = LatentMixture.from_json(record["mixture"], flow.whitening.n_circular, flow.whitening.n_linear)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        hint = "Draw it again with molgen sample."
        raise InputError(f"{source} has no readable latent distribution.", hint) from error
    return LatentProposal(flow, mixture, share)
