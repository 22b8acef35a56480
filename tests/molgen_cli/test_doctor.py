"""`molgen doctor`: table or JSON, and its exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from molgen import workflows
from molgen.workflows.diagnosis import Diagnosis
from molgen.workflows.diagnosis_finding import Finding

Command = Callable[..., int]
Captured = pytest.CaptureFixture[str]

GOOD = Finding("openmm", "8.2")
NOTED = Finding("GPU", "CUDA (OpenMM)", "note", "Compare with [CPU].")
BROKEN = Finding("torch", "missing", "problem", "Install it.")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    given: dict[str, Any] = {"findings": (GOOD, NOTED)}

    def diagnose(folder: Path) -> Diagnosis:
        given["folder"] = folder
        return Diagnosis(folder, given["findings"], {"Reference": 0.1})

    monkeypatch.setattr(workflows, "diagnose", diagnose)
    return given


def test_a_healthy_installation_exits_0(asked: dict[str, Any], molgen_command: Command, capsys: Captured) -> None:
    assert molgen_command("doctor") == 0
    assert asked["folder"] == Path()
    text = capsys.readouterr().out
    for shown in ("openmm", "8.2", "note: GPU: Compare with [CPU].", "No problems."):
        assert shown in text


def test_something_broken_exits_3_and_is_shown(
    asked: dict[str, Any], molgen_command: Command, capsys: Captured
) -> None:
    asked["findings"] = (GOOD, BROKEN)
    assert molgen_command("doctor", "elsewhere") == 3
    assert asked["folder"] == Path("elsewhere")
    text = capsys.readouterr().out
    assert "problem: torch: Install it." in text
    assert "1 problem." in text


@pytest.mark.parametrize(("findings", "code"), [((GOOD,), 0), ((BROKEN,), 3)])
def test_json_is_one_object(
    asked: dict[str, Any], molgen_command: Command, capsys: Captured, findings: tuple[Finding, ...], code: int
) -> None:
    asked["findings"] = findings
    assert molgen_command("doctor", "--json") == code
    data = json.loads(capsys.readouterr().out)
    assert data["healthy"] == (code == 0)
    assert data["findings"][0]["what"] == findings[0].what
    assert data["step_ms"] == {"Reference": 0.1}


def test_a_folder_that_is_not_there_exits_3(molgen_command: Command, capsys: Captured, tmp_path: Path) -> None:
    assert molgen_command("doctor", str(tmp_path / "missing")) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "There is no folder" in captured.err
