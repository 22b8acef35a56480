"""A continuous flow under guidance: a generative model of its own, with the exact density of its own steps."""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import nn

from molgen.bias.base import SumBias
from molgen.bias.parsing import parse_bias
from molgen.errors import InputError
from molgen.models.continuous import ContinuousFlow
from molgen.models.runge_kutta import TABLEAUX
from molgen.models.schedule import time_grid
from molgen.sampling.guidance import GuidanceSettings, GuidedField
from molgen.systems.system import System

GUIDED = "guided"


class GuidedFlow(ContinuousFlow):
    """The flow of ``base`` with the drift of ``bias``; sampling, log q and latent numbers are those of the guided map.

    It shares the network and the spread of ``base``. Its density is that of what it draws: weights to the plain target
    are −u − log q, without the bias.
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
        self._grid = time_grid(settings.refine * base.settings.steps, base.settings.crowding)
        self._tableau = TABLEAUX[base.settings.scheme]

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


def model_of_record(model: object, record: Mapping[str, Any], system: System, source: str) -> GuidedFlow:
    """The model that drew an ensemble with this :func:`bias_record`.

    ``InputError`` naming ``source`` for draws that were biased in a way whose density is not known here.
    """
    if record.get("method") != GUIDED:
        raise InputError(
            f"{source} was drawn with a bias by {record.get('method')!r}, whose density is not known here.",
            "Draw it again with molgen sample --bias.",
        )
    settings = GuidanceSettings.parse(dict(record.get("guidance", {})), source=source)
    return guided_flow(model, parse_bias(str(record.get("text")), system), settings)
