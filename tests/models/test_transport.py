import numpy as np
import pytest

from molgen.models.transport import aligned, couple


def centred(rng: np.random.Generator, n: int, particles: int, dim: int) -> np.ndarray:
    x = rng.normal(size=(n, particles, dim))
    return x - x.mean(axis=1, keepdims=True)


def rotation(rng: np.random.Generator, dim: int) -> np.ndarray:
    matrix = np.linalg.qr(rng.normal(size=(dim, dim)))[0]
    matrix[0] *= np.sign(np.linalg.det(matrix))
    return matrix


def distances(x: np.ndarray) -> np.ndarray:
    """Sorted distances (n, N N) of all pairs: what rotation and permutation leave."""
    pairs = np.linalg.norm(x[:, :, None] - x[:, None], axis=-1)
    return np.sort(pairs.reshape(len(x), -1), axis=1)


@pytest.mark.parametrize("dim", [2, 3])
def test_a_turned_copy_is_turned_back(dim: int) -> None:
    rng = np.random.default_rng(1)
    fixed = centred(rng, 20, 6, dim)
    moved = np.stack([x @ rotation(rng, dim) for x in fixed])
    assert np.abs(aligned(moved, fixed, []) - fixed).max() < 1e-12


@pytest.mark.parametrize("dim", [2, 3])
def test_a_mirror_image_is_not_turned_over(dim: int) -> None:
    rng = np.random.default_rng(2)
    fixed = centred(rng, 20, 6, dim)
    mirrored = fixed * np.array([1.0] * (dim - 1) + [-1.0])
    turned = aligned(mirrored, fixed, [])
    assert ((turned - fixed) ** 2).sum(axis=(1, 2)).min() > 1e-3
    before, after = (np.linalg.det(x[:, 1 : dim + 1] - x[:, :1]) for x in (mirrored, turned))
    assert (np.sign(before) == np.sign(after)).all()


def test_particles_are_exchanged_within_their_groups_alone() -> None:
    rng = np.random.default_rng(3)
    fixed = centred(rng, 30, 6, 3)
    moving = fixed[:, [1, 2, 0, 5, 4, 3]]
    assert np.abs(aligned(moving, fixed, [(0, 1, 2), (3, 4, 5)]) - fixed).max() < 1e-12
    kept = aligned(moving, fixed, [(0, 1, 2)])
    own = np.linalg.norm(kept[:, 3:, None] - kept[:, None, 3:], axis=-1)
    assert np.allclose(own, np.linalg.norm(moving[:, 3:, None] - moving[:, None, 3:], axis=-1))


@pytest.mark.parametrize("block", [1, 4, 7])
def test_coupling_moves_noise_nearer_and_only_by_symmetry(block: int) -> None:
    rng = np.random.default_rng(4)
    noise, frames = centred(rng, 20, 5, 3), centred(rng, 20, 5, 3)
    coupled = couple(noise, frames, [tuple(range(5))], block)
    rows = np.lexsort(distances(noise).T), np.lexsort(distances(coupled).T)
    assert np.allclose(distances(noise)[rows[0]], distances(coupled)[rows[1]])
    assert ((coupled - frames) ** 2).sum() < 0.6 * ((noise - frames) ** 2).sum()


def test_larger_blocks_give_shorter_paths() -> None:
    rng = np.random.default_rng(5)
    noise, frames = centred(rng, 64, 4, 2), centred(rng, 64, 4, 2)
    costs = [((couple(noise, frames, [range(4)], block) - frames) ** 2).sum() for block in (1, 8, 64)]
    assert costs[0] > costs[1] > costs[2]
