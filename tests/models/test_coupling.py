import math

import pytest
import torch

from molgen.models.coupling import LOG_SCALE_LIMIT, Coupling, alternating_halves


def made(bins: int, active: list[int], passive: list[int]) -> Coupling:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        coupling = Coupling(
            torch.tensor(active, dtype=torch.long), torch.tensor(passive, dtype=torch.long), 2, 16, bins, 4.0
        )
        with torch.no_grad():
            for parameter in coupling.parameters():
                parameter.add_(0.2 * torch.randn(parameter.shape))
    return coupling.requires_grad_(False).double()


def inputs(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return (
        2 * torch.randn(n, 5, generator=generator, dtype=torch.float64),
        torch.randn(n, 2, generator=generator, dtype=torch.float64),
    )


@pytest.mark.parametrize("bins", [0, 1, 5])
def test_inverse_undoes_forward_and_leaves_the_passive_columns(bins: int) -> None:
    coupling = made(bins, [0, 3, 4], [1, 2])
    r, context = inputs(300)
    moved, forward = coupling(r, context)
    back, inverse = coupling.inverse(moved, context)
    assert torch.equal(moved[:, [1, 2]], r[:, [1, 2]])
    assert (moved - r)[:, [0, 3, 4]].abs().max() > 0.1
    assert (back - r).abs().max() < 1e-9
    assert (forward + inverse).abs().max() < 1e-9


@pytest.mark.parametrize("bins", [0, 1, 5])
def test_log_derivative_is_that_of_autograd(bins: int) -> None:
    coupling = made(bins, [0, 3, 4], [1, 2])
    for row, context in zip(*inputs(4), strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda v, c=context: coupling(v[None], c[None])[0][0], row)
        expected = torch.linalg.slogdet(jacobian).logabsdet
        assert abs(float(coupling(row[None], context[None])[1] - expected)) < 1e-10


def test_one_column_moves_by_the_context_alone() -> None:
    coupling = made(3, [0], [])
    r, context = inputs(10)
    moved, _ = coupling(r[:, :1], context)
    assert (coupling.inverse(moved, context)[0] - r[:, :1]).abs().max() < 1e-10


def test_the_scale_is_bounded_whatever_the_network_says() -> None:
    coupling = made(0, [0, 3, 4], [1, 2])
    with torch.no_grad():
        coupling.conditioner.layers[-1].bias.fill_(1e6)
    r, context = inputs(10)
    _, log_derivative = coupling(r, context)
    assert (log_derivative.abs() <= 3 * LOG_SCALE_LIMIT * (1 + 1e-12)).all()


@pytest.mark.parametrize(("columns", "layers"), [(1, 4), (2, 4), (5, 2), (5, 5), (55, 4)])
def test_halves_cover_every_column_in_two_layers(columns: int, layers: int) -> None:
    pairs = alternating_halves(columns, layers, torch.Generator().manual_seed(0))
    assert len(pairs) == layers
    for active, passive in pairs:
        assert sorted([*active.tolist(), *passive.tolist()]) == list(range(columns))
        assert len(active) >= max(1, math.floor(columns / 2))
    for (first, _), (second, _) in zip(pairs[::2], pairs[1::2], strict=False):
        assert {*first.tolist(), *second.tolist()} == set(range(columns))


def test_no_column_makes_empty_halves() -> None:
    pairs = alternating_halves(0, 2, torch.Generator().manual_seed(0))
    assert [len(half) for pair in pairs for half in pair] == [0, 0, 0, 0]


def test_no_row_and_no_column_are_no_error() -> None:
    coupling = made(3, [0, 3, 4], [1, 2])
    r, context = inputs(0)
    for moved, log_derivative in (coupling(r, context), coupling.inverse(r, context)):
        assert (moved.shape, log_derivative.shape) == ((0, 5), (0,))
    with pytest.warns(UserWarning, match="zero-element"):
        hollow = made(3, [], [])
    rows, context = inputs(4)
    assert hollow(rows[:, :0], context)[1].tolist() == [0.0] * 4
