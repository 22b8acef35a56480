"""A committor: an ensemble of small networks of features, pinned to 0 and 1 in the two states."""

from itertools import pairwise
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import nn

from molgen.arrays import FloatArray
from molgen.committor.features import FeatureKind, Features
from molgen.coordinates.cartesian import CartesianChart
from molgen.networks.equivariant import EquivariantSettings
from molgen.networks.invariant import InvariantNetwork
from molgen.observables.boundary import A, B, Boundary
from molgen.observables.rows import Configurations
from molgen.settings import Settings
from molgen.systems.system import System

SMALL = EquivariantSettings(scalars=16, vectors=8, radial=16, hidden=16, fine=0)
"""Shape of an equivariant network: a committor has fewer labels than a force field."""


class CommittorSettings(Settings):
    """Shape: ``features``, then ``layers`` hidden layers of ``hidden`` units in each of ``members`` networks.

    ``variables`` are the collective variables that ``features`` cv takes, all unless given. With ``features``
    equivariant every member has the shape ``network`` instead.
    """

    features: FeatureKind = "internal"
    variables: tuple[str, ...] | None = None
    hidden: PositiveInt = 32
    layers: Annotated[int, Field(ge=0)] = 3
    members: Annotated[int, Field(ge=2)] = 8
    network: EquivariantSettings = SMALL


class Members(nn.Module):
    """``members`` networks of the same shape side by side: features (n, F) or (m, n, F) to logits (m, n)."""

    def __init__(self, features: int, settings: CommittorSettings, generator: torch.Generator) -> None:
        super().__init__()
        sizes = [features, *[settings.hidden] * settings.layers]
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for before, after in pairwise(sizes):
            self._add(settings.members, before, after, before**-0.5, generator)
        self._add(settings.members, sizes[-1], 1, 0.0, generator)
        # A linear part beside the network: what a state is far from is seldom bent.
        self.linear = nn.Parameter(torch.zeros(settings.members, features, 1))

    def _add(self, members: int, before: int, after: int, size: float, generator: torch.Generator) -> None:
        self.weights.append(nn.Parameter(size * torch.randn(members, before, after, generator=generator)))
        self.biases.append(nn.Parameter(torch.zeros(members, 1, after)))

    @property
    def dtype(self) -> torch.dtype:
        """The type of the parameters."""
        return self.linear.dtype

    def parts(self, member: int) -> list[torch.Tensor]:
        """The parameters of one member, as views."""
        return [parameter.detach()[member] for parameter in self.parameters()]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (m, n)."""
        hidden = features.expand(len(self.linear), *features.shape[-2:])
        result = hidden @ self.linear
        pairs = list(zip(self.weights, self.biases, strict=True))
        for weight, bias in pairs[:-1]:
            hidden = torch.nn.functional.silu(hidden @ weight + bias)
        weight, bias = pairs[-1]
        logits: torch.Tensor = (result + hidden @ weight + bias)[..., 0]
        return logits


class EquivariantMembers(nn.Module):
    """``members`` invariant networks: centred positions (n, 3N) or (m, n, 3N) to logits (m, n)."""

    def __init__(self, system: System, settings: CommittorSettings, generator: torch.Generator) -> None:
        super().__init__()
        chart = CartesianChart(system)
        shape = settings.network.model_copy(update={"chiral": chart.chiral and settings.network.chiral})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**62, (1,), generator=generator).item()))
            self.networks = nn.ModuleList(
                InvariantNetwork(chart.kinds, chart.pairs, shape) for _ in range(settings.members)
            )

    @property
    def dtype(self) -> torch.dtype:
        """The type of the parameters."""
        return next(self.parameters()).dtype

    def parts(self, member: int) -> list[torch.Tensor]:
        """The parameters of one member, as views."""
        return [parameter.detach() for parameter in self.networks[member].parameters()]

    def fit(self, features: torch.Tensor) -> None:
        """Tell every network which distances hardly vary, from centred positions (n, 3N)."""
        for network in self.networks:
            assert isinstance(network, InvariantNetwork)
            network.fit(features.reshape(len(features), -1, 3))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits (m, n)."""
        each = features.expand(len(self.networks), *features.shape[-2:])
        each = each.reshape(*each.shape[:2], -1, 3)
        return torch.stack([network(rows) for network, rows in zip(self.networks, each, strict=True)])


