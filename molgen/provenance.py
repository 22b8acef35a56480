"""Where a result comes from: versions, machine, date and command line, gathered without importing the libraries."""

import os
import platform
import shlex
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import molgen

LIBRARIES = (
    "torch",
    "openmm",
    "mdtraj",
    "rdkit",
    "numpy",
    "scipy",
    "tables",
    "safetensors",
    "pymbar",
    "POT",
    "arviz-stats",
)
"""Distributions whose version can change a number."""


def provenance() -> dict[str, Any]:
    """Versions, machine, processors, date (UTC) and command line of this process."""
    return {
        "versions": library_versions(),
        "machine": platform.machine(),
        "system": platform.system(),
        "cpus": available_cpus(),
        "date": timestamp(),
        "command": command_line(),
    }


def library_versions() -> dict[str, str]:
    """Versions of molgen, Python and those of :data:`LIBRARIES` that are installed."""
    return dict(_installed())


@cache
def _installed() -> Mapping[str, str]:
    import importlib.metadata  # takes 50 ms, which `molgen --help` has no use for

    versions = {"molgen": molgen.__version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def available_cpus() -> int:
    """Processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def timestamp() -> str:
    """The present moment in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def command_line() -> str:
    """The command that started this process, quoted for a shell; the program by its name alone."""
    if not sys.argv:
        return ""
    return shlex.join([os.path.basename(sys.argv[0]), *sys.argv[1:]])
