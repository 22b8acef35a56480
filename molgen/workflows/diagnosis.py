"""What this installation and machine can do, and what is missing: the workflow behind ``molgen doctor``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import molgen
from molgen.errors import InputError
from molgen.workflows.diagnosis_finding import Finding
from molgen.workflows.diagnosis_machine import machine_findings, platform_findings
from molgen.workflows.diagnosis_packages import package_findings


@dataclass(frozen=True)
class Diagnosis:
    """All findings, and the milliseconds of one step on each OpenMM platform that works."""

    directory: Path
    findings: tuple[Finding, ...]
    step_ms: dict[str, float]

    @property
    def healthy(self) -> bool:
        """Whether nothing that molgen needs is broken."""
        return not any(finding.status == "problem" for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain data for ``--json``."""
        return {
            "molgen": molgen.__version__,
            "healthy": self.healthy,
            "folder": str(self.directory),
            "step_ms": self.step_ms,
            "findings": [finding.to_json() for finding in self.findings],
        }


def diagnose(folder: Path = Path()) -> Diagnosis:
    """Look at packages, processors, memory, the disk of ``folder`` and OpenMM's platforms; nothing is written.

    ``InputError`` if there is no folder of that name.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.", "Give the folder where runs are to be kept.")
    findings = package_findings() + machine_findings(folder.resolve())
    platforms, step_ms = platform_findings()
    return Diagnosis(folder.resolve(), tuple(findings + platforms), step_ms)
