"""Samples that are not what they are said to be: umbrella windows on a line, one of them with a wrong record."""

import numpy as np
import pytest

from molgen.reweighting.consistency import cells_of, divergences, state_count
from molgen.reweighting.mixture import responsibilities
from molgen.reweighting.multistate import refine

CENTRES = np.array([-1.0, 0.0, 1.0])


def _windows(seed: int, said: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of three windows of unit width; ``said`` (3,) are the centres in their records."""
    generator = np.random.default_rng(seed)
    x = np.concatenate([generator.normal(c, 1.0, 600) for c in CENTRES])
    columns = -0.5 * (x[:, None] - said) ** 2
    counts = np.full(3, 600.0)
    f = refine(columns, counts, np.zeros(3, dtype=np.bool_), np.zeros(3))
    return x, responsibilities(columns + f, counts), np.repeat(np.arange(3), 600)


def test_right_samples_raise_no_alarm() -> None:
    for seed in range(20):
        x, share, origin = _windows(seed, CENTRES)
        found = divergences(share, origin, {"x": cells_of(x, periodic=False)})
        assert not any(item.failed for item in found)
        counts = [state_count(share, origin, k, (x > 1.5).astype(float)) for k in range(3)]
        assert not any(count.strange for count in counts)


@pytest.mark.parametrize("said", [np.array([1.0, 0.0, -1.0]), np.array([-1.0, 0.0, -1.0]), np.array([-1.0, 0.0, 0.0])])
def test_a_flipped_or_forgotten_centre_is_caught(said: np.ndarray) -> None:
    x, share, origin = _windows(1, said)
    found = divergences(share, origin, {"x": cells_of(x, periodic=False)})
    assert any(item.failed for item in found)
    assert found[0].variable == "x"


def test_a_trapped_sample_shows_in_the_counts_of_a_state() -> None:
    generator = np.random.default_rng(3)
    x = np.concatenate([generator.normal(0.0, 1.0, 2000), -np.abs(generator.normal(0.0, 1.0, 400))])
    share = np.tile([2000 / 2400, 400 / 2400], (2400, 1))
    origin = np.repeat([0, 1], [2000, 400])
    count = state_count(share, origin, 1, (x > 0).astype(float))
    assert count.observed == 0
    assert count.expected == pytest.approx(1000 / 6, abs=20)
    assert count.strange


def test_cells_take_circles_lines_and_what_is_no_number() -> None:
    circle = cells_of(np.array([-np.pi, np.pi - 1e-9, 0.0, np.nan]), periodic=True)
    assert circle.tolist() == [0, 11, 6, 12]
    line = cells_of(np.linspace(0.0, 1.0, 1200), periodic=False)
    assert np.bincount(line).tolist() == [100] * 12
