import math
from typing import Any

import pytest
import torch
import zuko

from molgen.models import rational_quadratic as rq

BINS, BOUND = 6, 3.0
PRECISIONS = [(torch.float64, 1e-10), (torch.float32, 1e-5)]


def drawn(n: int, width: int, dtype: torch.dtype, seed: int = 1) -> torch.Tensor:
    """Parameters (width, n)."""
    generator = torch.Generator().manual_seed(seed)
    return (1.5 * torch.randn(n, width, generator=generator, dtype=torch.float64)).to(dtype).t()


def points(n: int, bound: float, dtype: torch.dtype, seed: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return ((2 * torch.rand(n, generator=generator, dtype=torch.float64) - 1) * bound).to(dtype)


def knots(raw: torch.Tensor, bound: float) -> torch.Tensor:
    """Knots (..., K + 1) from -bound to bound: every bin has ``MIN_BIN`` of the whole, and its share of the rest."""
    shares = torch.softmax(raw, -1)
    sizes = shares * (1.0 - rq.MIN_BIN * raw.shape[-1]) + rq.MIN_BIN
    inner = torch.cumsum(sizes[..., :-1], -1) * (2.0 * bound) - bound
    ends = torch.full_like(raw[..., :1], bound)
    return torch.cat([-ends, inner, ends], -1)


def reference(parameters: torch.Tensor) -> Any:
    """zuko's transform with the knots and slopes of the same parameters, in float64 whatever they are."""
    raw_x, raw_y, raw_d = parameters.double().t().split([BINS, BINS, BINS - 1], -1)
    ones = torch.ones_like(raw_d[..., :1])
    transform = zuko.transforms.MonotonicRQSTransform(raw_x, raw_y, raw_d, bound=BOUND)
    transform.horizontal = knots(raw_x, BOUND)
    transform.vertical = knots(raw_y, BOUND)
    transform.derivatives = torch.cat([ones, rq._slopes(raw_d), ones], -1)
    return transform


def assert_inverse(
    values: torch.Tensor, back: torch.Tensor, forward: torch.Tensor, inverse: torch.Tensor, tolerance: float
) -> None:
    """``back`` equals ``values`` up to rounding, which a slope below 1 (here down to e^-11) magnifies."""
    condition = forward.exp().clamp_max(1.0)
    assert (condition * (back - values).abs()).max() < tolerance
    gentle = forward > -2.0
    assert gentle.sum() > 0.5 * len(values)
    assert (back - values)[gentle].abs().max() < 5 * tolerance
    assert (forward + inverse)[gentle].abs().max() < 200 * tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_agrees_with_zuko(dtype: torch.dtype, tolerance: float) -> None:
    parameters = drawn(500, 3 * BINS - 1, dtype)
    values = points(500, 1.3 * BOUND, dtype)
    transform = reference(parameters)
    expected, expected_log = transform.call_and_ladj(values.double())
    ours, log_derivative = rq.linear_tailed(values, parameters, BINS, BOUND, inverse=False)
    # A float32 slope of a narrow bin carries the rounding of its knots, divided by its width.
    steepness = expected_log.exp().clamp_min(1.0)  # which magnifies the rounding of the knots along x
    assert ((ours - expected).abs() / steepness).max() < tolerance
    assert (log_derivative - expected_log).abs().max() < 20 * tolerance
    back, _ = rq.linear_tailed(values, parameters, BINS, BOUND, inverse=True)
    assert (back - transform.inv(values.double())).abs().max() < 20 * tolerance


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_inverse_undoes_forward_with_the_opposite_log_derivative(dtype: torch.dtype, tolerance: float) -> None:
    values = points(500, 1.3 * BOUND, dtype)
    parameters = drawn(500, 3 * BINS - 1, dtype)
    moved, forward = rq.linear_tailed(values, parameters, BINS, BOUND, inverse=False)
    back, inverse = rq.linear_tailed(moved, parameters, BINS, BOUND, inverse=True)
    assert_inverse(values, back, forward, inverse, tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
def test_circular_inverse_undoes_forward(dtype: torch.dtype, tolerance: float) -> None:
    values = points(500, math.pi, dtype)
    parameters = drawn(500, 3 * BINS, dtype)
    moved, forward = rq.circular(values, parameters, BINS, inverse=False)
    back, inverse = rq.circular(moved, parameters, BINS, inverse=True)
    assert (moved.abs() <= math.pi + 1e-6).all()
    assert_inverse(values, back, forward, inverse, tolerance)


@pytest.mark.parametrize("inverse", [False, True])
def test_log_derivative_is_that_of_autograd(inverse: bool) -> None:
    values = points(200, 1.2 * BOUND, torch.float64).requires_grad_()
    parameters = drawn(200, 3 * BINS - 1, torch.float64)
    moved, log_derivative = rq.linear_tailed(values, parameters, BINS, BOUND, inverse=inverse)
    (slope,) = torch.autograd.grad(moved.sum(), values)
    assert (slope > 0).all()
    assert (slope.log() - log_derivative).abs().max() < 1e-9
    angles = points(200, math.pi, torch.float64).requires_grad_()
    moved, log_derivative = rq.circular(angles, drawn(200, 3 * BINS, torch.float64), BINS, inverse=inverse)
    (slope,) = torch.autograd.grad(moved.sum(), angles)
    assert (slope.log() - log_derivative).abs().max() < 1e-9


@pytest.mark.parametrize("inverse", [False, True])
def test_parameter_gradients_are_finite_inside_and_in_the_tails(inverse: bool) -> None:
    values = torch.tensor([-100.0, -BOUND, 0.0, 0.7, BOUND, 100.0])
    parameters = drawn(6, 3 * BINS - 1, torch.float32).requires_grad_()
    moved, log_derivative = rq.linear_tailed(values, parameters, BINS, BOUND, inverse=inverse)
    (gradient,) = torch.autograd.grad((moved + log_derivative).sum(), parameters)
    assert torch.isfinite(gradient).all()
    assert gradient[:, 3].abs().max() > 0
    assert gradient[:, [0, 5]].abs().max() == 0


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("bins", [1, 2, 6])
def test_parameter_gradients_are_those_of_finite_differences(bins: int, inverse: bool) -> None:
    values = points(20, BOUND, torch.float64)

    def tailed(parameters: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return rq.linear_tailed(values, parameters, bins, BOUND, inverse=inverse)

    def around(parameters: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return rq.circular(values, parameters, bins, inverse=inverse)

    for function, width in ((tailed, 3 * bins - 1), (around, 3 * bins)):
        assert torch.autograd.gradcheck(function, drawn(20, width, torch.float64).requires_grad_())


def test_a_second_derivative_is_refused() -> None:
    parameters = drawn(3, 3 * BINS - 1, torch.float64).requires_grad_()
    moved, _ = rq.linear_tailed(points(3, BOUND, torch.float64), parameters, BINS, BOUND, inverse=False)
    (gradient,) = torch.autograd.grad(moved.sum(), parameters, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_circular_density_is_periodic_and_normalised() -> None:
    parameters = drawn(5, 3 * BINS, torch.float64)
    ends = torch.full((5,), math.pi, dtype=torch.float64)
    at_start, left = rq.circular(-ends, parameters, BINS, inverse=False)
    at_end, right = rq.circular(ends, parameters, BINS, inverse=False)
    assert (at_start + ends).abs().max() < 1e-12
    assert (at_end - ends).abs().max() < 1e-12
    assert (left - right).abs().max() < 1e-9
    grid = torch.linspace(-math.pi, math.pi, 20001, dtype=torch.float64)
    _, log_density = rq.circular(grid, parameters[:, :1].expand(-1, len(grid)), BINS, inverse=False)
    assert abs(torch.trapezoid(log_density.exp(), grid) - 2 * math.pi) < 1e-4


def test_circular_slope_is_continuous_at_every_knot() -> None:
    parameters = drawn(1, 3 * BINS, torch.float64)
    inner = knots(parameters[:BINS, 0], math.pi)[1:-1]
    columns = parameters.expand(-1, len(inner))
    _, below = rq.circular(inner - 1e-12, columns, BINS, inverse=False)
    _, above = rq.circular(inner + 1e-12, columns, BINS, inverse=False)
    assert (below - above).abs().max() < 1e-5


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize("inverse", [False, True])
def test_parameters_of_zero_are_the_identity(dtype: torch.dtype, tolerance: float, inverse: bool) -> None:
    values = points(300, math.pi, dtype)
    moved, log_derivative = rq.circular(values, values.new_zeros(3 * BINS, 300), BINS, inverse=inverse)
    tailed, tailed_log = rq.linear_tailed(values, values.new_zeros(3 * BINS - 1, 300), BINS, BOUND, inverse=inverse)
    for result, logarithm in ((moved, log_derivative), (tailed, tailed_log)):
        assert (result - values).abs().max() < tolerance
        assert logarithm.abs().max() < tolerance


def test_no_bin_and_no_slope_vanishes_for_extreme_parameters() -> None:
    raw = torch.tensor([60.0, 0.0, -60.0, -60.0], dtype=torch.float64)
    for x in knots(raw, math.pi)[1:].tolist():
        values = torch.tensor([x - 1e-6], dtype=torch.float64)
        parameters = torch.cat([raw, raw, torch.full((4,), -60.0, dtype=torch.float64)])[:, None]
        moved, log_derivative = rq.circular(values, parameters, 4, inverse=False)
        assert torch.isfinite(moved).all()
        assert log_derivative >= math.log(rq.MIN_SLOPE) - 1e-9
    assert rq._slopes(raw).min() >= rq.MIN_SLOPE
