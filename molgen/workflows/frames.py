"""The frames a workflow starts from: read, checked, labelled as the system is, and inside its domain."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from molgen.coordinates.domain import domain_of
from molgen.coordinates.prochirality import match_labels
from molgen.coordinates.violations import CIS_TRANS, Violation, atom_word, find_violations
from molgen.errors import InputError
from molgen.models.temperature import ROUNDING_K
from molgen.systems.system import MolecularSystem, System
from molgen.trajectories import reading
from molgen.trajectories.frames import FrameKind, FrameSet
from molgen.trajectories.options import EVERYTHING, ReadingOptions

MAX_OUTSIDE = 0.5
"""Share of frames that may lie outside the system's domain; they are left out and counted."""


@dataclass(frozen=True, eq=False)
class UsableFrames:
    """Frames inside the domain, and what was done to get them.

    ``relabelled`` counts frames by the centre at which equal branches had other labels (``CB of LEU 2``);
    ``outside`` frames of ``total`` were left out for their ``violations``.
    """

    frames: FrameSet
    total: int
    outside: int
    relabelled: Mapping[str, int]
    violations: tuple[Violation, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know, in sentences."""
        notes = []
        if self.frames.made_whole:
            notes.append(f"{self.frames.made_whole} frames were broken across the periodic box and made whole.")
        if self.relabelled:
            listed = ", ".join(f"{where} in {count}" for where, count in self.relabelled.items())
            notes.append(f"Labels of equal branches were matched to the system's ({listed} frames).")
        if self.outside:
            worst = "; ".join(str(violation) for violation in self.violations[:3])
            notes.append(f"{self.outside} frames outside the domain were left out: {worst}.")
        return tuple(notes)


def open_frames(
    paths: Sequence[Path],
    system: System,
    options: ReadingOptions = EVERYTHING,
    *,
    kind: FrameKind = "equilibrium",
    most: int | None = None,
    biased: bool = False,
) -> UsableFrames:
    """The frames of ``paths``, at most about ``most`` of them at even distance; umbrella runs' too if ``biased``.

    ``InputError`` for what :func:`molgen.trajectories.reading.read_frames` refuses, and if more than half of the
    frames are outside the domain.
    """
    frames = reading.read_frames(list(paths), system, options, kind=kind, biased=biased)
    return usable_frames(frames, system, most=most)


def check_temperature(frames: FrameSet, temperature_k: float, source: str) -> None:
    """``InputError`` naming ``source`` unless all ``frames`` are of ``temperature_k``."""
    other = [t for t in frames.temperatures if abs(t - temperature_k) > ROUNDING_K]
    if other:
        raise InputError(
            f"{source} holds frames of {other[0]:g} K, where {temperature_k:g} K is asked for.",
            f"Give frames of {temperature_k:g} K.",
        )


def usable_frames(frames: FrameSet, system: System, *, most: int | None = None) -> UsableFrames:
    """See :func:`open_frames`, for frames that were read already. Frames of weight zero are not counted."""
    if most is not None and len(frames) > most:
        frames = frames.select(slice(None, None, -(-len(frames) // most)))
    positions, relabelled = match_labels(frames.positions, system)
    frames = replace(frames, positions=positions)
    with np.errstate(invalid="ignore", divide="ignore"):  # atoms on top of each other have no torsion: outside
        inside = domain_of(system).contains(np.asarray(positions, dtype=np.float64))
    counted = np.ones(len(frames), dtype=np.bool_) if frames.log_weight is None else np.isfinite(frames.log_weight)
    left_out = ~inside & counted
    outside, total = int(left_out.sum()), int(counted.sum())
    violations = find_violations(np.asarray(positions[left_out], dtype=np.float64), system) if outside else ()
    if outside > MAX_OUTSIDE * total:
        raise _refusal(outside, total, violations, system)
    named = {
        atom_word(system.topology, centre): count
        for centre, count in relabelled.items()
        if isinstance(system, MolecularSystem)
    }
    return UsableFrames(frames if inside.all() else frames.select(inside), total, outside, named, violations)


def _refusal(outside: int, total: int, violations: tuple[Violation, ...], system: System) -> InputError:
    worst = violations[0]
    message = f"{outside} of {total} frames differ from the structure of {system.name} in {worst}."
    if worst.kind == CIS_TRANS:
        return InputError(
            message,
            "Give frames with the same peptide bonds, make the system from a structure that has theirs, "
            'or let them turn with cis_trans = "free" under [domain].',
        )
    return InputError(message, "Give frames of the same stereoisomer, or make the system from a structure of theirs.")
