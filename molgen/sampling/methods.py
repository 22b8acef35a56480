"""How a bias pushes draws whose density stays exact: the methods by name, and the model that a record describes.

Each method changes what is drawn and knows the density of it, so that weights to any target are −u − log q and the bias
itself does not enter. Everything that is needed to have the density again stands in the record, which is the ``bias``
of the ensemble's header.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from molgen.bias.parsing import NO_FUNCTIONS, Functions
from molgen.errors import InputError
from molgen.systems.system import System

if TYPE_CHECKING:
    import torch

    from molgen.models.base import Draws

METHODS: dict[str, str] = {
    "guided": "molgen.sampling.guided_flow:model_of_record",
    "latent": "molgen.sampling.latent_proposal:model_of_record",
}
"""Name of a method ↦ ``module:function``; the function has the arguments of :func:`model_of_record`."""


@runtime_checkable
class PushedModel(Protocol):
    """What draws under a bias: a :class:`molgen.models.base.GenerativeModel` without latent numbers of its own.

    It is a mixture with a ``share`` of the plain model; ``costly`` says that its densities cost more than draws.
    """

    measure: str
    share: float
    costly: bool

    @property
    def piece(self) -> int:
        """How many frames are best handled at a time."""
        ...

    def sample(self, n: int, generator: "torch.Generator") -> "Draws":
        """See :class:`molgen.models.base.GenerativeModel`."""
        ...

    def log_prob(self, positions: "torch.Tensor") -> "torch.Tensor":
        """See :class:`molgen.models.base.GenerativeModel`."""
        ...

    def in_domain(self, positions: "torch.Tensor") -> "torch.Tensor":
        """See :class:`molgen.models.base.GenerativeModel`."""
        ...

    def log_plain_ratio(self, positions: "torch.Tensor") -> "torch.Tensor":
        """ln q_plain/q (n,) at positions (n, N, D), at most -ln ``share``; -inf where the plain density is none."""
        ...


def check_record(record: Mapping[str, Any], source: str) -> None:
    """``InputError`` naming ``source`` for draws that were biased in a way whose density is not known here."""
    name = record.get("method")
    if not isinstance(name, str) or name not in METHODS:
        raise InputError(
            f"{source} was drawn with a bias by {name!r}, whose density is not known here.",
            "Draw it again with molgen sample --bias.",
        )


def model_of_record(
    model: object, record: Mapping[str, Any], system: System, source: str, functions: Functions = NO_FUNCTIONS
) -> PushedModel:
    """What drew an ensemble with this ``record`` of a bias, from the plain ``model``; see :func:`check_record`.

    ``functions`` open variables of the bias that are none of the system's.
    """
    check_record(record, source)
    module, _, function = METHODS[record["method"]].partition(":")
    build = getattr(importlib.import_module(module), function)
    return cast(PushedModel, build(model, record, system, source, functions))
