import numpy as np
import torch

from molgen.energies.autograd import reduced_energy
from molgen.energies.factory import open_energy
from molgen.systems.loading import load_system


def test_backward_gives_the_forces_at_one_evaluation_a_frame() -> None:
    system = load_system("alanine-dipeptide")
    energy = open_energy(system, platform="Reference")
    frames = np.stack([system.positions, system.positions * 1.001])
    expected, gradient = energy.reduced_and_gradient(frames, purpose="data")
    positions = torch.tensor(frames, requires_grad=True)
    u = reduced_energy(energy, positions, "training")
    (u * torch.tensor([1.0, 3.0])).sum().backward()
    np.testing.assert_array_equal(u.detach().numpy(), expected)
    assert positions.grad is not None
    np.testing.assert_allclose(positions.grad.numpy(), gradient * np.array([1.0, 3.0])[:, None, None])
    assert energy.counter.training == 2


def test_gradcheck_on_an_analytic_energy() -> None:
    energy = open_energy(load_system("muller-brown"))
    points = torch.tensor([[[-0.5, 1.4]], [[0.6, 0.0]]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: reduced_energy(energy, x, "training"), (points,))


def test_a_frame_without_energy_is_infinite_with_zero_gradient_and_dtype_is_kept() -> None:
    energy = open_energy(load_system("double-well"))
    points = torch.tensor([[[0.3]], [[float("nan")]]], dtype=torch.float32, requires_grad=True)
    u = reduced_energy(energy, points, "training")
    assert u.dtype == torch.float32
    assert torch.isposinf(u[1])
    u.square().sum().backward()
    assert points.grad is not None
    assert points.grad[1] == 0
    assert points.grad[0] != 0
