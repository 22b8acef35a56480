"""Messages up to l = 2 in closed form against e3nn's own tensor product, and the laws of both."""

import numpy as np
import pytest
import torch

from molgen.networks.tensors import (
    ClosedFormTensorProduct,
    E3nnTensorProduct,
    TensorFeatures,
    applied,
    outer,
    rows,
    turned,
)
from tests.molecules import random_rotations
from tests.networks.test_products import inverse_distances

C0, C1, C2 = 6, 4, 3


def inputs(n: int, particles: int, weights: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    shapes = [(C0, n, particles), (C1, n, 3, particles), (C2, n, 5, particles), (n, 3, particles)]
    shapes.append((weights, n, particles, particles))
    s, v, t, x, w = (torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in shapes)
    return s, v, t, x - x.mean(-1, keepdim=True), w


def joined(features: TensorFeatures) -> torch.Tensor:
    scalars, vectors, tensors = features
    return torch.cat([scalars, vectors.transpose(1, 2).flatten(0, 1), tensors.transpose(1, 2).flatten(0, 1)])


def matrix(tensors: torch.Tensor) -> torch.Tensor:
    """M (C, n, N, 3, 3)."""
    xx, yy, zz, xy, xz, yz = rows(tensors)
    return torch.stack([torch.stack(row, -1) for row in ((xx, xy, xz), (xy, yy, yz), (xz, yz, zz))], -2)


def of_second_order(rotation: torch.Tensor, tensors: torch.Tensor) -> torch.Tensor:
    """Tensors of the turned matrices R M R^T."""
    basis = matrix(torch.eye(5, dtype=tensors.dtype)[None, None])[0, 0]
    turning: torch.Tensor = torch.einsum("ail,ij,bjk,lk->ab", basis, rotation, basis, rotation)
    return turning @ tensors


@pytest.mark.parametrize("chiral", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_the_closed_form_is_e3nns_product(chiral: bool, dtype: torch.dtype, tolerance: float) -> None:
    """Every path on its own, so that a large one hides no small one, and all at once."""
    closed = ClosedFormTensorProduct(C0, C1, C2, chiral=chiral)
    general = E3nnTensorProduct(C0, C1, C2, chiral=chiral).to(dtype)
    assert closed.weights == general.weights
    s, v, t, x, w = inputs(5, 9, closed.weights, dtype)
    inverse = inverse_distances(x)
    for first in (*range(0, closed.weights, 3), None):
        part = w if first is None else torch.zeros_like(w)
        if first is not None:
            part[first : first + 3] = w[first : first + 3]
        a, b = joined(closed((s, v, t), x, inverse, part)), joined(general((s, v, t), x, inverse, part))
        assert a.shape == b.shape
        assert b.abs().max() > 0.1
        assert (a - b).abs().max() < tolerance * b.abs().max()


def test_matrices_are_symmetric_traceless_and_do_what_they_should() -> None:
    _, v, t, x, _ = inputs(2, 4, 1)
    found = matrix(t)
    assert torch.equal(found, found.transpose(-1, -2))
    assert found.diagonal(dim1=-2, dim2=-1).sum(-1).abs().max() < 1e-12
    assert (found.square().sum((-1, -2)) - t.square().sum(2)).abs().max() < 1e-12
    columns = x[None].transpose(2, 3)[..., None]
    assert ((found @ columns)[..., 0].transpose(2, 3) - applied(t, x[None])).abs().max() < 1e-12
    product = v.transpose(2, 3)[..., None] * columns.transpose(-1, -2)
    product = 0.5 * (product + product.transpose(-1, -2))
    trace = product.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    assert (matrix(outer(v, x[None])) - product + trace * torch.eye(3) / 3.0).abs().max() < 1e-12
    k = torch.linalg.cross(columns.transpose(-1, -2), torch.eye(3, dtype=x.dtype).expand(1, 2, 4, 3, 3)).transpose(
        -1, -2
    )
    assert (2.0 * matrix(turned(t, x[None])) - (k @ found - found @ k)).abs().max() < 1e-12


@pytest.mark.parametrize("kind", [ClosedFormTensorProduct, E3nnTensorProduct])
@pytest.mark.parametrize("chiral", [True, False])
def test_rotation_translation_permutation_and_the_mirror(kind: type, chiral: bool) -> None:
    product = kind(C0, C1, C2, chiral=chiral).double()
    s, v, t, x, w = inputs(4, 7, product.weights)
    scalars, vectors, tensors = product((s, v, t), x, inverse_distances(x), w)
    turn = torch.as_tensor(random_rotations(1, np.random.default_rng(2))[0])
    shifted = turn @ x + torch.tensor([[0.3], [-1.0], [2.0]], dtype=x.dtype)
    moved = product((s, turn @ v, of_second_order(turn, t)), shifted, inverse_distances(x), w)
    assert (moved[0] - scalars).abs().max() < 1e-9
    assert (moved[1] - turn @ vectors).abs().max() < 1e-9
    assert (moved[2] - of_second_order(turn, tensors)).abs().max() < 1e-9
    order = torch.randperm(7, generator=torch.Generator().manual_seed(3))
    edges = w[:, :, order][..., order]
    features = (s[..., order], v[..., order], t[..., order])
    permuted = product(features, x[..., order], inverse_distances(x[..., order]), edges)
    for one, other in zip(permuted, (scalars, vectors, tensors), strict=True):
        assert (one - other[..., order]).abs().max() < 1e-9
    mirror = torch.tensor([[1.0], [1.0], [-1.0]], dtype=x.dtype)
    flips = torch.tensor([[-1.0], [1.0], [1.0], [-1.0], [1.0]], dtype=x.dtype)  # xz and yz
    reflected = product((s, v * mirror, t * flips), x * mirror, inverse_distances(x), w)
    assert (reflected[0] - scalars).abs().max() < 1e-9
    assert ((reflected[1] - vectors * mirror).abs().max() > 1e-3) == chiral
    assert ((reflected[2] - tensors * flips).abs().max() > 1e-3) == chiral


def test_a_final_product_is_the_same_without_tensors() -> None:
    whole, final = ClosedFormTensorProduct(C0, C1, C2), ClosedFormTensorProduct(C0, C1, C2, final=True)
    s, v, t, x, w = inputs(2, 5, whole.weights)
    plain, once, twice = torch.split(w, list(whole.counts))
    counts = final.counts
    kept = torch.cat([plain[: counts.plain], once[: counts.once], twice[: counts.twice]])
    expected, found = whole((s, v, t), x, inverse_distances(x), w), final((s, v, t), x, inverse_distances(x), kept)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert found[2].shape == (0, 2, 5, 5)
