"""The whole diagnosis on this machine, and what it says when something is broken."""

import json
from pathlib import Path

import pytest

from molgen import workflows
from molgen.errors import InputError
from molgen.workflows import diagnosis
from molgen.workflows.diagnosis_finding import Finding


def test_this_machine_can_run_the_tests(tmp_path: Path) -> None:
    result = workflows.diagnose(tmp_path)
    assert result.healthy
    assert result.directory == tmp_path
    assert list(tmp_path.iterdir()) == []
    found = {finding.what: finding for finding in result.findings}
    assert {"python", "molgen", "torch", "openmm", "mdtraj", "rdkit", "numpy"} <= set(found)
    assert {"processors", "threads", "memory", f"disk of {tmp_path}", "GPU", "OpenMM Reference"} <= set(found)
    assert result.step_ms["Reference"] > 0.0
    assert "ms a step" in found["OpenMM Reference"].found


def test_json_is_plain(tmp_path: Path) -> None:
    data = json.loads(json.dumps(workflows.diagnose(tmp_path).to_json()))
    assert data["healthy"] is True
    assert {finding["status"] for finding in data["findings"]} <= {"ok", "note", "problem"}
    assert all(finding["remedy"] for finding in data["findings"] if finding["status"] != "ok")


@pytest.mark.parametrize(("status", "healthy"), [("ok", True), ("note", True), ("problem", False)])
def test_only_a_problem_is_unhealthy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: str, healthy: bool
) -> None:
    monkeypatch.setattr(diagnosis, "package_findings", lambda: [Finding("x", "y", status, "z")])  # type: ignore[arg-type]
    monkeypatch.setattr(diagnosis, "platform_findings", lambda: ([], {}))
    assert diagnosis.diagnose(tmp_path).healthy is healthy


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        workflows.diagnose(tmp_path / "missing")
