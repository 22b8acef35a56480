"""Progress lines and bars."""

import io

import pytest

from molgen.progress import ProgressEvent
from molgen_cli.progress import PlainLines, human_time, show_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.4, "59s"), (60, "1m00s"), (200, "3m20s"), (7500, "2h05m"), (-1, "0s")]
)
def test_human_time(seconds: float, text: str) -> None:
    assert human_time(seconds) == text


def test_plain_lines_come_at_most_every_ten_seconds_with_the_time_left() -> None:
    stream, now = io.StringIO(), [0.0]
    lines = PlainLines(stream, every_s=10.0, clock=lambda: now[0])
    for second in range(101):
        now[0] = float(second)
        lines(ProgressEvent("train", second, 100, "steps", {"loss": -1.5}))
    lines(ProgressEvent("train", 100, 100, "steps"))
    lines(ProgressEvent("sample", 5, 0, "frames"))
    printed = stream.getvalue().splitlines()
    assert printed[0] == "train: 0/100 steps, 0%, loss -1.5"
    assert printed[1] == "train: 10/100 steps, 10%, 1m30s left, loss -1.5"
    assert printed[-2] == "train: 100/100 steps, 100%, loss -1.5"
    assert printed[-1] == "sample: 5 frames"
    assert len(printed) == 12


def test_verbose_shows_every_event_and_quiet_none() -> None:
    for options, count in (({"verbose": True}, 3), ({"quiet": True}, 0), ({}, 1)):
        stream = io.StringIO()
        with show_progress(stream=stream, **options) as progress:
            for done in range(3):
                progress(ProgressEvent("train", done, 10))
        assert len(stream.getvalue().splitlines()) == count


def test_a_terminal_gets_a_bar() -> None:
    stream = Terminal()
    with show_progress(stream=stream) as progress:
        progress(ProgressEvent("train", 0, 0))
        progress(ProgressEvent("train", 4, 8, figures={"loss": 2.0}))
    text = stream.getvalue()
    assert "50%" in text
    assert "loss 2" in text
