"""The Jacobian of networks with tensors against reverse mode."""

import pytest
import torch

from molgen.networks import forward_mode
from tests.networks.test_jacobian import automatic, check_derivative, inputs, network

CASES = {
    "four in a plane": (4, False, False, 0, 3),
    "molecule of nine": (9, True, True, 0, 3),
    "molecule without a hand": (9, True, False, 0, 3),
    "with conditions": (5, True, True, 2, 2),
    "one layer": (5, True, True, 0, 1),
    "two particles": (2, False, True, 0, 3),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_derivative(name: str) -> None:
    particles, molecule, chiral, conditions, layers = CASES[name]
    made = network(
        particles, molecule=molecule, chiral=chiral, conditions=conditions, layers=layers, tensors=4
    ).double()
    x, t, c = inputs(3, particles, conditions)
    if name == "four in a plane":
        x[..., 2] = 0.0
    found = check_derivative(made, x, t, c)
    assert found.view(3, particles, 3, -1).sum(1).abs().max() < 1e-10  # v has zero mean
    if name == "four in a plane":
        across = found.view(3, particles, 3, particles, 3)
        assert across[:, :, 2, :, :2].abs().max() < 1e-12  # moves in the plane leave the output there
        assert across[:, :, :2, :, 2].abs().max() < 1e-12


@pytest.mark.parametrize("piece", [6_000, 20_000])  # 6 and 20 pairs of a configuration and a direction
def test_pieces_of_the_batch_and_of_the_directions_change_nothing(monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    made = network(4, molecule=True, chiral=True, conditions=1, tensors=2).double()
    x, t, c = inputs(5, 4, 1)
    whole = made.with_jacobian(x, t, c)
    monkeypatch.setattr(forward_mode, "_PIECE", piece)
    pieces = made.with_jacobian(x, t, c)
    assert all((a - b).abs().max() < 1e-12 for a, b in zip(whole, pieces, strict=True))


def test_two_particles_far_beyond_reach() -> None:
    made = network(6, molecule=True, chiral=True, tensors=2).double()
    x, t, _ = inputs(2, 6)
    x[0, 0] += 80.0
    found = made.with_jacobian(x, t)[1]
    assert torch.isfinite(found).all()
    assert (found - automatic(made, x, t, None)).abs().max() < 1e-10


def test_an_empty_batch() -> None:
    v, found = network(4, molecule=False, chiral=False, tensors=2).with_jacobian(torch.zeros(0, 4, 3), torch.zeros(0))
    assert v.shape == (0, 4, 3)
    assert found.shape == (0, 12, 12)
