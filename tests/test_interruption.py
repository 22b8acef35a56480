"""Stopping at safe points."""

import pytest

from molgen.errors import InterruptedRunError
from molgen.interruption import Interruption


def test_without_a_reason_nothing_stops() -> None:
    interruption = Interruption()
    interruption.check()
    assert interruption.reason is None
    assert interruption.elapsed_s >= 0


def test_a_request_stops_the_run_with_code_75() -> None:
    interruption = Interruption(max_time_s=1000.0)
    interruption.request("it received SIGTERM")
    with pytest.raises(InterruptedRunError, match="it received SIGTERM") as caught:
        interruption.check()
    assert caught.value.exit_code == 75
    assert "same command again" in caught.value.hint


def test_the_time_limit_stops_the_run() -> None:
    with pytest.raises(InterruptedRunError, match="time limit of 0 s"):
        Interruption(max_time_s=0.0).check()
