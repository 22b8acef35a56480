r"""The biases that frames were made under, as their labels feel them.

A frame of an umbrella run is a sample of p_k ∝ exp(−u − B_k). All frames together are samples of a mixture
p̄ = Σ_k α_k p_k with unknown constants, of which no frame needs to know more than the bias of its own: since
:math:`\nabla \bar p = \sum_k \alpha_k p_k \nabla \log p_k`, the mean of :math:`\nabla \log p_k` over the frames at a
place is :math:`\nabla \log \bar p` there. So the path gradient of KL(p̄ ‖ q), linear in that slope
(:mod:`molgen.training.objectives`), is right when every frame brings ∇u + ∇B of its own dynamics.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch

from molgen.arrays import IntArray
from molgen.bias.base import Bias
from molgen.bias.parsing import parse_bias
from molgen.systems.system import System
from molgen.trajectories.frames import FrameSet


@dataclass(frozen=True, eq=False)
class FeltBiases:
    """``biases`` in kT, and for each frame the number of its own in ``bias_of`` (n,), -1 for none."""

    biases: Sequence[Bias]
    bias_of: IntArray

    @classmethod
    def of(cls, frames: FrameSet, system: System) -> Self | None:
        """The biases of ``frames``, None where none has one; ``InputError`` for one that ``system`` cannot have."""
        if frames.bias_of is None:
            return None
        return cls([parse_bias(line, system) for line in frames.biases], frames.bias_of)

    def gradient(self, positions: torch.Tensor, first: int) -> torch.Tensor:
        """dB/dx (n, N, D) in kT per nm of ``positions``, which are the frames from number ``first`` on."""
        numbers = torch.as_tensor(self.bias_of[first : first + len(positions)])
        result = torch.zeros_like(positions, dtype=torch.float64)
        for number, bias in enumerate(self.biases):
            rows = (numbers == number).nonzero()[:, 0]
            if len(rows):
                own = positions[rows].double().requires_grad_()
                (result[rows],) = torch.autograd.grad(bias.reduced(own).sum(), own)
        return result
