"""A plain EGNN for benchmarks, from the equations of V. Satorras et al., arXiv:2102.09844, eqs. 3 to 6.

m_ij = φ_e(h_i, h_j, |x_i - x_j|²)
x_i ← x_i + 1/(N - 1) Σ_{j ≠ i} (x_i - x_j) φ_x(m_ij)
h_i ← h_i + φ_h(h_i, Σ_{j ≠ i} m_ij)
"""

import torch
from torch import nn


def perceptron(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Two linear layers with a SiLU between them."""
    return nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, outputs))


class Layer(nn.Module):
    """One E(n)-equivariant graph convolution over all pairs."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.edge = nn.Sequential(perceptron(2 * width + 1, width, width), nn.SiLU())
        self.move = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1, bias=False))
        self.node = perceptron(2 * width, width, width)

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Positions (n, N, 3) and features (n, N, width) after the layer."""
        particles = x.shape[1]
        difference = x[:, :, None] - x[:, None]
        square = difference.square().sum(-1, keepdim=True)
        shape = (*square.shape[:-1], h.shape[-1])
        message = self.edge(torch.cat([h[:, :, None].expand(shape), h[:, None].expand(shape), square], -1))
        others = (1.0 - torch.eye(particles, dtype=x.dtype))[None, :, :, None]
        moved = x + (difference * self.move(message)).sum(2) / (particles - 1)
        return moved, h + self.node(torch.cat([h, (message * others).sum(2)], -1))


class EGNN(nn.Module):
    """Vectors (n, N, 3) of positions (n, N, 3) and times (n,): how far the layers move the particles."""

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        self.start = nn.Linear(1, width)
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))

    def forward(self, positions: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        """See the class; zero mean over particles."""
        x, h = positions, self.start(time[:, None])[:, None].expand(-1, positions.shape[1], -1)
        for layer in self.layers:
            x, h = layer(x, h)
        moved = x - positions
        return moved - moved.mean(1, keepdim=True)
