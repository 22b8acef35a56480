import math

import pytest
import torch

from molgen.models.runge_kutta import TABLEAUX, inverse_step, newton_inverse_step, step, step_with_determinant

A = torch.tensor([[0.3, -1.1, 0.2], [0.7, -0.4, 0.0], [0.1, 0.5, 0.2]], dtype=torch.float64)


def linear(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return x @ A.T * (1.0 + t[:, None])


def curved(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return torch.sin(x.roll(1, 1) * (1.0 + t[:, None])) - 0.3 * x**2


def with_jacobian(field):  # type: ignore[no-untyped-def]
    def both(x: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rows = [
            torch.autograd.functional.jacobian(lambda y, s=s: field(y[None], s[None])[0], row)
            for row, s in zip(x, t, strict=True)
        ]
        return field(x, t), torch.stack(rows)

    return both


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize(("scheme", "order"), [("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4)])
def test_the_error_falls_with_the_order_of_the_scheme(scheme: str, order: int, x: torch.Tensor) -> None:
    growth = torch.linalg.matrix_exp(1.5 * A)  # the integral of 1 + t from 0 to 1 is 1.5
    errors = []
    for steps in (16, 32):
        y = x
        for k in range(steps):
            y = step(linear, y, k / steps, 1.0 / steps, TABLEAUX[scheme])
        errors.append(float((y - x @ growth.T).abs().max()))
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.2)


@pytest.mark.parametrize("scheme", sorted(TABLEAUX))
@pytest.mark.parametrize("field", [linear, curved])
def test_the_determinant_is_that_of_the_step(scheme: str, field, x: torch.Tensor) -> None:  # type: ignore[no-untyped-def]
    tableau = TABLEAUX[scheme]
    y, log_determinant = step_with_determinant(with_jacobian(field), x, 0.2, 0.3, tableau)
    assert torch.equal(y, step(field, x, 0.2, 0.3, tableau))
    for row, value in zip(x, log_determinant, strict=True):
        brute = torch.autograd.functional.jacobian(lambda z: step(field, z[None], 0.2, 0.3, tableau)[0], row)
        assert float(value) == pytest.approx(float(torch.linalg.slogdet(brute).logabsdet), abs=1e-12)


@pytest.mark.parametrize("scheme", sorted(TABLEAUX))
def test_steps_are_inverted(scheme: str, x: torch.Tensor) -> None:
    y = step(curved, x, 0.2, 0.3, TABLEAUX[scheme])
    back, found = inverse_step(curved, y, 0.2, 0.3, TABLEAUX[scheme], tolerance=1e-12)
    assert found.all()
    assert (back - x).abs().max() < 1e-11


def test_a_step_that_turns_space_over_has_no_density(x: torch.Tensor) -> None:
    def field(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return -2.0 * x * torch.tensor([1.0, 0.1, 0.1], dtype=x.dtype)

    _, log_determinant = step_with_determinant(with_jacobian(field), x, 0.0, 1.0, TABLEAUX["euler"])
    assert torch.isnan(log_determinant).all()


def test_a_row_that_cannot_be_inverted_says_so_and_leaves_the_others_alone(x: torch.Tensor) -> None:
    y = step(curved, x, 0.0, 0.3, TABLEAUX["rk4"])
    y[2] = torch.nan
    back, found = inverse_step(curved, y, 0.0, 0.3, TABLEAUX["rk4"], tolerance=1e-12)
    assert found.tolist() == [True, True, False, True, True]
    assert (back - x)[found].abs().max() < 1e-11


def steep(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    return 6.0 * torch.tanh(x.roll(1, 1)) + 4.0 * x


def test_newton_inverts_steps_whose_fixed_point_repels(x: torch.Tensor) -> None:
    y = step(steep, x, 0.0, 0.3, TABLEAUX["midpoint"])
    _, found = inverse_step(steep, y, 0.0, 0.3, TABLEAUX["midpoint"], tolerance=1e-12)
    assert not found.all()
    y[1] = torch.nan
    back, found = newton_inverse_step(with_jacobian(steep), y, 0.0, 0.3, TABLEAUX["midpoint"], tolerance=1e-11)
    assert found.tolist() == [True, False, True, True, True]
    assert (back - x)[found].abs().max() < 1e-10


def test_newton_finds_no_point_where_the_step_turns_space_over() -> None:
    def parabola(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return x**2  # one step of length 1: x + x², at least -1/4, from x < -1/2 turned over

    y = torch.tensor([[2.0], [-1.0]], dtype=torch.float64)
    back, found = newton_inverse_step(with_jacobian(parabola), y, 0.0, 1.0, TABLEAUX["euler"], tolerance=1e-12)
    assert found.tolist() == [True, False]
    assert float(back[0, 0]) == pytest.approx(1.0, abs=1e-12)
