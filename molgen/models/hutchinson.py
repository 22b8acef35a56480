r"""log-densities estimated from random vectors: cheap, noisy, and never used for weights silently.

Along the flow dx/dt = v the density changes by :math:`-\int \mathrm{tr}\,(\partial v/\partial x)\,dt`, and
:math:`\varepsilon^T (\partial v/\partial x)\,\varepsilon` with random signs ε estimates the trace (M. F. Hutchinson,
Commun. Stat. Simul. Comput. 18 (1989) 1059, doi:10.1080/03610918908812806; W. Grathwohl et al., arXiv:1810.01367). One
derivative along ε replaces the whole Jacobian. Besides its noise the estimate is one of the differential equation, not
of the steps that approximate it.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch

from molgen.models.runge_kutta import Field, Tableau


def noisy_change(
    field: Field, z: torch.Tensor, grid: Sequence[float], tableau: Tableau, probes: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The points (n, d) to which the steps over ``grid`` lead from ``z`` (n, d), log |dx/dz| (n,) and its error (n,).

    The estimate is the mean over ``probes`` vectors of signs, each kept along the whole trajectory; the error is the
    standard error of that mean.
    """
    signs = [_signs(z, generator) for _ in range(probes)]
    x, totals = z, [z.new_zeros(len(z)) for _ in signs]
    for start, stop in pairwise(grid):
        h = stop - start
        slopes: list[torch.Tensor] = []
        for row, weight, c in zip(tableau.a, tableau.b, tableau.c, strict=True):
            stage = x + h * sum((a * k for a, k in zip(row, slopes, strict=True)), torch.zeros_like(x))
            times = torch.full((len(x),), start + c * h, dtype=x.dtype)
            for index, sign in enumerate(signs):
                slope, along = torch.func.jvp(lambda at, t=times: field(at, t), (stage,), (sign,))  # type: ignore[misc]
                totals[index] = totals[index] + h * weight * (sign * along).sum(1)
            slopes.append(slope)
        x = x + h * sum(b * k for b, k in zip(tableau.b, slopes, strict=True))
    found = torch.stack(totals)
    return x, found.mean(0), found.std(0) / probes**0.5


def _signs(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return (2 * torch.randint(0, 2, like.shape, generator=generator) - 1).to(like)
