"""The balance heuristic on Gaussians, and which samples hang together."""

import numpy as np
import pytest

from molgen.reweighting.mixture import (
    components,
    log_mixture,
    overlap_matrix,
    responsibilities,
    shared_rows,
    weakest_link,
)


def _normal(x: np.ndarray, centre: float, width: float = 1.0) -> np.ndarray:
    return -0.5 * ((x - centre) / width) ** 2 - np.log(width * np.sqrt(2 * np.pi))


def test_the_density_of_two_samples_is_that_of_their_mixture() -> None:
    x = np.linspace(-4, 6, 11)
    columns = np.stack([_normal(x, 0.0), _normal(x, 2.0)], axis=1)
    counts = np.array([300.0, 100.0])
    expected = np.log(0.75 * np.exp(columns[:, 0]) + 0.25 * np.exp(columns[:, 1]))
    assert log_mixture(columns, counts) == pytest.approx(expected, abs=1e-12)
    share = responsibilities(columns, counts)
    assert share.sum(axis=1) == pytest.approx(np.ones(11))
    assert share[:, 0] == pytest.approx(0.75 * np.exp(columns[:, 0] - expected))


def test_a_row_out_of_reach_counts_by_the_others_alone() -> None:
    columns = np.array([[-np.inf, -1.0], [-np.inf, -np.inf], [np.inf, -1.0]])
    counts = np.array([1.0, 1.0])
    mixed = log_mixture(columns, counts)
    assert mixed[0] == pytest.approx(-1.0 - np.log(2.0))
    assert mixed[1] == -np.inf
    assert mixed[2] == np.inf
    assert responsibilities(columns, counts)[1].tolist() == [0.0, 0.0]


def test_equal_samples_overlap_by_their_sizes_and_distant_ones_not_at_all() -> None:
    generator = np.random.default_rng(1)
    counts = np.array([3000.0, 1000.0, 1000.0])
    centres = np.array([0.0, 0.0, 30.0])
    x = np.concatenate([generator.normal(c, 1.0, int(n)) for c, n in zip(centres, counts, strict=True)])
    columns = np.stack([_normal(x, c) for c in centres], axis=1)
    share = responsibilities(columns, counts)
    overlap = overlap_matrix(share, counts)
    assert overlap[:2, :2] == pytest.approx(np.array([[0.75, 0.25], [0.75, 0.25]]))
    assert overlap[2] == pytest.approx([0.0, 0.0, 1.0])
    assert components(shared_rows(share)).tolist() == [0, 0, 1]
    assert components(shared_rows(share), np.array([True, False, True])).tolist() == [0, 0, 0]
    assert weakest_link(overlap) == pytest.approx(0.0, abs=1e-12)
    assert weakest_link(overlap, np.array([True, False, True])) == pytest.approx(0.75)


def test_the_weakest_link_is_the_smallest_that_is_needed() -> None:
    overlap = np.array([[0.5, 0.3, 0.01], [0.3, 0.5, 0.2], [0.01, 0.2, 0.79]])
    assert weakest_link(overlap) == pytest.approx(0.2)
