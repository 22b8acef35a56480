"""What edges know of their lengths."""

import torch

from molgen.networks.edges import EdgeFeatures


def _lengths(n: int = 2000) -> torch.Tensor:
    """Lengths of three pairs: (0, 1) and (0, 2) narrow and of one class, (1, 2) wide."""
    generator = torch.Generator().manual_seed(1)
    draws = torch.randn((n, 3), generator=generator, dtype=torch.float64)
    distance = torch.ones((n, 3, 3), dtype=torch.float64)
    for k, (pair, mean, spread) in enumerate([((0, 1), 0.5, 0.02), ((0, 2), 0.52, 0.02), ((1, 2), 2.0, 0.6)]):
        value = mean + spread * draws[:, k]
        distance[:, pair[0], pair[1]] = value
        distance[:, pair[1], pair[0]] = value
    return distance


CLASSES = torch.tensor([[0, 1, 1], [1, 0, 2], [1, 2, 0]])


def _fitted() -> EdgeFeatures:
    edges = EdgeFeatures(3, 12, 6.0, 3).double()
    edges.fit(_lengths(), CLASSES)
    return edges


def test_a_class_shares_its_mean_and_spread() -> None:
    edges = _fitted()
    assert torch.equal(edges.mean, edges.mean.T)
    assert edges.mean[0, 1] == edges.mean[0, 2]
    # Two means 0.02 apart about their middle add 0.01 to a spread of 0.02, in squares.
    torch.testing.assert_close(float(edges.mean[0, 1]), 0.51, atol=1e-3, rtol=0.0)
    torch.testing.assert_close(1.0 / float(edges.narrowness[0, 1]), (0.02**2 + 0.01**2) ** 0.5, atol=1e-3, rtol=0.0)


def test_wide_lengths_and_the_diagonal_have_no_fine_numbers() -> None:
    edges = _fitted()
    values = edges(_lengths(5))
    assert torch.equal(values[12:, :, 1, 2], torch.zeros(3, 5, dtype=torch.float64))
    assert torch.equal(values[12:].diagonal(dim1=2, dim2=3), torch.zeros(3, 5, 3, dtype=torch.float64))
    assert bool((values[12:, :, 0, 1] != 0.0).all())


def test_a_deviation_of_one_spread_is_a_number_of_order_one() -> None:
    edges = _fitted()
    spread = 1.0 / edges.narrowness[0, 1]
    distance = torch.ones((1, 3, 3), dtype=torch.float64)
    distance[0, 0, 1] = edges.mean[0, 1] + spread
    expected = torch.tensor([1.0, 1.0 / 3.0, 1.0 / 9.0], dtype=torch.float64)
    torch.testing.assert_close(edges(distance)[12:, 0, 0, 1], expected / (1.0 + expected.square()).sqrt())


def test_slopes_are_those_of_automatic_differentiation() -> None:
    edges = _fitted()
    distance = _lengths(4).requires_grad_()
    values, slopes = edges.with_slopes(distance)
    torch.testing.assert_close(values, edges(distance), atol=1e-14, rtol=0.0)
    for k in range(edges.count):
        (expected,) = torch.autograd.grad(values[k].sum(), distance, retain_graph=True)
        torch.testing.assert_close(slopes[k], expected, atol=1e-10, rtol=1e-10)


def test_without_fine_numbers_there_are_gaussians_only_and_no_buffers() -> None:
    edges = EdgeFeatures(3, 12, 6.0, 0).double()
    assert edges.count == 12
    assert len(edges(_lengths(2))) == 12
    assert not dict(edges.named_buffers())
