"""The selftest: what a check is, which parts there are, and the quick ones of them."""

from collections.abc import Iterator
from typing import Any

import pytest

from molgen.errors import InterruptedRunError, UsageError
from molgen.interruption import Interruption
from molgen.progress import ProgressEvent
from molgen.workflows import committor_selftest
from molgen.workflows.committor_selftest import PARTS, SelfCheck, selftest


def test_the_quick_parts_pass() -> None:
    events: list[ProgressEvent] = []
    result = selftest(("retrace", "swap"), seed=2, progress=events.append)
    assert [check.name for check in result.checks] == [
        "retrace-particle",
        "retrace-molecule",
        "swap-shots",
        "swap-committor",
    ]
    assert result.passed
    assert result.to_json()["checks"][0]["passed"] is True
    assert [(event.stage, event.done, event.total) for event in events] == [("retrace", 0, 2), ("swap", 1, 2)]


def test_one_figure_beyond_its_bound_fails_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def part(task: Any) -> Iterator[SelfCheck]:
        task.figures["rate"] = 2.0
        yield SelfCheck("good", "a figure", 1.0, 1.0)
        yield SelfCheck("bad", "a figure", float("nan"), 1.0)

    monkeypatch.setattr(committor_selftest, "PARTS", {"mine": part})
    result = selftest()
    assert [check.passed for check in result.checks] == [True, False]
    assert (result.passed, result.figures) == (False, {"rate": 2.0})


def test_parts_that_there_are_not_and_interruptions() -> None:
    assert set(PARTS) == {"retrace", "swap", "one-d", "muller-brown", "dead-end", "hidden-coordinate"}
    with pytest.raises(UsageError, match=r"no part 'oned'.*one-d"):
        selftest(("oned",))
    stop = Interruption()
    stop.request("it was told to")
    with pytest.raises(InterruptedRunError):
        selftest(("swap",), interruption=stop)
