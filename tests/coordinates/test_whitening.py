import math

import pytest
import torch

from molgen.coordinates.whitening import Whitening, fourier_terms

CIRCULAR, PERIODS, NARROW = [2, 4], [2 * math.pi, 2 * math.pi / 3], [3]


def drawn(n: int, seed: int = 1) -> torch.Tensor:
    """Columns: line, line, circle, narrow torsion about pi, folded circle; the lines follow the circles linearly."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(n, 3, generator=generator, dtype=torch.float64)
    t = (2 * torch.rand(n, 2, generator=generator, dtype=torch.float64) - 1) * math.pi
    first = 0.15 + 0.01 * (t[:, 0].cos() + 0.5 * noise[:, 0])
    second = 2.0 + 0.1 * (noise[:, 1] + 0.8 * noise[:, 0] + t[:, 0].sin() * t[:, 1].cos())
    narrow = torch.remainder(math.pi + 0.2 * noise[:, 2] + math.pi, 2 * math.pi) - math.pi
    return torch.stack([first, second, t[:, 0], narrow, t[:, 1] / 3], 1)


@pytest.fixture(scope="module")
def fitted() -> Whitening:
    return Whitening(5, CIRCULAR, PERIODS, NARROW).fit(drawn(5000))


def test_residuals_are_standard_and_know_nothing_of_the_torsions(fitted: Whitening) -> None:
    """On the data of the fit itself, so no sampling error: the ridge of 1e-6 alone keeps it from being exact."""
    t, r = fitted(drawn(5000))
    assert t.abs().max() <= math.pi
    assert r.mean(0).abs().max() < 1e-4
    assert (r.T @ r / len(r) - torch.eye(3, dtype=r.dtype)).abs().max() < 1e-3
    terms = fourier_terms(t, fitted.pairs)
    assert (terms.T @ r / len(r)).abs().max() < 1e-4


def test_on_fresh_data_the_residuals_are_standard_up_to_noise(fitted: Whitening) -> None:
    """Five standard errors of a variance of 5,000 draws: sqrt(2 / 5000) * 5 = 0.1."""
    _, r = fitted(drawn(5000, seed=2))
    assert (r.var(0) - 1).abs().max() < 0.1


def test_a_torsion_at_the_cut_of_the_circle_is_centred_there(fitted: Whitening) -> None:
    column = fitted.linear.tolist().index(3)
    assert abs(abs(float(fitted.centre[column])) - math.pi) < 0.02
    assert float(fitted.scale[column]) == pytest.approx(0.2, rel=0.1)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_inverse_undoes_forward(fitted: Whitening, dtype: torch.dtype, tolerance: float) -> None:
    y = drawn(200, seed=3).to(dtype)
    t, r = fitted(y)
    back, inside = fitted.inverse(t, r)
    assert t.dtype == r.dtype == back.dtype == dtype
    assert inside.all()
    difference = back - y
    difference[:, [2, 3]] = torch.remainder(difference[:, [2, 3]] + math.pi, 2 * math.pi) - math.pi
    assert difference.abs().max() < tolerance


def test_log_volume_is_that_of_autograd(fitted: Whitening) -> None:
    y = drawn(3, seed=4)
    for row in y:
        jacobian = torch.autograd.functional.jacobian(lambda v: torch.cat(fitted(v[None]), 1)[0], row)
        assert float(torch.linalg.slogdet(jacobian).logabsdet) == pytest.approx(fitted.log_volume, abs=1e-9)


def test_a_narrow_torsion_more_than_half_a_turn_away_is_marked(fitted: Whitening) -> None:
    t, r = fitted(drawn(3, seed=5))
    column = fitted.linear.tolist().index(3)
    direction = fitted.cholesky.inverse()[:, column]
    far = r + torch.tensor([0.0, 20.0, -20.0], dtype=r.dtype)[:, None] * direction
    assert fitted.inverse(t, far)[1].tolist() == [True, False, False]


def test_before_the_fit_it_only_stretches_angles() -> None:
    whitening = Whitening(5, CIRCULAR, PERIODS, NARROW)
    y = drawn(10)
    t, r = whitening(y)
    assert torch.allclose(t, y[:, CIRCULAR] * torch.tensor([1.0, 3.0], dtype=y.dtype))
    assert torch.allclose(r, y[:, [0, 1, 3]])
    assert whitening.log_volume == pytest.approx(math.log(3))


def test_a_constant_column_does_not_break_the_fit() -> None:
    y = drawn(50)
    y[:, 0] = 0.1
    t, r = Whitening(5, CIRCULAR, PERIODS, NARROW).fit(y)(y)
    assert torch.isfinite(r).all()
    assert torch.isfinite(t).all()


@pytest.mark.parametrize(("angles", "terms"), [(0, 1), (1, 7), (2, 17), (3, 31)])
def test_fourier_terms_are_counted_and_orthogonal(angles: int, terms: int) -> None:
    grid = torch.arange(16, dtype=torch.float64) * (2 * math.pi / 16)
    points = torch.cartesian_prod(*[grid] * angles).reshape(-1, angles) if angles else torch.zeros(4, 0).double()
    pairs = torch.triu_indices(angles, angles, 1).T
    values = fourier_terms(points, pairs)
    assert values.shape == (len(points), terms)
    gram = values.T @ values / len(points)
    assert (gram - gram.diagonal().diag()).abs().max() < 1e-12
    assert gram.diagonal().min() >= 0.25 - 1e-12
