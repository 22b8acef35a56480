"""`molgen committor selftest`: table or JSON, and its exit code."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from molgen import workflows
from molgen.workflows.committor_selftest import SelfCheck, SelftestResult

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]


def answer(monkeypatch: pytest.MonkeyPatch, value: float) -> list[Any]:
    asked: list[Any] = []

    def selftest(only: tuple[str, ...], **options: Any) -> SelftestResult:
        asked.append((only, options["seed"], options["workers"]))
        checks = SelfCheck("first", "a distance", 0.5, 0.5), SelfCheck("second", "an error", value, 0.01)
        return SelftestResult(checks, {"k-ab": 5.05e-4}, 3)

    monkeypatch.setattr(workflows, "selftest", selftest)
    return asked


def test_what_passes_exits_0(monkeypatch: pytest.MonkeyPatch, molgen_command: Command, capsys: Captured) -> None:
    asked = answer(monkeypatch, 0.009)
    assert molgen_command("committor", "selftest", "swap", "one-d", "--seed", "7", "--workers", "1", "--json") == 0
    assert asked == [(("swap", "one-d"), 7, 1)]
    printed = json.loads(capsys.readouterr().out)
    assert printed["passed"] is True
    assert printed["checks"][1] == {"name": "second", "what": "an error", "value": 0.009, "bound": 0.01, "passed": True}
    assert molgen_command("committor", "selftest") == 0
    assert asked[1][:2] == ((), 1)
    text = capsys.readouterr().out
    for shown in ("second", "0.009", "0.01", "0.000505", "Everything passed."):
        assert shown in text


@pytest.mark.parametrize("value", [0.0101, float("nan")])
def test_a_figure_beyond_its_bound_exits_4(
    monkeypatch: pytest.MonkeyPatch, molgen_command: Command, capsys: Captured, value: float
) -> None:
    answer(monkeypatch, value)
    assert molgen_command("committor", "selftest") == 4
    assert "1 of 2 figures are beyond their bounds." in capsys.readouterr().out
    assert molgen_command("committor", "selftest", "--json") == 4
    assert json.loads(capsys.readouterr().out)["passed"] is False
