"""Conversions at the edge."""

import math

import pytest

from molgen.errors import UsageError
from molgen.units import parse_angle_rad, parse_duration_s, parse_time_ps, thermal_energy


def test_thermal_energy_at_room_temperature() -> None:
    # R = 8.314462618 J/(mol K), CODATA 2018
    assert thermal_energy(300.0) == pytest.approx(2.4943387854, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "expected"), [("5ns", 5000.0), ("2.5 ps", 2.5), ("4fs", 0.004), ("1e-3us", 1000.0), ("1µs", 1e6)]
)
def test_simulation_times(text: str, expected: float) -> None:
    assert parse_time_ps(text) == pytest.approx(expected)


@pytest.mark.parametrize(("text", "expected"), [("30m", 1800.0), ("2h", 7200.0), ("90s", 90.0), ("1d", 86400.0)])
def test_durations(text: str, expected: float) -> None:
    assert parse_duration_s(text) == pytest.approx(expected)


def test_angles() -> None:
    assert parse_angle_rad("-180deg") == pytest.approx(-math.pi)
    assert parse_angle_rad("1.5rad") == 1.5


@pytest.mark.parametrize("text", ["5", "ns", "5 nm", "five ns", "5ns ps", "", "1e999ns", "nan ns"])
def test_what_is_not_a_time_is_a_usage_error_with_an_example(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_time_ps(text)
    assert "5ns" in caught.value.hint
