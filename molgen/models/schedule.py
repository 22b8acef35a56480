"""Where the steps of a continuous flow lie, and how much noise there is on the way."""

import math

import torch


def time_grid(steps: int, crowding: float) -> list[float]:
    """``steps`` + 1 times from 0 (noise) to 1 (data), 1 - (1 - k / steps)^crowding: above 1 closer to the data."""
    return [1.0 - (1.0 - k / steps) ** crowding for k in range(steps + 1)]


def noise_angle(t: torch.Tensor, most: float, least: float) -> torch.Tensor:
    """The angle θ = arctan σ of the noise σ (in units of the data's spread) at times (n,).

    ln σ falls evenly from ln ``most`` at t = 0 to ln ``least`` at t = 1.
    """
    return torch.atan(torch.exp(math.log(most) + t * (math.log(least) - math.log(most))))


def noise_angle_rate(t: torch.Tensor, most: float, least: float) -> torch.Tensor:
    """dθ/dt (n,): with σ = tan θ, dθ/dt = cos²θ dσ/dt = sin θ cos θ d(ln σ)/dt."""
    angle = noise_angle(t, most, least)
    return torch.sin(angle) * torch.cos(angle) * (math.log(least) - math.log(most))
