"""Check: what would go wrong with a system and its trajectories, before hours are spent. Nothing is written."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from molgen.energies.base import Energy
from molgen.energies.factory import open_energy
from molgen.energies.platforms import resolve_platform
from molgen.errors import MolgenError
from molgen.observables.states import build_states
from molgen.observables.table import evaluate_cvs
from molgen.observables.where import OTHERWISE
from molgen.progress import Progress, ProgressEvent, silent
from molgen.systems.loading import load_system
from molgen.systems.system import MolecularSystem, System
from molgen.trajectories.frames import FrameSet, concatenate
from molgen.trajectories.options import EVERYTHING, ReadingOptions
from molgen.workflows.check_system import (
    Zero,
    check_coordinates,
    check_energy,
    check_speed,
    check_states,
    check_stereo,
    check_topology,
)
from molgen.workflows.check_trajectory import check_trajectory
from molgen.workflows.findings import Finding, note, ok, plural, problem, refused

FEW_FRAMES = 1000
"""Fewer frames than these leave stiff coordinates badly known."""


@dataclass(frozen=True)
class CheckResult:
    """Everything that was looked at; ``frames`` would be used by ``train``, ``states`` are their counts by state."""

    system: str
    findings: tuple[Finding, ...]
    frames: int = 0
    states: dict[str, int] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[Finding, ...]:
        """What must be mended first."""
        return tuple(finding for finding in self.findings if finding.level == "problem")

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {
            "system": self.system,
            "problems": len(self.problems),
            "findings": [finding.to_json() for finding in self.findings],
            "frames": self.frames,
            "states": self.states,
        }


def check(
    system: System | str | Path,
    trajectories: Sequence[str | Path] = (),
    *,
    reading: ReadingOptions = EVERYTHING,
    platform: str = "auto",
    energies: int = 1000,
    progress: Progress = silent,
) -> CheckResult:
    """Look at ``system`` (or the name or file of one) and at frames as ``train`` would; nothing is written.

    Of each source the energies of at most ``energies`` frames are computed. Whatever is wrong with the system or a
    source is a finding of level ``problem``, never an exception; ``UsageError`` for a platform that does not exist.
    """
    if isinstance(system, str | Path):
        try:
            system = load_system(system)
        except MolgenError as error:
            return CheckResult(str(system), (refused("system", error),))
    findings, energy, zero = _system_findings(system, platform, progress)
    usable: list[FrameSet] = []
    for number, path in enumerate(trajectories):
        progress(ProgressEvent("trajectories", number, len(trajectories), "sources"))
        checked = check_trajectory(Path(path), system, reading, energy, zero, energies)
        findings.extend(checked.findings)
        if checked.usable is not None:
            usable.append(checked.usable.frames)
    if not trajectories:
        return CheckResult(system.name, tuple(findings))
    progress(ProgressEvent("trajectories", len(trajectories), len(trajectories), "sources"))
    frames, states = _together(system, usable, findings)
    return CheckResult(system.name, tuple(findings), frames, states)


def _system_findings(
    system: System, platform: str, progress: Progress
) -> tuple[list[Finding], Energy | None, Zero | None]:
    """Findings on the system, with its energy and the energy of its minimum where they could be had."""
    progress(ProgressEvent("system", 0, 1))
    findings: list[Finding] = []
    if isinstance(system, MolecularSystem):
        findings.extend(check_topology(system))
        findings.extend(check_stereo(system))
    else:
        findings.append(ok("system", f"{system.name}: an analytic potential in {plural(system.dim, 'dimension')}."))
    findings.append(check_coordinates(system))
    findings.extend(check_states(system))
    zero = None
    energy: Energy | None = None
    try:
        choice = resolve_platform(system, platform) if isinstance(system, MolecularSystem) else None
        energy = open_energy(system, platform="auto" if choice is None else choice.name)
        found, zero = check_energy(system, energy)
        findings.append(found)
        if zero is not None:
            findings.append(check_speed(system, energy, choice))
    except MolgenError as error:
        if error.exit_code == 2:
            raise
        findings.append(refused("energy", error))
    progress(ProgressEvent("system", 1, 1))
    return findings, energy, zero


def _together(system: System, usable: list[FrameSet], findings: list[Finding]) -> tuple[int, dict[str, int]]:
    """Number of usable frames of all sources, and those without a bias by state; appends what there is to say."""
    if not usable:
        findings.append(problem("frames", "No source has frames that train could use.", "See the problems above."))
        return 0, {}
    total = sum(len(frames) for frames in usable)
    pieces = sum(frames.n_lineages for frames in usable)
    sentence = f"train would use {total} frames in {plural(pieces, 'lineage')}."
    try:
        concatenate(usable)
    except MolgenError as error:
        remedy = error.hint
        findings.append(note("frames", f"train would not take all these sources together: {error.message}", remedy))
    if not any(frames.unbiased.any() for frames in usable):
        remedy = "Give frames of simulate --explore or --plain beside them: by those the states are judged."
        findings.append(problem("frames", "All frames were made under a bias.", remedy))
    elif total < FEW_FRAMES:
        findings.append(note("frames", sentence, f"Give more than {FEW_FRAMES}, or let simulate --explore add some."))
    else:
        findings.append(ok("frames", sentence))
    return total, _visits(system, usable, findings)


def _visits(system: System, usable: list[FrameSet], findings: list[Finding]) -> dict[str, int]:
    try:
        states = build_states(system)
        if not states.names:
            return {}
        positions = np.concatenate([frames.positions[frames.unbiased] for frames in usable]).astype(np.float64)
        label = states.assign(evaluate_cvs(system, positions))
    except MolgenError:
        return {}  # said already of the system
    counts = {name: int((label == index).sum()) for index, name in enumerate(states.names)}
    listed = ", ".join(f"{name} {count}" for name, count in counts.items())
    sentence = f"Frames by state: {listed}, none {int((label < 0).sum())}."
    rest = [condition.text.strip() == OTHERWISE for condition in states.conditions]
    empty = [name for (name, count), other in zip(counts.items(), rest, strict=True) if count == 0 and not other]
    if empty:
        sentence = f"No frame visits {' or '.join(empty)}. {sentence}"
        remedy = "Add frames of that state (molgen simulate --explore), or correct or remove its condition."
        findings.append(problem("states visited", sentence, remedy))
    else:
        findings.append(ok("states visited", sentence))
    return counts
