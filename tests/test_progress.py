"""Progress events."""

from dataclasses import FrozenInstanceError

import pytest

from molgen.progress import ProgressEvent, silent


def test_events_are_values() -> None:
    event = ProgressEvent("train", 3, 10, "steps", {"loss": 1.0})
    assert event == ProgressEvent("train", 3, 10, "steps", {"loss": 1.0})
    with pytest.raises(FrozenInstanceError):
        event.done = 4  # type: ignore[misc]


def test_silent_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    silent(ProgressEvent("train", 3, 10))
    assert capsys.readouterr() == ("", "")
