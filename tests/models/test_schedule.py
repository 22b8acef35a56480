import itertools
import math

import pytest
import torch

from molgen.models.schedule import noise_angle, noise_angle_rate, time_grid


def test_the_grid_runs_from_noise_to_data_and_crowds_there() -> None:
    assert time_grid(4, 1.0) == [0.0, 0.25, 0.5, 0.75, 1.0]
    grid = time_grid(10, 2.0)
    widths = [b - a for a, b in itertools.pairwise(grid)]
    assert (grid[0], grid[-1]) == (0.0, 1.0)
    assert all(wide > narrow > 0.0 for wide, narrow in itertools.pairwise(widths))


def test_the_logarithm_of_the_noise_falls_evenly() -> None:
    t = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    sigma = noise_angle(t, 20.0, 0.05).tan()
    assert sigma.tolist() == pytest.approx([20.0, 1.0, 0.05])
    step = 1e-6
    slope = (noise_angle(t + step, 20.0, 0.05) - noise_angle(t - step, 20.0, 0.05)) / (2 * step)
    assert slope.tolist() == pytest.approx(noise_angle_rate(t, 20.0, 0.05).tolist(), rel=1e-6)
    assert float(noise_angle_rate(t, 20.0, 0.05)[1]) == pytest.approx(-0.5 * math.log(400.0))
