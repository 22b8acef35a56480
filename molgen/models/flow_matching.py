r"""Flow matching: the velocity of straight paths from noise to frames.

Noise z and a frame x, coupled by equivariant optimal transport (:mod:`molgen.models.transport`), are joined by
:math:`x_t = (1 - t) z + t x`; the network learns :math:`v(x_t, t) = E[x - z \mid x_t]`, whose flow carries the noise to
the frames (Y. Lipman et al., arXiv:2210.02747; L. Klein, A. Krämer and F. Noe, arXiv:2306.15030).
"""

from typing import ClassVar

import torch

from molgen.models.continuous import ContinuousFlow, ContinuousSettings
from molgen.models.transport import couple


class FlowMatchingSettings(ContinuousSettings):
    """Shape of the flow; noise and frames are coupled in blocks of ``coupling_block``."""


class FlowMatching(ContinuousFlow):
    """See the module."""

    settings_class: ClassVar[type[ContinuousSettings]] = FlowMatchingSettings

    def field(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """The network's vectors themselves."""
        return self.network_vectors(x, t)

    def field_with_jacobian(self, x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See :class:`molgen.models.continuous.ContinuousFlow`."""
        return self.network_with_jacobian(x, t)

    def loss(
        self, x: torch.Tensor, generator: torch.Generator, temperature_k: torch.Tensor | None = None
    ) -> torch.Tensor:
        r"""Mean square error of the velocity, :math:`|v(x_t, t) - (x - z)|^2` / ((N - 1) D) (n,), t uniform."""
        noise = self.noise(len(x), generator).numpy()
        coupled = couple(noise, x.double().numpy(), self.chart.exchangeable, self.settings.coupling_block)
        z = torch.as_tensor(coupled).to(x)
        t = torch.rand(len(x), generator=generator, dtype=x.dtype)
        between = (1.0 - t)[:, None, None] * z + t[:, None, None] * x
        error = self.network_vectors(between, t, temperature_k) - (x - z)
        return error.square().sum((1, 2)) / self.chart.dimension
