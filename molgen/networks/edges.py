r"""What an edge of a graph of particles says of its length: smooth numbers, and their derivatives.

Two kinds. *Gaussians* of one width, evenly spaced, see any length. Lengths that hardly vary, as those of bonds, angles
and rigid rings, vary within one Gaussian's width: for these, with mean m and standard deviation s over the training
frames, there are

.. math:: g_w(d) = z / \sqrt{1 + z^2}, \qquad z = (d - m) / (w s), \qquad w = 1, 3, 9, \dots

so that a deviation of s is a number of order 1 from the start, and one w times as large still is when the frames are
noised. m and s are those of a class of pairs, equal for all that a relabelling exchanges.
"""

import torch
from torch import nn

_WIDER = 3.0
"""Ratio of one width of the fine numbers to the last."""
_LEAST = 1e-3
"""Smallest standard deviation, in units of the particles' spread: of lengths that do not vary."""


class EdgeFeatures(nn.Module):
    """``radial`` Gaussians of width and spacing ``reach`` / ``radial``, and ``fine`` numbers a narrow length."""

    def __init__(self, particles: int, radial: int, reach: float, fine: int) -> None:
        super().__init__()
        self.gaussians, self.fine, self.spacing = radial, fine, reach / radial
        if fine:
            self.register_buffer("mean", torch.zeros(particles, particles))
            self.register_buffer("narrowness", torch.zeros(particles, particles))

    mean: torch.Tensor
    narrowness: torch.Tensor

    @property
    def count(self) -> int:
        """Numbers an edge."""
        return self.gaussians + self.fine

    def fit(self, distance: torch.Tensor, classes: torch.Tensor) -> None:
        """Set m and 1 / s of fine numbers from lengths (n, N, N) of frames; ``classes`` (N, N) of pairs share theirs.

        A class that is not narrower than a Gaussian has no fine numbers: they are 0 there.
        """
        index = classes.flatten()
        members = torch.bincount(index).to(distance)
        mean = _over(distance.mean(0), index, members)
        square = _over((distance - mean[classes]).square().mean(0), index, members)
        spread = square.sqrt().clamp_min(_LEAST)
        narrow = torch.where(spread < self.spacing, 1.0 / spread, 0.0)
        off_diagonal = 1.0 - torch.eye(len(classes), dtype=distance.dtype)
        self.mean.copy_(mean[classes] * off_diagonal)
        self.narrowness.copy_(narrow[classes] * off_diagonal)

    def forward(self, distance: torch.Tensor) -> torch.Tensor:
        """The numbers (count, n, N, N) of lengths (n, N, N)."""
        gaussians = torch.exp(-0.5 * self._steps(distance).square())
        if not self.fine:
            return gaussians
        z = self._deviations(distance)
        return torch.cat([gaussians, z * torch.rsqrt(1.0 + z.square())])

    def with_slopes(self, distance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The numbers and their derivatives by the length, both (count, n, N, N)."""
        steps = self._steps(distance)
        gaussians = torch.exp(-0.5 * steps.square())
        slopes = gaussians * steps * (-1.0 / self.spacing)
        if not self.fine:
            return gaussians, slopes
        z = self._deviations(distance)
        root = torch.rsqrt(1.0 + z.square())
        rate = (self.narrowness / self._widths(distance)) * root**3
        return torch.cat([gaussians, z * root]), torch.cat([slopes, rate])

    def _steps(self, distance: torch.Tensor) -> torch.Tensor:
        """Distances from the Gaussians' centres in units of their width (radial, n, N, N)."""
        centres = torch.arange(self.gaussians, dtype=distance.dtype, device=distance.device)
        return (distance / self.spacing)[None] - centres[:, None, None, None]

    def _deviations(self, distance: torch.Tensor) -> torch.Tensor:
        """z (fine, n, N, N)."""
        return ((distance - self.mean) * self.narrowness)[None] / self._widths(distance)

    def _widths(self, distance: torch.Tensor) -> torch.Tensor:
        powers = torch.arange(self.fine, dtype=distance.dtype, device=distance.device)
        return (_WIDER**powers)[:, None, None, None]


def _over(values: torch.Tensor, index: torch.Tensor, members: torch.Tensor) -> torch.Tensor:
    """Means (classes,) of values (N, N) over the pairs of each class."""
    total = torch.zeros_like(members).index_add_(0, index, values.flatten())
    return total / members.clamp_min(1.0)
