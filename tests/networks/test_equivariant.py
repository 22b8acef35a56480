import numpy as np
import pytest
import torch
from torch.autograd import forward_ad

from molgen.networks.equivariant import EquivariantNetwork, EquivariantSettings
from tests.molecules import random_rotations

KINDS = (0, 0, 1, 0, 1)
PAIRS = ((0,) * 5,) * 5
SMALL = EquivariantSettings(layers=2, scalars=8, vectors=4, radial=8, hidden=8)


def network(chiral: bool = True, seed: int = 1) -> EquivariantNetwork:
    torch.manual_seed(seed)
    made = EquivariantNetwork(KINDS, PAIRS, SMALL.model_copy(update={"chiral": chiral})).double()
    torch.nn.init.normal_(made.readout.weight)
    return made


def inputs(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return torch.randn(n, 5, 3, generator=generator, dtype=torch.float64), torch.linspace(0, 1, n, dtype=torch.float64)


@pytest.mark.parametrize("chiral", [True, False])
def test_rotation_translation_permutation_and_mirror(chiral: bool) -> None:
    made = network(chiral)
    x, t = inputs()
    out = made(x, t)
    assert out.abs().max() > 1e-3
    assert out.mean(1).abs().max() < 1e-12
    turn = torch.as_tensor(random_rotations(1, np.random.default_rng(2))[0])
    moved = x @ turn.T + torch.tensor([5.0, -3.0, 1.0], dtype=x.dtype)
    assert (made(moved, t) - out @ turn.T).abs().max() < 1e-9
    order = torch.tensor([3, 0, 4, 1, 2])  # within a kind
    assert (made(x[:, order], t) - out[:, order]).abs().max() < 1e-9
    wrong = torch.tensor([2, 1, 0, 3, 4])
    assert (made(x[:, wrong], t) - out[:, wrong]).abs().max() > 1e-4
    mirror = torch.tensor([1.0, 1.0, -1.0], dtype=x.dtype)
    assert ((made(x * mirror, t) - out * mirror).abs().max() > 1e-4) == chiral


def test_the_batch_and_the_time_matter_as_they_should() -> None:
    made = network()
    x, t = inputs()
    together = made(x, t)
    alone = torch.cat([made(x[k : k + 1], t[k : k + 1]) for k in range(len(x))])
    assert (together - alone).abs().max() < 1e-12
    assert (made(x, t.flip(0)) - together).abs().max() > 1e-4


def test_it_starts_at_zero_and_derivatives_are_finite() -> None:
    torch.manual_seed(1)
    fresh = EquivariantNetwork(KINDS, PAIRS, SMALL).double()
    x, t = inputs()
    assert fresh(x, t).abs().max() == 0.0
    made = network()
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(made(x, t).square().sum(), x)
    assert torch.isfinite(gradient).all()
    with forward_ad.dual_level():
        moved = made(forward_ad.make_dual(x.detach(), torch.ones_like(x)), t)
        tangent = forward_ad.unpack_dual(moved).tangent
    assert tangent.abs().max() < 1e-9  # a translation changes nothing
