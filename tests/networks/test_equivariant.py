"""The laws of the equivariant network; its Jacobian has its own tests."""

import numpy as np
import pytest
import torch
from torch.autograd import forward_ad

from molgen.networks.equivariant import EquivariantNetwork, EquivariantSettings
from molgen.networks.tensor_layer import TensorLayer
from tests.molecules import random_rotations

KINDS = (0, 0, 1, 0, 1)
ALIKE = ((0,) * 5,) * 5
SMALL = EquivariantSettings(layers=2, scalars=8, vectors=4, radial=8, hidden=8)


TENSORS = pytest.mark.parametrize("tensors", [0, 3])


def network(
    chiral: bool = True,
    tensors: int = 0,
    kinds: tuple[int, ...] = KINDS,
    pairs: tuple[tuple[int, ...], ...] = ALIKE,
    conditions: int = 0,
) -> EquivariantNetwork:
    torch.manual_seed(1)
    settings = SMALL.model_copy(update={"chiral": chiral, "tensors": tensors})
    made = EquivariantNetwork(kinds, pairs, settings, conditions).double()
    torch.nn.init.normal_(made.readout.weight)
    made.fit(inputs(1)[0] + 0.05 * torch.randn(40, 5, 3, dtype=torch.float64))
    assert len(set(kinds)) == 1 or bool((made.edges.narrowness > 0.0).any())
    return made


def inputs(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return torch.randn(n, 5, 3, generator=generator, dtype=torch.float64), torch.linspace(0, 1, n, dtype=torch.float64)


@TENSORS
@pytest.mark.parametrize("chiral", [True, False])
def test_rotation_translation_permutation_and_mirror(chiral: bool, tensors: int) -> None:
    made = network(chiral, tensors)
    x, t = inputs()
    out = made(x, t)
    assert out.abs().max() > 1e-2
    assert out.mean(1).abs().max() < 1e-12
    turn = torch.as_tensor(random_rotations(1, np.random.default_rng(2))[0])
    moved = x @ turn.T + torch.tensor([5.0, -3.0, 1.0], dtype=x.dtype)
    assert (made(moved, t) - out @ turn.T).abs().max() < 1e-9
    order = torch.tensor([3, 0, 4, 1, 2])  # within a kind
    assert (made(x[:, order], t) - out[:, order]).abs().max() < 1e-9
    wrong = torch.tensor([2, 1, 0, 3, 4])
    assert (made(x[:, wrong], t) - out[:, wrong]).abs().max() > 1e-4
    mirror = torch.tensor([1.0, 1.0, -1.0], dtype=x.dtype)
    difference = (made(x * mirror, t) - out * mirror).abs().max()
    assert difference > 1e-4 if chiral else difference < 1e-9


@TENSORS
def test_identical_particles_may_all_be_exchanged(tensors: int) -> None:
    made = network(tensors=tensors, kinds=(0,) * 5)
    x, t = inputs()
    order = torch.randperm(5, generator=torch.Generator().manual_seed(1))
    assert (made(x[:, order], t) - made(x, t)[:, order]).abs().max() < 1e-9


@TENSORS
def test_pairs_tell_particles_of_one_kind_apart_and_are_kept_by_their_automorphisms(tensors: int) -> None:
    """A chain 0-1-2-3-4: reversing it keeps the bonds, a shift by one does not."""
    chain = tuple(tuple(int(abs(i - j) == 1) for j in range(5)) for i in range(5))
    made = network(tensors=tensors, kinds=(0,) * 5, pairs=chain)
    x, t = inputs()
    out = made(x, t)
    assert (made(x.flip(1), t) - out.flip(1)).abs().max() < 1e-9
    assert (made(x.roll(1, 1), t) - out.roll(1, 1)).abs().max() > 1e-4


@TENSORS
def test_particles_in_a_plane_stay_there_without_the_cross_product(tensors: int) -> None:
    x, t = inputs()
    x[..., 2] = 0.0
    assert network(chiral=False, tensors=tensors)(x, t)[..., 2].abs().max() == 0.0


@TENSORS
def test_the_batch_the_time_and_the_conditions_matter_as_they_should(tensors: int) -> None:
    made = network(tensors=tensors, conditions=2)
    x, t = inputs()
    condition = torch.randn(6, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    together = made(x, t, condition)
    alone = torch.cat([made(x[k : k + 1], t[k : k + 1], condition[k : k + 1]) for k in range(len(x))])
    assert (together - alone).abs().max() < 1e-12
    assert (made(x, t.flip(0), condition) - together).abs().max() > 1e-4
    for column in range(2):
        changed = condition.clone()
        changed[:, column] += 0.5
        assert (made(x, t, changed) - together).abs().flatten(1).amax(1).min() > 1e-5


@TENSORS
def test_the_scale_is_a_unit_of_length(tensors: int) -> None:
    made = network(tensors=tensors)
    x, t = inputs()
    before = made(x, t)
    made.scale.fill_(0.3)
    assert (made(0.3 * x, t) - before).abs().max() < 1e-10


@TENSORS
def test_it_starts_at_zero_and_derivatives_are_finite(tensors: int) -> None:
    torch.manual_seed(1)
    fresh = EquivariantNetwork(KINDS, ALIKE, SMALL.model_copy(update={"tensors": tensors})).double()
    x, t = inputs()
    assert fresh(x, t).abs().max() == 0.0
    made = network(tensors=tensors)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(made(x, t).square().sum(), x)
    assert torch.isfinite(gradient).all()
    with forward_ad.dual_level():
        moved = made(forward_ad.make_dual(x.detach(), torch.ones_like(x)), t)
        tangent = forward_ad.unpack_dual(moved).tangent
    assert tangent.abs().max() < 1e-9  # a translation changes nothing


@TENSORS
def test_every_parameter_that_can_matter_is_reached_by_gradients(tensors: int) -> None:
    """All but the rows of ``out_scalars`` in the last layer that would make scalars for a next one."""
    made = network(tensors=tensors, kinds=(0, 1, 0, 1, 0), conditions=1)
    x, t = inputs()
    made(x, t, t[:, None]).square().sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_tensors_matter() -> None:
    made = network(tensors=3)
    x, t = inputs()
    before = made(x, t)
    assert isinstance(made.layers[0], TensorLayer)
    assert made.layers[0].mix_tensors is not None
    torch.nn.init.zeros_(made.layers[0].mix_tensors.weight)
    assert (made(x, t) - before).abs().max() > 1e-3


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_networks_with_tensors_of_any_depth(layers: int) -> None:
    torch.manual_seed(1)
    made = EquivariantNetwork(KINDS, ALIKE, SMALL.model_copy(update={"tensors": 2, "layers": layers})).double()
    torch.nn.init.normal_(made.readout.weight)
    x, t = inputs()
    turn = torch.as_tensor(random_rotations(1, np.random.default_rng(2))[0])
    assert (made(x @ turn.T, t) - made(x, t) @ turn.T).abs().max() < 1e-9
