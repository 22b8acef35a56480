"""An energy as a torch function whose backward pass uses the force field's own forces."""

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from molgen.energies.base import Energy
from molgen.energies.counter import Purpose


class _ReducedEnergy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, positions: torch.Tensor, energy: Energy, purpose: Purpose) -> torch.Tensor:
        frames = positions.detach().to("cpu", torch.float64).numpy()
        if not ctx.needs_input_grad[0]:
            return torch.as_tensor(energy.reduced(frames, purpose=purpose)).to(positions)
        reduced, gradient = energy.reduced_and_gradient(frames, purpose=purpose)
        ctx.save_for_backward(torch.as_tensor(gradient).to(positions))
        return torch.as_tensor(reduced).to(positions)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        scaled = grad_outputs[0][:, None, None] * gradient
        # A row without a finite energy has gradient 0, also where the outer derivative is infinite.
        return torch.where(gradient == 0, gradient, scaled), None, None


def reduced_energy(energy: Energy, positions: torch.Tensor, purpose: Purpose) -> torch.Tensor:
    """u (n,) of ``positions`` (n, N, D), differentiable once; +inf with zero gradient where it is not finite.

    Forces are computed in the forward pass, and only if ``positions`` asks for a gradient: one evaluation a frame.
    """
    result: torch.Tensor = _ReducedEnergy.apply(positions, energy, purpose)  # type: ignore[no-untyped-call]
    return result