def pooled(logits: torch.Tensor, counted: torch.Tensor | None = None) -> torch.Tensor:
    r"""z̄ (n,), the logit of the mean over the members of σ(z), of their ``logits`` z (m, n).

    :math:`\bar z = \ln \sum_k \sigma(z_k) - \ln \sum_k \sigma(-z_k)`, which loses no digits where q is near 0 or 1. Of
    members that do not agree the mean of q says less than the mean of z does, and is nearer to the truth for it.
    ``counted`` (m, n) is 1 for the members that count, 0 for others; all do unless given. NaN where none counts.
    """
    up, down = torch.nn.functional.logsigmoid(logits), torch.nn.functional.logsigmoid(-logits)
    if counted is not None:
        up, down = up + counted.log(), down + counted.log()
    return torch.logsumexp(up, dim=0) - torch.logsumexp(down, dim=0)


class Committor(nn.Module):
    """q(x) = σ(b z̄(x)), z̄ of the members by :func:`pooled`; exactly 0 in state a and 1 in state b of ``boundary``.

    ``scale`` b belongs to the fit.
    """

    scale: torch.Tensor

    def __init__(self, boundary: Boundary, settings: CommittorSettings, generator: torch.Generator) -> None:
        super().__init__()
        self.boundary, self.settings = boundary, settings
        self.features = Features(boundary.system, settings.features, settings.variables)
        self.members: Members | EquivariantMembers
        if settings.features == "equivariant":
            self.members = EquivariantMembers(boundary.system, settings, generator)
        else:
            self.members = Members(len(self.features.names), settings, generator)
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))

    def member_logits(self, positions: Configurations | torch.Tensor) -> torch.Tensor:
        """b z (m, n), float64, each member's logits of frames (n, N, D), not pinned."""
        return self.scale * self._each(self.features(positions))

    def feature_logit(self, features: torch.Tensor) -> torch.Tensor:
        """b z̄ (n,), float64, of standardised features (n, F), not pinned; differentiable by autograd."""
        return self.scale * pooled(self._each(features))

    def free_logit(self, positions: Configurations | torch.Tensor) -> torch.Tensor:
        """b z̄ (n,), float64, of frames (n, N, D), not pinned; differentiable by autograd."""
        return self.feature_logit(self.features(positions))

    def _each(self, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.members(features.to(self.members.dtype)).double()
        return logits

    @torch.no_grad()
    def logit(self, positions: Configurations) -> FloatArray:
        """b z̄ (n,) of frames (n, N, D), −∞ in state a and +∞ in state b."""
        free = self.free_logit(positions).numpy()
        label = self.boundary.assign(positions)
        return np.where(label == A, -np.inf, np.where(label == B, np.inf, free))

    def probability(self, positions: Configurations) -> FloatArray:
        """q (n,) of frames (n, N, D)."""
        from scipy.special import expit

        return np.asarray(expit(self.logit(positions)))

    @torch.no_grad()
    def uncertainty(self, positions: Configurations) -> FloatArray:
        """Standard deviation (n,) of b z over the members."""
        return self.member_logits(positions).std(0).numpy()

    @torch.no_grad()
    def disagreement(self, positions: Configurations) -> FloatArray:
        """Variance (n,) of q = σ(b z) over the members."""
        return self.member_logits(positions).sigmoid().var(0).numpy()

    def interval(self, positions: Configurations, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends (n,) of an interval of q of frames (n, N, D), by Student's t over the members' logits.

        Members are bootstraps: their spread is the error of one, and for the mean of m nearly that again. In a state
        both ends are its q.
        """
        from scipy.special import expit
        from scipy.stats import t

        with torch.no_grad():
            logits = self.member_logits(positions)
        members = self.settings.members
        half = float(t.ppf(0.5 + 0.5 * level, members - 1)) * np.sqrt(1.0 + 1.0 / members) * logits.std(0).numpy()
        label = self.boundary.assign(positions)
        pinned = np.where(label == A, -np.inf, np.where(label == B, np.inf, 0.0))
        centre = logits.mean(0).numpy() + pinned
        return np.asarray(expit(centre - half)), np.asarray(expit(centre + half))
