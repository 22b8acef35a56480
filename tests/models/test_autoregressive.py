import math

import pytest
import torch

from molgen.models.autoregressive import AutoregressiveTorsions


@pytest.fixture(scope="module")
def torsions() -> AutoregressiveTorsions:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        module = AutoregressiveTorsions(3, 16, 8, 2)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(0.2 * torch.randn(parameter.shape))
    return module.requires_grad_(False).double()


def angles(n: int, m: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return (2 * torch.rand(n, m, generator=generator, dtype=torch.float64) - 1) * math.pi


def test_inverse_undoes_forward(torsions: AutoregressiveTorsions) -> None:
    t = angles(200)
    z, forward = torsions(t)
    back, inverse = torsions.inverse(z)
    assert (z - t).abs().max() > 0.1
    assert (back - t).abs().max() < 1e-9
    assert (forward + inverse).abs().max() < 1e-8


def test_log_derivative_is_that_of_autograd_and_the_map_is_triangular(torsions: AutoregressiveTorsions) -> None:
    for row in angles(5):
        jacobian = torch.autograd.functional.jacobian(lambda t: torsions(t[None])[0][0], row)
        assert jacobian.triu(1).abs().max() == 0
        expected = torch.linalg.slogdet(jacobian).logabsdet
        assert abs(float(torsions(row[None])[1] - expected)) < 1e-10


def test_the_density_is_periodic_in_every_angle(torsions: AutoregressiveTorsions) -> None:
    """At -pi and just below pi; the limit is reached linearly in the distance."""
    t = angles(50)
    for k in range(3):
        start, end = t.clone(), t.clone()
        start[:, k], end[:, k] = -math.pi, math.pi - 1e-10
        assert (torsions(start)[1] - torsions(end)[1]).abs().max() < 1e-6


def test_the_density_integrates_to_one() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = AutoregressiveTorsions(2, 8, 6, 2)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape))
    axis = -math.pi + (torch.arange(200) + 0.5) * (2 * math.pi / 200)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        density = (module(grid)[1] + module.log_latent).exp()
    assert density.std() > 0.1 * density.mean()
    # The midpoint rule on a periodic function whose slope jumps at a few knots.
    assert float(density.mean()) * (2 * math.pi) ** 2 == pytest.approx(1.0, abs=2e-3)


def test_without_angles_it_is_nothing() -> None:
    module = AutoregressiveTorsions(0, 8, 6, 2)
    for result, log_derivative in (module(torch.zeros(4, 0)), module.inverse(torch.zeros(4, 0))):
        assert result.shape == (4, 0)
        assert log_derivative.tolist() == [0.0] * 4
    assert module.log_latent == 0
