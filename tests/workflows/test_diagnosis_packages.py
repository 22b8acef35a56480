"""Requirements read from metadata, versions compared, packages that do not load."""

import importlib
import importlib.metadata
from typing import Any

import pytest

from molgen.workflows import diagnosis_packages as packages


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("numpy>=2.0", ("numpy", ">=2.0", None)),
        ("POT", ("POT", "", None)),
        ("torch (>=2.9)", ("torch", ">=2.9", None)),
        ("mypy>=1.15; extra == 'dev'", ("mypy", ">=1.15", "dev")),
        ('x[y]<3,>=1.0 ; python_version < "4" and extra == "plot"', ("x", "<3,>=1.0", "plot")),
    ],
)
def test_lines_of_metadata(line: str, parts: tuple[str, str, str | None]) -> None:
    assert packages.parse_requirement(line) == parts


def test_versions_are_compared_as_numbers() -> None:
    assert packages.version_numbers("2.10.1") > packages.version_numbers("2.9")
    assert packages.version_numbers("2.13.0+cpu") == (2, 13)
    assert packages.version_numbers("2.0") == packages.version_numbers("2")
    assert packages.version_numbers("0.9.7.post1") >= packages.version_numbers("0.9.6")


def test_a_missing_package_is_a_problem_with_its_remedy() -> None:
    finding = packages.requirement_finding("molgen-no-such-package", ">=1.0")
    assert (finding.status, finding.found) == ("problem", "missing")
    assert '"molgen-no-such-package>=1.0"' in finding.remedy


def test_an_old_package_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "1.9.5")
    finding = packages.requirement_finding("typer", "<3,>=1.10")
    assert finding.status == "problem"
    assert "1.10 is needed" in finding.found


def test_a_package_that_does_not_load_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> Any:
        raise OSError(f"lib{name}.so: cannot open\nshared object")

    monkeypatch.setattr(importlib, "import_module", fail)
    finding = packages.requirement_finding("rdkit", ">=2024.9")
    assert finding.status == "problem"
    assert "librdkit.Chem.so: cannot open shared object" in finding.found
    assert "Install it again" in finding.remedy


def requires(monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> dict[str, Any]:
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: lines)
    return {finding.what: finding for finding in packages.package_findings()}


def test_a_missing_extra_is_only_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    found = requires(monkeypatch, ["numpy>=2.0", "molgen-nothing>=1; extra == 'more'", "pytest; extra == 'dev'"])
    assert found["numpy"].status == "ok"
    assert (found["extra [dev]"].status, found["extra [dev]"].found) == ("ok", "complete")
    assert found["extra [more]"].status == "note"
    assert "molgen-nothing" in found["extra [more]"].found
    assert "molgen-ensembles[more]" in found["extra [more]"].remedy


def test_a_missing_requirement_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    assert requires(monkeypatch, ["molgen-nothing>=1"])["molgen-nothing"].status == "problem"


def test_an_old_python_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "_LEAST_PYTHON", (99, 0))
    assert requires(monkeypatch, [])["python"].status == "problem"


def test_a_source_tree_that_is_not_installed_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "DISTRIBUTION", "molgen-no-such-package")
    assert packages.package_findings()[-1].status == "note"
