"""Temperature as a condition: one model of the target at every temperature of a range."""

import math
from dataclasses import dataclass

import torch

from molgen.errors import InputError

ROUNDING_K = 1e-6
"""Temperatures nearer than this are the same."""


@dataclass(frozen=True)
class TemperatureRange:
    """Temperatures from ``low_k`` to ``high_k`` kelvin, as a network is told of them.

    Energies divided by kT change least where ln T changes least, so the condition is ln T on a scale from -1 at
    ``low_k`` to 1 at ``high_k``.
    """

    low_k: float
    high_k: float

    def __post_init__(self) -> None:
        if not 0.0 < self.low_k < self.high_k:
            raise ValueError(f"{self.low_k} to {self.high_k} K is no range of temperatures")

    def __contains__(self, temperature_k: float) -> bool:
        return self.low_k - ROUNDING_K <= temperature_k <= self.high_k + ROUNDING_K

    def condition(self, temperature_k: torch.Tensor) -> torch.Tensor:
        """Conditions (n, 1) of temperatures (n,) in kelvin."""
        low, high = math.log(self.low_k), math.log(self.high_k)
        return (2.0 * (temperature_k.log() - low) / (high - low) - 1.0)[:, None]

    def check(self, temperature_k: float) -> None:
        """``InputError`` for a temperature outside the range."""
        if temperature_k not in self:
            raise InputError(
                f"{temperature_k:g} K lies outside the temperatures the model was trained on.",
                f"Give one from {self.low_k:g} to {self.high_k:g} K, or train on frames that reach it.",
            )


def only_at(own_k: float, asked_k: float) -> InputError:
    """The refusal of a model of ``own_k`` kelvin to draw at ``asked_k``."""
    return InputError(
        f"The model is of {own_k:g} K alone and cannot draw at {asked_k:g} K.",
        "Train --model flow-matching on frames of several temperatures, or reweight --temperature.",
    )
