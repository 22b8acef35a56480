import math

import torch

from molgen.networks.conditioner import AutoregressiveConditioner, Conditioner, TorsionFeatures


def perturbed(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module.double()


def test_conditioners_start_at_zero_and_pass_gradients_to_their_last_layer() -> None:
    features = torch.randn(7, 4, generator=torch.Generator().manual_seed(1))
    plain, chain = Conditioner(4, 8, 3), AutoregressiveConditioner(4, 8, 3, 2)
    for result in (plain(features, columns=1, width=3), chain(features)):
        assert result.abs().max() == 0
        result.sum().backward()
    assert plain.layers[-1].weight.grad.abs().max() > 0
    # The first angle sees no feature; its last layer must learn nevertheless.
    assert chain.last.grad.abs().amax((1, 2)).min() > 0


def test_no_feature_gives_constants() -> None:
    result = perturbed(Conditioner(0, 8, 3))(torch.zeros(5, 0, dtype=torch.float64), columns=1, width=3)
    assert result.shape == (3, 1, 5)
    assert (result - result[..., :1]).abs().max() < 1e-14
    assert result.abs().max() > 0


def test_parameters_of_a_column_come_from_its_own_rows_of_the_last_layer() -> None:
    module = perturbed(Conditioner(4, 8, 6))
    assert isinstance(module, Conditioner)
    features = torch.randn(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    result = module(features, columns=2, width=3)
    plain = module.layers(features)
    for column in range(2):
        assert (result[:, column].t() - plain[:, 3 * column : 3 * column + 3]).abs().max() < 1e-12


def test_torsion_features_are_the_cosines_and_sines() -> None:
    angles = torch.tensor([[0.3, -2.0]], dtype=torch.float64)
    features = TorsionFeatures(2)(angles)
    expected = [f(k * a) for f in (math.cos, math.sin) for k in (1, 2) for a in (0.3, -2.0)]
    assert torch.allclose(features[0], torch.tensor(expected, dtype=torch.float64))
    assert torch.allclose(TorsionFeatures(2)(angles + 2 * math.pi), features)


def test_each_angle_depends_on_those_before_it_and_no_other() -> None:
    module = perturbed(AutoregressiveConditioner(4, 8, 3, 2))
    angles = torch.randn(1, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(module, angles)[:, :, 0, 0, :]
    dependence = jacobian.abs().amax(0)
    assert dependence.triu().abs().max() == 0
    assert dependence[torch.ones(4, 4).tril(-1).bool()].min() > 0


def test_one_column_alone_equals_the_batched_evaluation() -> None:
    module = perturbed(AutoregressiveConditioner(4, 8, 3, 2))
    assert isinstance(module, AutoregressiveConditioner)
    angles = torch.randn(6, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    together = module(angles)
    for k in range(4):
        alone = module.column(list(angles.unbind(1)), k, angles[:, 0])
        assert (alone - together[:, k]).abs().max() < 1e-12
