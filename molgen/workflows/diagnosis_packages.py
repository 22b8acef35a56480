"""Which packages are here, in which version, and how to get those that are not."""

import importlib
import importlib.metadata
import platform
import re
import sys

import molgen
from molgen.workflows.diagnosis_finding import Finding

DISTRIBUTION = "molgen-ensembles"
_LEAST_PYTHON = (3, 11)
_LOADED = {
    "matplotlib": "matplotlib",
    "mdtraj": "mdtraj",
    "numpy": "numpy",
    "openmm": "openmm",
    "pot": "ot",
    "pydantic": "pydantic",
    "rdkit": "rdkit.Chem",
    "safetensors": "safetensors.numpy",
    "scipy": "scipy.special",
    "tables": "tables",
    "torch": "torch",
}
"""Packages with compiled parts, which may be installed and still not load: distribution and module."""

_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;\s*(.*))?$")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


def package_findings() -> list[Finding]:
    """Python, molgen, every requirement, and one line for each extra."""
    findings = [_python(), Finding("molgen", molgen.__version__)]
    try:
        requirements = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        remedy = "Install it with pip install -e . -c constraints.txt, so that its requirements can be checked."
        return [*findings, Finding("requirements", "molgen is run without being installed", "note", remedy)]
    missing: dict[str, list[str]] = {}
    for requirement in sorted(requirements, key=str.lower):
        name, specifier, extra = parse_requirement(requirement)
        if extra is None:
            findings.append(requirement_finding(name, specifier))
        else:
            missing.setdefault(extra, [])
            if requirement_finding(name, specifier).status == "problem":
                missing[extra].append(name)
    return findings + [_extra_finding(extra, names) for extra, names in sorted(missing.items())]


def parse_requirement(requirement: str) -> tuple[str, str, str | None]:
    """Name, version specifier and extra (None without one) of a line of package metadata."""
    match = _REQUIREMENT.match(requirement)
    if match is None:
        return requirement, "", None
    extra = _EXTRA.search(match.group(3) or "")
    return match.group(1), match.group(2).strip(), None if extra is None else extra.group(1)


def requirement_finding(name: str, specifier: str) -> Finding:
    """Whether a package is installed, new enough for the ``>=`` in ``specifier``, and can be imported."""
    install = f'pip install -c constraints.txt "{name}{specifier}"'
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "missing", "problem", f"Install it: {install}.")
    least = re.search(r">=\s*([\w.]+)", specifier)
    if least is not None and version_numbers(version) < version_numbers(least.group(1)):
        return Finding(name, f"{version}, but {least.group(1)} is needed", "problem", f"Install it: {install}.")
    module = _LOADED.get(name.lower())
    if module is not None:
        try:
            importlib.import_module(module)
        except Exception as error:  # a broken library can raise anything
            reason = " ".join(str(error).split())
            remedy = f"Install it again: pip install --force-reinstall -c constraints.txt {name}."
            return Finding(name, f"{version}, but it does not load: {reason}", "problem", remedy)
    return Finding(name, version)


def version_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version without trailing zeros: ``2.9.0+cpu`` is (2, 9)."""
    release = re.match(r"\d+(?:\.\d+)*", version)
    numbers = [int(part) for part in release.group(0).split(".")] if release else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _python() -> Finding:
    if sys.version_info[:2] < _LEAST_PYTHON:
        least = ".".join(map(str, _LEAST_PYTHON))
        return Finding("python", platform.python_version(), "problem", f"Install Python {least} or newer.")
    return Finding("python", platform.python_version())


def _extra_finding(extra: str, missing: list[str]) -> Finding:
    if not missing:
        return Finding(f"extra [{extra}]", "complete")
    remedy = f'Only if you want it: pip install -c constraints.txt "{DISTRIBUTION}[{extra}]".'
    return Finding(f"extra [{extra}]", f"without {', '.join(missing)}", "note", remedy)
