"""Thresholds of memory, disk and threads; graphics processors; platforms that fail."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from molgen.energies import platforms
from molgen.workflows import diagnosis_machine as machine

GIB = 2**30


@pytest.mark.parametrize(("available", "status"), [(16 * GIB, "ok"), (GIB, "note"), (None, "ok")])
def test_memory(available: int | None, status: str) -> None:
    assert machine.memory_finding(available).status == status


@pytest.mark.parametrize(("free", "status"), [(100 * GIB, "ok"), (GIB, "note"), (1000, "problem")])
def test_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, status: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    finding = machine.disk_finding(tmp_path)
    assert finding.status == status
    assert str(tmp_path) in finding.what


def test_a_folder_without_permission_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert machine.disk_finding(tmp_path).status == "problem"


@pytest.mark.parametrize(
    ("setting", "threads", "status"),
    [(None, 2, "ok"), ("1", 1, "ok"), ("2,1", 2, "ok"), ("many", 2, "note"), ("8", 8, "note"), (None, None, "ok")],
)
def test_threads(setting: str | None, threads: int | None, status: str) -> None:
    finding = machine.thread_finding(setting, threads, processors=2)
    assert finding.status == status
    assert ("not set" in finding.found) == (setting is None)


def test_a_gpu_is_said_to_be_untested() -> None:
    assert machine.graphics_finding(["Reference", "CPU"], []).status == "ok"
    seen = machine.graphics_finding(["Reference", "CUDA"], ["Some GPU"])
    assert seen.status == "note"
    assert "CUDA (OpenMM), Some GPU (torch)" in seen.found
    assert "not tested on a GPU" in seen.remedy


def test_a_platform_that_cannot_compute_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platforms, "platform_names", lambda: ["Reference", "OpenCL"])
    monkeypatch.setattr(
        platforms, "resolve_platform", lambda _: platforms.PlatformChoice("Reference", {"Reference": 0.05})
    )
    findings, step_ms = machine.platform_findings()
    assert step_ms == {"Reference": 0.05}
    found = {finding.what: finding for finding in findings}
    assert found["OpenMM Reference"].found.startswith("0.05 ms a step")
    assert found["OpenMM OpenCL"].status == "note"
    assert found["GPU"].status == "note"


def test_no_platform_at_all_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platforms, "_timed", lambda *_: ())
    (finding,), step_ms = machine.platform_findings()
    assert (finding.status, step_ms) == ("problem", {})
    assert "No OpenMM platform here" in finding.found
