"""Bonds through rings are seen, those beside them are not."""

import numpy as np
import pytest

from molgen.systems.piercing import pierced_rings

ANGLES = np.deg2rad(np.arange(6) * 60.0)
HEXAGON = 0.14 * np.stack([np.cos(ANGLES), np.sin(ANGLES), 0.0 * ANGLES], axis=1)
RING = (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("start", "end", "pierced"),
    [
        ((0.01, 0.02, -0.07), (0.03, 0.01, 0.07), True),
        ((0.0, 0.1, -0.07), (0.0, 0.09, 0.07), True),
        ((0.01, 0.02, 0.02), (0.03, 0.01, 0.17), False),  # above it
        ((0.2, 0.02, -0.07), (0.2, 0.02, 0.07), False),  # beside it
        ((-0.2, 0.01, 0.0), (0.2, 0.01, 0.0), False),  # in its plane
    ],
)
def test_a_bond_through_a_ring(
    start: tuple[float, float, float], end: tuple[float, float, float], pierced: bool
) -> None:
    positions = np.concatenate([HEXAGON, [start, end]])
    assert pierced_rings(positions, [RING], [(6, 7)]) == ([((6, 7), RING)] if pierced else [])


def test_bonds_of_the_ring_itself_do_not_count() -> None:
    positions = np.concatenate([HEXAGON, [(0.0, 0.0, 0.1)]])
    assert pierced_rings(positions, [RING], [(0, 1), (0, 6), (1, 2)]) == []
