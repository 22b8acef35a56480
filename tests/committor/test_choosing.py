"""Which configurations are chosen: uncertain ones, and evenly along q."""

import numpy as np
import pytest

from molgen.committor.choosing import choice_share, even_share
from molgen.shooting.points import draw_systematically


def test_every_interval_of_q_has_the_same_share() -> None:
    q = np.array([0.0, 0.01, 0.02, 0.55, 0.99, 1.0])
    share = even_share(q)
    assert share == pytest.approx([1 / 9, 1 / 9, 1 / 9, 1 / 3, 1 / 6, 1 / 6])


def test_half_follows_the_variance_of_q() -> None:
    q, variance = np.array([0.5, 0.5, 0.1]), np.array([0.01, 0.03, 0.0])
    assert choice_share(q, variance) == pytest.approx([0.125 + 0.125, 0.375 + 0.125, 0.25])
    assert choice_share(q, np.zeros(3)) == pytest.approx(even_share(q))


def test_rows_are_drawn_as_often_as_their_share_to_within_one() -> None:
    rng = np.random.default_rng(1)
    share = rng.dirichlet(np.ones(30))
    drawn = draw_systematically(share, 100, rng)
    assert drawn.tolist() == sorted(drawn)
    assert np.abs(np.bincount(drawn, minlength=30) - 100 * share).max() < 1.0
