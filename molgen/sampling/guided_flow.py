"""A continuous flow under guidance: a generative model of its own, with the exact density of its own steps.

What `sample` draws from is its mixture with the plain model. The density is that of what is drawn, so that weights to
the plain target are −u − log q, without the bias.
"""

import math
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import nn

from molgen.bias.base import SumBias
from molgen.bias.parsing import NO_FUNCTIONS, Functions, parse_bias
from molgen.errors import InputError
from molgen.models.base import DrawOptions, Draws
from molgen.models.continuous import ContinuousFlow
from molgen.models.runge_kutta import TABLEAUX
from molgen.models.schedule import time_grid
from molgen.sampling.guidance import GuidanceSettings, GuidedField
from molgen.systems.system import System

GUIDED = "guided"
SAME_NOISE = 0.01
"""ln of a normal density by which noise that was found again may differ; another preimage differs by far more."""


class GuidedFlow(ContinuousFlow):
    """The flow of ``base`` with the drift of ``bias``; sampling, log q and latent numbers are those of the guided map.

    It shares the network and the spread of ``base``.
    """

    def __init__(self, base: ContinuousFlow, bias: SumBias, settings: GuidanceSettings) -> None:
        nn.Module.__init__(self)
        self.base = base
        self.bias = bias
        self.guidance = settings
        self.settings = base.settings
        self.chart = base.chart
        self.measure = base.measure
        self.register_buffer("scale", base.scale)
        steps = max(settings.refine * base.settings.steps, math.ceil(2.0 * settings.rate))
        self._grid = time_grid(steps, base.settings.crowding)
        self._tableau = TABLEAUX[base.settings.scheme]
        self._options = DrawOptions()

    @property
    def dtype(self) -> torch.dtype:
        """Floating-point type of the network."""
        return self.base.dtype

    def double(self) -> Self:
        """The model with a network in float64."""
        self.base.double()
        return self

    def float(self) -> Self:
        """The model with a network in float32."""
        self.base.float()
        return self

    @property
    def _guided(self) -> GuidedField:
        return GuidedField(self.base, self.bias.terms, self.scale.item(), self.guidance)

    def field(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.sampling.guidance.GuidedField`."""
        return self._guided.field(x, t)

    def field_with_jacobian(self, x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See :class:`molgen.sampling.guidance.GuidedField`."""
        return self._guided.field_with_jacobian(x, t)


class GuidedMixture:
    """Draws of a guided flow with a share of the plain model's, and the density of both together.

    log q = ln[(1 − a) q_guided + a q_base], a ↔ ``base_share``: a defensive mixture (T. Hesterberg, Technometrics 37,
    185 (1995), doi:10.1080/00401706.1995.10484303). A window alone would leave what lies outside it to a few draws of
    huge weight. Sampling and density are those of :class:`molgen.models.base.GenerativeModel`; there are no latent
    numbers.
    """

    def __init__(self, guided: GuidedFlow) -> None:
        self.guided = guided
        self.measure = guided.measure
        self.share = guided.guidance.base_share

    @property
    def piece(self) -> int:
        """How many frames are best handled at a time."""
        return self.guided.settings.piece

    def sample(self, n: int, generator: torch.Generator) -> Draws:
        """See :class:`molgen.models.base.GenerativeModel`; ``log_q`` is +inf for a draw that was rejected."""
        plain = torch.rand(n, generator=generator) < self.share
        chart, base = self.guided.chart, self.guided.base
        positions = torch.empty(n, chart.particles, chart.dim, dtype=torch.float64)
        log_q = torch.empty(n, dtype=torch.float64)
        inside = torch.empty(n, dtype=torch.bool)
        if not bool(plain.all()):
            drawn = certified_draws(self.guided, int((~plain).sum()), generator)
            positions[~plain], inside[~plain] = drawn.positions, drawn.in_domain
            log_q[~plain] = self._together(drawn.log_q, base.log_prob(drawn.positions))
        if bool(plain.any()):
            drawn = certified_draws(base, int(plain.sum()), generator)
            positions[plain], inside[plain] = drawn.positions, drawn.in_domain
            log_q[plain] = self._together(self.guided.log_prob(drawn.positions), drawn.log_q)
        return Draws(positions, log_q, inside & torch.isfinite(log_q))

    def log_prob(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.models.base.GenerativeModel`; ``nan`` where neither flow can be inverted."""
        return self._together(self.guided.log_prob(positions), self.guided.base.log_prob(positions))

    costly = True

    def log_plain_ratio(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.sampling.methods.PushedModel`."""
        free = self.guided.base.log_prob(positions)
        ratio = free - self._together(self.guided.log_prob(positions), free)
        return torch.where(torch.isnan(ratio), -torch.inf, ratio)

    def in_domain(self, positions: torch.Tensor) -> torch.Tensor:
        """See :class:`molgen.models.base.GenerativeModel`."""
        return self.guided.in_domain(positions)

    def _together(self, pushed: torch.Tensor, free: torch.Tensor) -> torch.Tensor:
        # A flow keeps no draw that it cannot take back to its noise: where it cannot, its density is 0.
        both = [torch.where(torch.isnan(part), -torch.inf, part) for part in (pushed, free)]
        log_q = torch.logaddexp(math.log1p(-self.share) + both[0], math.log(self.share) + both[1])
        return torch.where(torch.isneginf(log_q), torch.nan, log_q)


def certified_draws(flow: ContinuousFlow, n: int, generator: torch.Generator) -> Draws:
    """``n`` draws of ``flow``, rejected (``log_q`` +inf) unless its inverse leads back to the noise they came from.

    What is kept has the density that ``flow.log_prob`` gives, and where that is ``nan`` nothing is kept: only so may
    densities of several flows be added in which one of them cannot be inverted everywhere.
    """
    z = flow.noise(n, generator)
    drawn = flow.draws_of(z)
    latent = flow.chart.to_subspace(z)
    for rows in torch.split(torch.nonzero(torch.isfinite(drawn.log_q))[:, 0], flow.settings.piece):
        back = flow.latent_log_prob(flow.to_latent(drawn.positions[rows]))
        # Relabelling permutes the noise and leaves its density. A comparison with nan is False.
        same = (back - flow.latent_log_prob(latent[rows])).abs() < SAME_NOISE
        drawn.log_q[rows[~same]] = torch.inf
    return Draws(drawn.positions, drawn.log_q, drawn.in_domain & torch.isfinite(drawn.log_q))


def guided_flow(model: object, bias: SumBias, settings: GuidanceSettings) -> GuidedFlow:
    """``model`` under guidance; ``InputError`` for one that has no velocity field for a bias to drive."""
    if not isinstance(model, ContinuousFlow):
        raise InputError(
            "This model has no velocity field that a bias could drive.",
            "Train one with --model flow-matching or --model diffusion.",
        )
    return GuidedFlow(model, bias, settings)


def bias_record(bias: SumBias, settings: GuidanceSettings) -> dict[str, Any]:
    """What an ensemble's header says of its bias: the line, and how it was applied."""
    return {"text": bias.text, "method": GUIDED, "guidance": settings.model_dump()}


def model_of_record(
    model: object, record: Mapping[str, Any], system: System, source: str, functions: Functions = NO_FUNCTIONS
) -> GuidedMixture:
    """The model that drew an ensemble with this :func:`bias_record`; see :mod:`molgen.sampling.methods`."""
    settings = GuidanceSettings.parse(dict(record.get("guidance", {})), source=source)
    bias = parse_bias(str(record.get("text")), system, functions=functions)
    return GuidedMixture(guided_flow(model, bias, settings))
