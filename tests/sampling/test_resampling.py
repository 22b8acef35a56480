import numpy as np
import pytest

from molgen.sampling.resampling import systematic_resampling


def test_counts_are_the_expected_ones_within_one_and_right_on_average() -> None:
    share = np.random.default_rng(1).dirichlet(np.full(30, 0.3))
    counts = np.zeros(30)
    for seed in range(400):
        rows = systematic_resampling(share, 50, np.random.default_rng(seed))
        assert len(rows) == 50
        assert np.all(np.diff(rows) >= 0)
        found = np.bincount(rows, minlength=30)
        assert np.all(np.abs(found - 50 * share) < 1.0)
        counts += found
    # The standard deviation of a count is at most 1/2: five standard errors of the mean of 400.
    np.testing.assert_allclose(counts / 400, 50 * share, atol=5 * 0.5 / 20)


def test_rows_without_share_are_never_drawn_and_the_scale_does_not_matter() -> None:
    share = np.array([0.0, 0.3, 0.0, 0.7, 0.0])
    for seed in range(200):
        rows = systematic_resampling(share, 7, np.random.default_rng(seed))
        assert set(rows) <= {1, 3}
        assert np.array_equal(rows, systematic_resampling(4.0 * share, 7, np.random.default_rng(seed)))
    with pytest.raises(ValueError, match="share"):
        systematic_resampling(np.zeros(3), 2, np.random.default_rng(0))
