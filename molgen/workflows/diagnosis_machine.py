"""Processors, threads, memory, disk, OpenMM platforms and graphics processors of this machine."""

import os
import shutil
from pathlib import Path
from typing import Any

from molgen.provenance import available_cpus
from molgen.workflows.diagnosis_finding import Finding

TIMED_SYSTEM = "alanine-dipeptide"
"""The built-in system whose steps are timed."""

_GIB, _MIB = 2**30, 2**20
_LITTLE_MEMORY, _LITTLE_DISK, _NO_DISK = 2 * _GIB, 2 * _GIB, 50 * _MIB
_GRAPHICS = ("CUDA", "OpenCL", "HIP", "Metal")


def machine_findings(folder: Path) -> list[Finding]:
    """Processors, threads, memory and the disk of ``folder``."""
    return [_processors(), _threads(), memory_finding(_memory_bytes()), disk_finding(folder)]


def platform_findings() -> tuple[list[Finding], dict[str, float]]:
    """The OpenMM platforms with the milliseconds of one step on each, and what graphics processor is seen."""
    try:
        from molgen.energies.platforms import platform_names, resolve_platform
        from molgen.systems import MolecularSystem, load_system

        names = platform_names()
        system = load_system(TIMED_SYSTEM)
        assert isinstance(system, MolecularSystem)
        step_ms = resolve_platform(system).step_ms
    except Exception as error:  # a broken library can raise anything
        reason = " ".join(str(error).split())
        remedy = "Mend what is named above, or install molgen again."
        return [Finding("OpenMM platforms", f"none works: {reason}", "problem", remedy)], {}
    findings = [_platform(name, step_ms.get(name)) for name in names]
    return [*findings, graphics_finding(names, _torch_devices())], step_ms


def memory_finding(available: int | None) -> Finding:
    """Whether the memory in bytes that may still be used is enough to train."""
    if available is None:
        return Finding("memory", "unknown")
    found = f"{available / _GIB:.1f} GiB available"
    if available < _LITTLE_MEMORY:
        remedy = "Use fewer --workers, and a smaller --set flow.hidden; each worker takes about 0.5 GiB."
        return Finding("memory", found, "note", remedy)
    return Finding("memory", found)


def disk_finding(folder: Path) -> Finding:
    """Whether ``folder`` can be written to, and the space left there."""
    free = shutil.disk_usage(folder).free
    what, found = f"disk of {folder}", f"{free / _GIB:.1f} GiB free"
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(what, "not writable", "problem", "Choose a folder of your own for -o.")
    if free < _NO_DISK:
        return Finding(what, found, "problem", "Free some space, or choose another folder for -o.")
    if free < _LITTLE_DISK:
        return Finding(what, found, "note", "A run with many frames needs more; choose a larger disk for -o.")
    return Finding(what, found)


def graphics_finding(platforms: list[str], torch_devices: list[str]) -> Finding:
    """What graphics processor OpenMM or torch sees; none is needed."""
    seen = [f"{name} (OpenMM)" for name in platforms if name in _GRAPHICS]
    seen += [f"{name} (torch)" for name in torch_devices]
    if not seen:
        return Finding("GPU", "none seen; none is needed")
    remedy = "molgen is not tested on a GPU: compare a short run with --platform CPU. Training uses the processor."
    return Finding("GPU", ", ".join(seen), "note", remedy)


def thread_finding(setting: str | None, torch_threads: int | None, processors: int) -> Finding:
    """``OMP_NUM_THREADS`` and the threads torch takes, beside the processors there are."""
    found = f"OMP_NUM_THREADS {'not set' if setting is None else setting}, torch {torch_threads or 'not loaded'}"
    if setting is not None and not setting.split(",")[0].strip().isdigit():
        return Finding("threads", found, "note", "Set OMP_NUM_THREADS to a whole number, or unset it.")
    if torch_threads is not None and torch_threads > processors:
        return Finding("threads", found, "note", f"Set OMP_NUM_THREADS={processors}: more threads only wait.")
    return Finding("threads", found)


def _processors() -> Finding:
    usable, present = available_cpus(), os.cpu_count() or 1
    return Finding("processors", f"{usable} usable" + (f" of {present}" if present != usable else ""))


def _threads() -> Finding:
    try:
        import torch
    except Exception:  # said among the packages
        threads = None
    else:
        threads = torch.get_num_threads()
    return thread_finding(os.environ.get("OMP_NUM_THREADS"), threads, available_cpus())


def _platform(name: str, step_ms: float | None) -> Finding:
    what = f"OpenMM {name}"
    if step_ms is None:
        remedy = "Give --platform a name that works here; auto leaves this one out."
        return Finding(what, f"cannot compute {TIMED_SYSTEM}", "note", remedy)
    return Finding(what, f"{step_ms:.3g} ms a step of {TIMED_SYSTEM}")


def _torch_devices() -> list[str]:
    try:
        import torch
    except Exception:  # said among the packages
        return []
    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    backends: Any = torch.backends
    return devices + (["mps"] if backends.mps.is_available() else [])


def _memory_bytes() -> int | None:
    """Bytes that may still be used: of the machine, or of the control group if that allows less."""
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        available = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        try:
            available = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError):
            return None
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            available = min(available, int(Path(limit).read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return available
