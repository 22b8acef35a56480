import math

import pytest
import torch
from torch import nn

from molgen.training.optimisation import Optimisation


def network() -> nn.Linear:
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.copy_(torch.arange(6.0).view(2, 3) / 7)
        model.bias.copy_(torch.tensor([0.5, -0.25]))
    return model


def advance(model: nn.Linear, optimisation: Optimisation, first: int, last: int) -> None:
    for k in range(first, last):
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(k))
        assert optimisation.step(model(x).square().mean(), 1.0 / (k + 1))


def test_a_saved_state_goes_on_bit_by_bit() -> None:
    whole, first, second = network(), network(), network()
    one = Optimisation(whole, rate=0.01, average=0.9)
    advance(whole, one, 0, 9)
    two = Optimisation(first, rate=0.01, average=0.9)
    advance(first, two, 0, 4)
    three = Optimisation(second, rate=0.01, average=0.9)
    three.load(two.state())
    advance(second, three, 4, 9)
    assert three.steps == one.steps == 9
    for a, b in zip(one.state().values(), three.state().values(), strict=True):
        assert torch.equal(a, b)


def test_the_average_is_the_stated_one() -> None:
    model = network()
    optimisation = Optimisation(model, rate=0.1, average=0.9)
    mean = model.bias.detach().clone()
    for n in range(1, 6):
        advance(model, optimisation, n - 1, n)
        decay = min(0.9, n / (n + 20))
        mean = decay * mean + (1 - decay) * model.bias.detach()
    torch.testing.assert_close(optimisation.mean()[1], mean)


def test_averaged_parameters_are_there_inside_the_block_only() -> None:
    model = network()
    optimisation = Optimisation(model, rate=0.1, average=0.9)
    advance(model, optimisation, 0, 3)
    before = model.weight.detach().clone()
    with pytest.raises(KeyError), optimisation.averaged():
        assert torch.equal(model.weight, optimisation.mean()[0])
        assert not torch.equal(model.weight, before)
        raise KeyError
    assert torch.equal(model.weight, before)
    optimisation.adopt()
    assert torch.equal(model.weight, optimisation.mean()[0])


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    model = network()
    optimisation = Optimisation(model, rate=0.1, average=0.9)
    before = {name: value.clone() for name, value in optimisation.state().items()}
    assert not optimisation.step(model(torch.ones(1, 3)).sum() * math.nan, 1.0)
    after = optimisation.state()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
