"""Small multilayer perceptrons that turn what a coupling may see into the parameters of its transform."""

import torch
from torch import nn


class Conditioner(nn.Module):
    """Two hidden layers with SiLU; the last layer starts at zero, so that every transform starts at its default."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(max(inputs, 1), hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, outputs),
        )
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)

    def forward(self, features: torch.Tensor, *, columns: int, width: int) -> torch.Tensor:
        """Parameters (width, columns, n) from features (n, inputs); no feature at all is one constant zero.

        The last layer has the ``width`` parameters of one column, then those of the next. Splines want equal ones
        together, and turning the weights is cheaper than turning what they give.
        """
        if features.shape[1] == 0:
            features = features.new_zeros(features.shape[0], 1)
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        weight = last.weight.view(columns, width, last.in_features).transpose(0, 1).flatten(0, 1)
        bias = last.bias.view(columns, width).t().flatten()
        result = torch.addmm(bias[:, None], weight, self.layers[:-1](features).t())
        return result.view(width, columns, len(features))


class TorsionFeatures(nn.Module):
    """cos(k t), sin(k t) for k = 1..order of angles t (n, m), as (n, 2 * order * m)."""

    def __init__(self, order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, angles: torch.Tensor) -> torch.Tensor:
        """Fourier features (n, 2 * order * m)."""
        multiples = torch.cat([k * angles for k in range(1, self.order + 1)], 1)
        return torch.cat([multiples.cos(), multiples.sin()], 1)


class AutoregressiveConditioner(nn.Module):
    """One small network for each of m angles, fed with Fourier features of the angles before it, in one batch.

    The weights of all networks stand in one tensor each, so that all parameters of known angles come from three
    batched products; :meth:`column` evaluates one network alone, for drawing.
    """

    def __init__(self, angles: int, hidden: int, outputs: int, order: int) -> None:
        super().__init__()
        self.angles, self.order = angles, order
        features = 2 * order * angles
        position = torch.arange(angles).repeat(2 * order)
        mask = (position[None, :] < torch.arange(angles)[:, None]).float()
        self.register_buffer("mask", mask[:, :, None])
        active = mask.sum(1).clamp_min(1.0)[:, None, None]
        self.first = nn.Parameter(torch.randn(angles, features, hidden) / active.sqrt())
        # The first angle sees nothing: with biases of zero its hidden units would be, and stay nearly, silent.
        self.first_bias = nn.Parameter(torch.randn(angles, 1, hidden))
        self.second = nn.Parameter(torch.randn(angles, hidden, hidden) / hidden**0.5)
        self.second_bias = nn.Parameter(torch.randn(angles, 1, hidden) / hidden**0.5)
        self.last = nn.Parameter(torch.zeros(angles, hidden, outputs))
        self.last_bias = nn.Parameter(torch.zeros(angles, 1, outputs))

    mask: torch.Tensor

    def forward(self, angles: torch.Tensor) -> torch.Tensor:
        """Parameters (outputs, m, n) for angles (n, m), all known."""
        return self._evaluate(self._features(angles), slice(None)).transpose(0, 1)

    def column(self, known: list[torch.Tensor], index: int, like: torch.Tensor) -> torch.Tensor:
        """Parameters (outputs, n) for angle ``index`` given the angles before it."""
        missing = [like.new_zeros(len(like))] * (self.angles - index)
        features = self._features(torch.stack([*known[:index], *missing], 1))
        return self._evaluate(features, slice(index, index + 1))[0]

    def _features(self, angles: torch.Tensor) -> torch.Tensor:
        multiples = torch.cat([k * angles for k in range(1, self.order + 1)], 1)
        return torch.cat([multiples.cos(), multiples.sin()], 1)

    def _evaluate(self, features: torch.Tensor, which: slice) -> torch.Tensor:
        """Parameters (angles, outputs, n): those of equal meaning together, as splines want them."""
        hidden = features @ (self.first * self.mask)[which] + self.first_bias[which]
        hidden = nn.functional.silu(hidden) @ self.second[which] + self.second_bias[which]
        across = self.last[which].transpose(1, 2) @ nn.functional.silu(hidden).transpose(1, 2)
        result: torch.Tensor = across + self.last_bias[which].transpose(1, 2)
        return result
