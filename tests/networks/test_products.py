"""The closed form against e3nn's own tensor product, and the laws of both."""

import numpy as np
import pytest
import torch

from molgen.networks.products import ClosedFormProduct, E3nnProduct, EdgeProduct
from tests.molecules import random_rotations

C0, C1 = 6, 4


def inputs(n: int, particles: int, weights: int, dtype: torch.dtype, seed: int = 1) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    draw = [(C0, n, particles), (C1, n, 3, particles), (n, 3, particles), (weights, n, particles, particles)]
    s, v, x, w = (torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in draw)
    return s, v, x - x.mean(-1, keepdim=True), w


def inverse_distances(positions: torch.Tensor) -> torch.Tensor:
    distance = torch.linalg.vector_norm(positions[..., None] - positions[:, :, None], dim=1)
    return torch.where(distance > 0, 1.0 / distance, torch.zeros_like(distance))


def apply(product: EdgeProduct, s: torch.Tensor, v: torch.Tensor, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    scalars, vectors = product((s, v), x, inverse_distances(x), w)
    return torch.cat([scalars, vectors.transpose(1, 2).flatten(0, 1)])


@pytest.mark.parametrize("chiral", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_the_closed_form_is_e3nns_product(chiral: bool, dtype: torch.dtype, tolerance: float) -> None:
    closed, general = ClosedFormProduct(C0, C1, chiral=chiral), E3nnProduct(C0, C1, chiral=chiral).to(dtype)
    assert closed.weights == general.weights
    s, v, x, w = inputs(5, 9, closed.weights, dtype)
    a, b = apply(closed, s, v, x, w), apply(general, s, v, x, w)
    assert a.shape == b.shape
    assert (a - b).abs().max() < tolerance * b.abs().max()


@pytest.mark.parametrize("kind", [ClosedFormProduct, E3nnProduct])
@pytest.mark.parametrize("chiral", [True, False])
def test_rotation_translation_permutation_and_the_mirror(kind: type, chiral: bool) -> None:
    product = kind(C0, C1, chiral=chiral).double()
    s, v, x, w = inputs(4, 7, product.weights, torch.float64)
    scalars, vectors = product((s, v), x, inverse_distances(x), w)
    turn = torch.as_tensor(random_rotations(1, np.random.default_rng(2))[0])
    shifted = turn @ x + torch.tensor([[0.3], [-1.0], [2.0]], dtype=x.dtype)
    turned = product((s, turn @ v), shifted, inverse_distances(x), w)
    assert (turned[0] - scalars).abs().max() < 1e-9
    assert (turned[1] - turn @ vectors).abs().max() < 1e-9
    order = torch.randperm(7, generator=torch.Generator().manual_seed(3))
    edges = w[:, :, order][..., order]
    permuted = product((s[..., order], v[..., order]), x[..., order], inverse_distances(x[..., order]), edges)
    assert (permuted[0] - scalars[..., order]).abs().max() < 1e-9
    assert (permuted[1] - vectors[..., order]).abs().max() < 1e-9
    mirror = torch.tensor([[1.0], [1.0], [-1.0]], dtype=x.dtype)
    reflected = product((s, v * mirror), x * mirror, inverse_distances(x), w)
    assert (reflected[0] - scalars).abs().max() < 1e-9
    assert ((reflected[1] - vectors * mirror).abs().max() > 1e-3) == chiral


def test_particles_in_a_plane_stay_there_without_the_cross_product() -> None:
    product = ClosedFormProduct(C0, C1, chiral=False)
    s, v, x, w = inputs(3, 5, product.weights, torch.float64)
    v[..., 2, :] = x[..., 2, :] = 0.0
    assert product((s, v), x, inverse_distances(x), w)[1][..., 2, :].abs().max() == 0.0
