r"""What a step of training makes smaller.

Both divergences between the target p ∝ e^{-U} and the flow q are followed along their *path gradient*: the derivative
that goes through the sample alone. Its score term, which has mean zero, is left out, and what remains vanishes on
every single sample once q = p, so the noise dies away as the model gets better (Roeder et al., arXiv:1703.09194; Vaitl
et al., arXiv:2206.09016 and arXiv:2403.15881). All use the energy's forces: 3N - 6 numbers a frame where a likelihood
uses one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from molgen.models.spline_flow import SplineFlow
from molgen.training.labelled import LabelledFrames, slopes

MAX_SLOPE = 30.0
"""Bound on each component of a path gradient (kT per whitened unit): only for training, weights never see it."""


@contextmanager
def frozen(flow: SplineFlow) -> Iterator[None]:
    """The flow's parameters without gradients, for derivatives with respect to coordinates alone."""
    for parameter in flow.parameters():
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in flow.parameters():
            parameter.requires_grad_(True)


def forward_path_loss(flow: SplineFlow, batch: LabelledFrames, likelihood_share: float) -> torch.Tensor:
    r"""Surrogate of KL(p || q) on frames of p, as path gradient plus ``likelihood_share`` of the plain likelihood.

    With z = f(t, r) and the target pushed to the latent space, U_z(z) = U(g(z)) - log |dg/dz|, f ↔ ``flow.pull`` and
    g ↔ ``flow.push``:

    .. math:: \partial_\theta KL = E_p[\,\nabla_z(-U_z(z) - \log p_Z(z)) \cdot \partial_\theta f_\theta(x)\,]

    The gradient needs no relative populations from the frames, only that they are where p has mass.
    """
    z_t, z_r, log_derivative = flow.pull(batch.t, batch.r)
    with frozen(flow):
        latent_t, latent_r = z_t.detach().requires_grad_(), z_r.detach().requires_grad_()
        t, r, back = flow.push(latent_t, latent_r)
        gradients = [batch.slope_t, batch.slope_r, -torch.ones_like(back)]
        slope_t, slope_r = slopes([t, r, back], [latent_t, latent_r], gradients)
    path_t = (-slope_t).nan_to_num().clamp(-MAX_SLOPE, MAX_SLOPE)
    path_r = (z_r.detach() - slope_r).nan_to_num().clamp(-MAX_SLOPE, MAX_SLOPE)
    weight = relative_weights(batch.log_weight).to(z_r)
    path = (z_t * path_t).sum(1) + (z_r * path_r).sum(1)
    likelihood = -(flow.log_latent(z_r) + log_derivative)
    return (weight * (path + likelihood_share * likelihood)).mean()


def relative_weights(log_weight: torch.Tensor) -> torch.Tensor:
    """exp(log_weight) (n,) scaled to mean 1."""
    return torch.softmax(log_weight, 0) * len(log_weight)


@torch.no_grad()
def negative_log_likelihood(flow: SplineFlow, t: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
    """-log q(t, r) (n,) in standard coordinates."""
    _, z_r, log_derivative = flow.pull(t, r)
    return -(flow.log_latent(z_r) + log_derivative)
