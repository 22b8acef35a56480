"""Placing atoms: lengths, angles, torsions and handedness come out as they were asked for."""

import math

import numpy as np
import pytest

from molgen.systems.placement import Blueprint, place, seen_from

LENGTH, ANGLE = 0.15, math.radians(109.5)


def torsion(positions: np.ndarray, *atoms: int) -> float:
    a, b, c, d = positions[list(atoms)]
    first, second = np.cross(b - a, c - b), np.cross(c - b, d - c)
    return math.atan2(np.cross(first, second) @ (c - b) / np.linalg.norm(c - b), first @ second)


def blueprint(value: float, order: tuple[int, int, int, int]) -> Blueprint:
    """A chain 0-1-2-3 whose atom 2 carries 4 and 5 as well."""
    return Blueprint(
        neighbours=((1,), (0, 2), (1, 3, 4, 5), (2,), (2,), (2,)),
        start=(0, 1, 2),
        length=lambda i, j: LENGTH,
        angle=lambda i, j, k: ANGLE,
        clockwise={2: order},
        torsions={(1, 2): (0, 3, value)},
        planar=frozenset(),
        rings=(),
    )


@pytest.mark.parametrize("degrees", [-170.0, -60.0, 0.0, 45.0, 180.0])
def test_lengths_angles_and_torsions(degrees: float) -> None:
    positions = place(blueprint(math.radians(degrees), (1, 3, 4, 5)))
    for i, j in ((0, 1), (1, 2), (2, 3), (2, 4), (2, 5)):
        assert np.linalg.norm(positions[i] - positions[j]) == pytest.approx(LENGTH)
    for end in (3, 4, 5):
        first, second = positions[1] - positions[2], positions[end] - positions[2]
        assert math.acos(first @ second / LENGTH**2) == pytest.approx(ANGLE)
    assert math.cos(torsion(positions, 0, 1, 2, 3) - math.radians(degrees)) == pytest.approx(1.0)
    # The others follow clockwise seen along the bond, which is the positive sense of a torsion.
    assert math.degrees(torsion(positions, 0, 1, 2, 4)) % 360 == pytest.approx((degrees + 120) % 360)
    assert math.degrees(torsion(positions, 0, 1, 2, 5)) % 360 == pytest.approx((degrees + 240) % 360)


def test_the_order_decides_the_handedness() -> None:
    one, other = (place(blueprint(1.0, order)) for order in ((1, 3, 4, 5), (1, 3, 5, 4)))
    volumes = [float(np.linalg.det(x[[3, 4, 5]] - x[2])) for x in (one, other)]
    assert volumes[0] > 0.0 > volumes[1]


@pytest.mark.parametrize("first", range(4))
def test_one_handedness_seen_from_any_neighbour(first: int) -> None:
    corners = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=float)
    order = (0, 1, 2, 3)
    here = np.linalg.det(corners[list(order[1:])])
    assert np.sign(np.linalg.det(corners[list(seen_from(order, first))])) == np.sign(here)
