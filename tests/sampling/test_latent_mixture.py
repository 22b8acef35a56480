"""The latent mixture is a density that its own draws have, and survives JSON."""

import json
import math

import numpy as np
import pytest

from molgen.sampling.latent_mixture import Component, LatentMixture

RNG = np.random.default_rng


def mixture() -> LatentMixture:
    """Three components on two of three angles and a plane of four numbers; one of them is the base."""
    plane = np.linalg.qr(RNG(1).normal(size=(4, 2)))[0].T
    turned = Component(
        0.5,
        np.array([3.0, -1.0]),
        np.array([4.0, 0.0]),
        np.array([0.7, 0.0]),
        np.array([[0.6, 0.8]]),
        np.array([0.3]),
    )
    narrow = Component(0.2, np.array([0.5, 2.0]), np.array([2.0, 6.0]), np.zeros(2), np.zeros((0, 2)), np.zeros(0))
    base = Component(0.3, np.zeros(2), np.zeros(2), np.zeros(2), np.zeros((0, 2)), np.zeros(0))
    return LatentMixture((turned, narrow, base), np.array([0, 2]), plane)


def base_draws(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = RNG(seed)
    return rng.uniform(-math.pi, math.pi, (n, 3)), rng.normal(size=(n, 4))


def test_the_density_is_that_of_the_draws() -> None:
    """E_p[g/p] = 1 and E_p[f g/p] = E_g[f] for several f, within 4.5 standard errors (once in 20,000 runs)."""
    g, n = mixture(), 200_000
    angles, numbers = base_draws(n, 2)
    ratio = np.exp(g.log_ratio(angles, numbers))
    assert abs(ratio.mean() - 1.0) < 4.5 * ratio.std() / math.sqrt(n)
    drawn_angles, drawn_numbers = base_draws(n, 3)
    g.move(drawn_angles, drawn_numbers, RNG(4))
    assert np.abs(drawn_angles).max() <= math.pi
    functions = [
        lambda a, y: np.cos(a[:, 0]),
        lambda a, y: np.sin(a[:, 0]) * np.cos(a[:, 2]),
        lambda a, y: np.cos(a[:, 1]),
        lambda a, y: y[:, 0],
        lambda a, y: y[:, 1] * y[:, 2],
        lambda a, y: y[:, 3] ** 2 * np.cos(a[:, 0] - 3.0),
    ]
    for function in functions:
        weighted, plain = ratio * function(angles, numbers), function(drawn_angles, drawn_numbers)
        error = math.hypot(weighted.std(), plain.std()) / math.sqrt(n)
        assert abs(weighted.mean() - plain.mean()) < 4.5 * error
    # What is not touched stays as it was drawn.
    assert np.array_equal(drawn_angles[:, 1], base_draws(n, 3)[0][:, 1])


def test_a_very_narrow_angle_keeps_its_precision() -> None:
    """κ = 1e9 has a width of 3e-5; its density at the mean over the uniform one is √(2πκ)."""
    item = Component(1.0, np.array([3.1]), np.array([1e9]), np.zeros(0), np.zeros((0, 0)), np.zeros(0))
    g = LatentMixture((item,), np.array([0]), np.zeros((0, 0)))
    value = g.log_ratio(np.array([[3.1], [3.1 + 1e-4]]), np.zeros((2, 0)))
    assert value[0] == pytest.approx(0.5 * math.log(2 * math.pi * 1e9), abs=1e-6)
    assert value[0] - value[1] == pytest.approx(5.0, abs=1e-4)
    angles = np.zeros((4000, 1))
    g.move(angles, np.zeros((4000, 0)), RNG(5))
    assert angles.std() == pytest.approx(1e9**-0.5, rel=0.06)


def test_it_is_the_same_after_json() -> None:
    g = mixture()
    again = LatentMixture.from_json(json.loads(json.dumps(g.to_json())), 3, 4)
    angles, numbers = base_draws(50, 6)
    assert np.array_equal(g.log_ratio(angles, numbers), again.log_ratio(angles, numbers))
    untouched = LatentMixture(
        (Component(1.0, *([np.zeros(0)] * 3), np.zeros((0, 0)), np.zeros(0)),), np.zeros(0, int), np.zeros((0, 4))
    )
    again = LatentMixture.from_json(json.loads(json.dumps(untouched.to_json())), 3, 4)
    assert np.array_equal(again.log_ratio(angles, numbers), np.zeros(50))


@pytest.mark.parametrize(
    "change",
    [
        {"circles": [0, 7]},
        {"components": []},
        {"components": [{"share": 1.0}]},
        {"plane": [[1.0, 0.0]]},
    ],
)
def test_other_records_are_none(change: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError)):
        LatentMixture.from_json(mixture().to_json() | change, 3, 4)
