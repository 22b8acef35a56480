"""The laws of the invariant network."""

import numpy as np
import pytest
import torch

from molgen.networks.equivariant import EquivariantSettings
from molgen.networks.invariant import PIECE, InvariantNetwork
from tests.molecules import random_rotations

KINDS = (0, 0, 1, 0, 1)
ALIKE = ((0,) * 5,) * 5
SMALL = EquivariantSettings(layers=3, scalars=8, vectors=4, radial=8, hidden=8)


def network(chiral: bool = True, tensors: int = 0) -> InvariantNetwork:
    torch.manual_seed(1)
    made = InvariantNetwork(KINDS, ALIKE, SMALL.model_copy(update={"chiral": chiral, "tensors": tensors})).double()
    torch.nn.init.normal_(made.readout.weight)
    return made


def inputs(n: int = 6) -> torch.Tensor:
    return torch.randn(n, 5, 3, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


@pytest.mark.parametrize("tensors", [0, 3])
@pytest.mark.parametrize("chiral", [True, False])
def test_rotation_translation_permutation_and_mirror(chiral: bool, tensors: int) -> None:
    made, x = network(chiral, tensors), inputs()
    out = made(x)
    assert out.shape == (6,)
    assert out.std() > 1e-2
    turn = torch.as_tensor(random_rotations(1, np.random.default_rng(2))[0])
    assert (made(x @ turn.T + torch.tensor([5.0, -3.0, 1.0], dtype=x.dtype)) - out).abs().max() < 1e-9
    assert (made(x[:, [3, 0, 4, 1, 2]]) - out).abs().max() < 1e-9  # within a kind
    assert (made(x[:, [2, 1, 0, 3, 4]]) - out).abs().max() > 1e-4
    difference = (made(x * torch.tensor([1.0, 1.0, -1.0], dtype=x.dtype)) - out).abs().max()
    assert difference > 1e-5 if chiral else difference < 1e-9


def test_pieces_and_gradients_are_those_of_the_whole() -> None:
    made, x = network(), inputs(PIECE + 3).requires_grad_()
    out = made(x)
    assert (out.detach() - torch.cat([made(row).detach() for row in x.split(1)])).abs().max() < 1e-12
    (slope,) = torch.autograd.grad(out.sum(), x)
    with torch.no_grad():
        step = 1e-5 * torch.randn(x.shape, generator=torch.Generator().manual_seed(5), dtype=x.dtype)
        change = (made(x + step) - made(x - step)) / 2.0
    assert torch.allclose((slope * step).sum((1, 2)), change, rtol=1e-5, atol=1e-10)


def test_it_starts_at_zero() -> None:
    assert InvariantNetwork(KINDS, ALIKE, SMALL)(inputs().float()).abs().max() == 0.0
