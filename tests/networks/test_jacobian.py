"""The structured Jacobian against automatic differentiation."""

import copy

import pytest
import torch

from molgen.networks import jacobian
from molgen.networks.equivariant import EquivariantNetwork, EquivariantSettings

MEDIUM = EquivariantSettings(scalars=12, vectors=6, radial=10, hidden=12)


def network(
    particles: int, *, molecule: bool, chiral: bool, conditions: int = 0, layers: int = 3, tensors: int = 0
) -> EquivariantNetwork:
    torch.manual_seed(3)
    kinds = tuple(k if molecule else 0 for k in range(particles))
    pairs = tuple(tuple(min(abs(i - j), 4) if molecule else 0 for j in range(particles)) for i in range(particles))
    settings = MEDIUM.model_copy(update={"chiral": chiral, "layers": layers, "tensors": tensors})
    made = EquivariantNetwork(kinds, pairs, settings, conditions)
    torch.nn.init.normal_(made.readout.weight)
    made.scale.fill_(0.6)
    if molecule:
        made.fit(nearly_rigid(particles))
        assert bool((made.edges.narrowness > 0.0).any())
    return made


def nearly_rigid(particles: int) -> torch.Tensor:
    """Frames (40, N, 3) whose distances vary little, most of all those near to where :func:`inputs` begins."""
    generator = torch.Generator().manual_seed(5)
    return inputs(1, particles)[0] + 0.05 * torch.randn(40, particles, 3, generator=generator, dtype=torch.float64)


def inputs(n: int, particles: int, conditions: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(n, particles, 3, generator=generator, dtype=torch.float64)
    condition = torch.randn(n, conditions, generator=generator, dtype=torch.float64) if conditions else None
    return x, torch.rand(n, generator=generator, dtype=torch.float64), condition


def automatic(made: EquivariantNetwork, x: torch.Tensor, t: torch.Tensor, c: torch.Tensor | None) -> torch.Tensor:
    """Reverse mode, one row at a time: (n, 3N, 3N)."""
    x = x.clone().requires_grad_()
    v = made(x, t, c).flatten(1)
    rows = [torch.autograd.grad(v[:, k].sum(), x, retain_graph=True)[0].flatten(1) for k in range(v.shape[1])]
    return torch.stack(rows, 1)


def check_derivative(
    made: EquivariantNetwork, x: torch.Tensor, t: torch.Tensor, c: torch.Tensor | None
) -> torch.Tensor:
    """The Jacobian of a network in float64, which is looked at: the derivative, in float32 as well, no gradients."""
    v, found = made.with_jacobian(x, t, c)
    expected = automatic(made, x, t, c)
    assert found.shape == (len(x), 3 * x.shape[1], 3 * x.shape[1])
    assert expected.abs().max() > 1e-2
    assert not v.requires_grad
    assert not found.requires_grad
    assert (v - made(x, t, c)).abs().max() < 1e-12
    assert (found - expected).abs().max() < 1e-10
    single = copy.deepcopy(made).float()
    v32, found32 = single.with_jacobian(x.float(), t.float(), None if c is None else c.float())
    assert found32.dtype == torch.float32
    assert (v32 - v).abs().max() < 1e-5 * v.abs().max()
    assert (found32 - expected).abs().max() < 1e-5 * expected.abs().max()
    return found


CASES = {
    "four in a plane": (4, False, False, 0, 3),
    "thirteen alike": (13, False, False, 0, 3),
    "molecule of 22": (22, True, True, 0, 3),
    "molecule of 22 without a hand": (22, True, False, 0, 3),
    "with conditions": (7, True, True, 2, 3),
    "one layer": (5, True, True, 0, 1),
    "two layers": (5, True, True, 0, 2),
    "two particles": (2, False, True, 0, 3),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_derivative(name: str) -> None:
    particles, molecule, chiral, conditions, layers = CASES[name]
    made = network(particles, molecule=molecule, chiral=chiral, conditions=conditions, layers=layers).double()
    x, t, c = inputs(3, particles, conditions)
    if name == "four in a plane":
        x[..., 2] = 0.0
    check_derivative(made, x, t, c)


def test_two_particles_far_beyond_reach() -> None:
    made = network(6, molecule=True, chiral=True).double()
    x, t, _ = inputs(2, 6)
    x[0, 0] += 80.0
    x[1, 2:4] -= 200.0
    found = made.with_jacobian(x, t)[1]
    assert torch.isfinite(found).all()
    assert (found - automatic(made, x, t, None)).abs().max() < 1e-10


def test_pieces_of_the_batch_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = network(5, molecule=True, chiral=True, conditions=1).double()
    x, t, c = inputs(7, 5, 1)
    whole = made.with_jacobian(x, t, c)
    monkeypatch.setattr(jacobian, "_PIECE", 3 * 9 * 25 * MEDIUM.vectors)
    pieces = made.with_jacobian(x, t, c)
    assert all((a - b).abs().max() < 1e-12 for a, b in zip(whole, pieces, strict=True))


def test_translations_rotations_and_no_gradients() -> None:
    """dv/dx times a translation is 0; times a small rotation it is the rotation of v."""
    made = network(6, molecule=True, chiral=True).double()
    x, t, _ = inputs(2, 6)
    v, found = made.with_jacobian(x, t)
    assert not v.requires_grad
    assert not found.requires_grad
    shift = torch.tensor([1.0, 2.0, -1.0], dtype=x.dtype).repeat(6)
    assert (found @ shift).abs().max() < 1e-10
    axis = torch.tensor([0.3, -0.5, 0.8], dtype=x.dtype).expand_as(x)
    turned = (found @ torch.linalg.cross(axis, x).flatten(1)[..., None])[..., 0]
    assert (turned - torch.linalg.cross(axis, v).flatten(1)).abs().max() < 1e-9
    assert found.view(2, 6, 3, 18).sum(1).abs().max() < 1e-10  # v has zero mean


def test_an_empty_batch() -> None:
    made = network(4, molecule=False, chiral=False)
    v, found = made.with_jacobian(torch.zeros(0, 4, 3), torch.zeros(0))
    assert v.shape == (0, 4, 3)
    assert found.shape == (0, 12, 12)
